"""What computes: ONNX Runtime or LiteRT, and on how many threads."""
