"""The document inside every model file: read without onnx, without a runtime."""

from edgevit.artifact.manifest import Manifest, read_manifest

__all__ = ["Manifest", "read_manifest"]
