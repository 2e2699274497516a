"""Running an artifact on a board; never imports torch, onnx, the exporter or the models."""
