"""What is known about each model and its weights; needs no torch."""
