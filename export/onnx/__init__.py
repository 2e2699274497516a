"""A prepared PyTorch model to ONNX."""
