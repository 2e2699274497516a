"""A layer of a float model, whatever the file format, and the block it belongs to."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """One convolution or matrix product of a float graph."""

    name: str
    operator: str
    weight: str | None
    """Name of the constant operand; None where both operands are computed, as in attention."""
    output: str
    macs: int
    """Multiply-accumulates for one run at the graph's batch."""
    block: str
    """The block of the PyTorch model that the layer belongs to; its own name where that is not known."""


def int8_share(layers: Iterable[Layer], float_layers: Collection[str]) -> float:
    """Return which share of the layers' multiply-accumulates is not in those that compute in float, 0..1."""
    every = list(layers)
    return sum(layer.macs for layer in every if layer.name not in float_layers) / sum(layer.macs for layer in every)


_NUMBERED = re.compile(r"(\w+_)?\d+")


def block_name(module: str) -> str:
    """Cut a module's dotted name after its second numbered part: backbone.stages.2.op_list.1.

    A name with fewer numbers is cut one part after its last: sbcformer_blocks.0.proj.
    """
    parts = module.split(".")
    numbered = [i for i, part in enumerate(parts) if _NUMBERED.fullmatch(part)]
    end = numbered[1] + 1 if len(numbered) > 1 else numbered[0] + 2 if numbered else 1
    return ".".join(parts[:end])
