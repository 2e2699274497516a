"""ONNX graph and manifest to one sealed file."""

import onnx
from onnx import ModelProto

from edgevit.artifact.manifest import KEY, Manifest, mirrored_keys
from edgevit.artifact.seal import UNSEALED, seal


def artifact_bytes(model: bytes, manifest: Manifest) -> bytes:
    """Return the file's content: the graph with the manifest, its mirrored flat keys and its seal."""
    assert manifest.sha256 == UNSEALED
    result = ModelProto.FromString(model)
    onnx.helper.set_model_props(result, {KEY: manifest.to_json(), **mirrored_keys(manifest)})
    return seal(result.SerializeToString())
