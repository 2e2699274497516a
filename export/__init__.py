"""From a PyTorch checkpoint to a checked artifact; needs torch, never imported on the board."""
