"""A prepared PyTorch model to TFLite."""
