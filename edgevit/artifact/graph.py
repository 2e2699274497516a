"""What a model file's graph takes and gives, as values that mean the same for ONNX and TFLite."""

from dataclasses import asdict, dataclass
from typing import Any

MOST_TENSORS = 1000
"""Inputs and outputs that are read at most."""


@dataclass(frozen=True)
class GraphTensor:
    """An input or an output of a graph."""

    name: str
    dtype: str
    """As numpy calls it; "type 99" for one that is not known here."""
    shape: tuple[int | str, ...] | None
    """The size of each axis, or what an open one is called, "?" where it has no name; None where nothing is told."""

    def __str__(self) -> str:
        shape = "of any shape" if self.shape is None else "x".join(map(str, self.shape)) or "one number"
        return f"{self.name} {shape} {self.dtype}"


@dataclass(frozen=True)
class Graph:
    """What the file says of its graph."""

    inputs: tuple[GraphTensor, ...]
    outputs: tuple[GraphTensor, ...]
    versions: dict[str, int]
    """Versions by name: "IR" of an ONNX file and its operator sets by domain ("ai.onnx"); "schema" of a TFLite file."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
