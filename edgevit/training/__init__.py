"""Training and fine-tuning from image folders; needs torch, never imported on the board."""
