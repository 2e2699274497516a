"""Modules of the exporter, imported only when they are needed, and what to install where a package is missing."""

import importlib
from types import ModuleType

from edgevit.errors import MissingExtraError

EXTRAS = {
    **dict.fromkeys(("torch", "onnx", "onnxscript", "onnxsim", "jinja2", "safetensors"), "export"),
    **dict.fromkeys(("litert_torch", "ai_edge_quantizer", "ai_edge_litert", "flatbuffers"), "tflite-export"),
}
"""Package to the extra that it belongs to."""


def import_module(name: str, purpose: str = "edgevit export") -> ModuleType:
    """Import a module of edgevit by its whole name.

    Args:
        name: as in edgevit.export.pipeline.
        purpose: what a missing package is needed for, as the message says it.

    Raises:
        MissingExtraError: a package of an extra is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in EXTRAS:
            raise
        raise MissingExtraError(package, purpose, EXTRAS[package]) from error
