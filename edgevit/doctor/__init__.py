"""What is wrong with this board: one check for each known trouble, and the command that mends it."""
