"""What is known of each board, and what follows from it."""
