"""One operator's work, whatever the file format."""

from dataclasses import dataclass

BYTES = {"quantize": 2.5, "dequantize": 2.5}
"""Bytes of an element at a change between float and int8: one on one side, four on the other."""


@dataclass(frozen=True)
class Operation:
    """One operator's work, for one batch."""

    operator: str
    kind: str
    """Which kernel: "pointwise", "convolution", "depthwise", "matrix", each with "int8 " in front if it is; "wide
    depthwise" (float, larger than 3 x 3); "product" of two activations; "quantize", "dequantize"; "int8 lookup", "int8
    arithmetic"; an ONNX operator that computes a function for each element; "simple" for all else; "free"."""
    macs: int
    elements: int
    """How many it writes."""
    bytes: int
    """How many it reads and writes, weights included."""
    priced: bool = True
    """Whether its kind's price was counted of such operators; else it is the nearest there is."""


def bytes_per_element(kind: str) -> float:
    """Return how many bytes an element has that an operator of this kind reads or writes."""
    return BYTES.get(kind, 1 if kind.startswith("int8 ") else 4)
