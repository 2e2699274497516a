"""The graph of a model file of either format."""

from collections.abc import Callable, Mapping

from edgevit.artifact import onnx, tflite
from edgevit.artifact.files import FilePath, file_suffix
from edgevit.artifact.graph import Graph

GRAPHS: Mapping[str, Callable[[FilePath], Graph]] = {".onnx": onnx.read_graph, ".tflite": tflite.read_graph}
"""File suffix to what reads a file's inputs, outputs and versions."""


def read_graph(path: FilePath) -> Graph:
    """Return what a model file says of its graph; files of an unknown suffix are read as ONNX.

    Raises:
        ModelFileError: the file cannot be read, or is no model.
    """
    return GRAPHS.get(file_suffix(path), onnx.read_graph)(path)
