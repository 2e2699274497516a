"""Running an artifact on a board; never imports torch, onnx, the exporter or the models.

Some values here are named tuples and not dataclasses; CONTRIBUTING.md says which, and why.
"""
