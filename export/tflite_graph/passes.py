"""The rewrites of a finished int8 graph in their order, each compared with the graph before it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edgevit.errors import GateError
from edgevit.export.quantization.calibrate import Ranges
from edgevit.export.stage import Verify
from edgevit.export.tflite_graph.gates import gate_int8
from edgevit.export.tflite_graph.heads import split_heads
from edgevit.export.tflite_graph.moves import move_int8
from edgevit.export.tflite_graph.normalization import normalize_many
from edgevit.export.tflite_graph.paddings import join_constants
from edgevit.export.tflite_graph.products import feed_products
from edgevit.export.tflite_graph.residuals import add_int8
from edgevit.export.tflite_graph.roundings import look_up_gelu, round_once
from edgevit.export.tflite_graph.stem import pair_pixels
from edgevit.export.tflite_graph.transposes import cancel_transposes
from edgevit.export.tflite_graph.upsampling import broadcast_upsampling


@dataclass(frozen=True)
class Rewrite:
    """One rewrite."""

    name: str
    """What the step is called in the file's document."""
    apply: Callable[[bytes], bytes]
    """Model to model; the same bytes where there is nothing to rewrite."""
    exact: bool = True
    """Whether the answers stay the same to the last bit."""


def rewrites(ranges: Ranges) -> tuple[Rewrite, ...]:
    """Return all rewrites in their order; `ranges` are those that calibration saw, by the tensors' names."""
    return (
        Rewrite("transposes cancelled", cancel_transposes),
        Rewrite("upsampling by broadcast", broadcast_upsampling),
        Rewrite("products fed directly", feed_products),
        # exact by arithmetic, but the runtime was seen to round some values to the next level afterwards
        Rewrite("values moved as int8", move_int8, exact=False),
        Rewrite("heads apart", split_heads),
        Rewrite("padding joined", join_constants),
        Rewrite("stem on pixel pairs", pair_pixels),
        Rewrite("normalization on many pixels", normalize_many),
        Rewrite("residuals in int8", add_int8, exact=False),
        Rewrite("gates in int8", partial(gate_int8, ranges=ranges), exact=False),
        Rewrite("rounded once", round_once, exact=False),
        Rewrite("GELU looked up", look_up_gelu, exact=False),
    )


def rewrite(
    model: bytes,
    steps: Sequence[Rewrite],
    answers: Callable[[bytes], NDArray[np.float32]],
    verify: Verify,
    *,
    exact_only: bool = False,
) -> tuple[bytes, tuple[str, ...]]:
    """Return the model with all rewrites that leave its answers what they were, and notes on those that did not.

    An exact one must leave them equal to the last bit, another one within the gate of int8.

    Args:
        model: int8, verified.
        steps: what to try, in order.
        answers: a model's answers to the verification images.
        verify: notes a step's parity.
        exact_only: whether an accuracy budget has been spent already, so that nothing else may move.
    """
    current, notes = answers(model), []
    for step in steps:
        made = step.apply(model) if step.exact or not exact_only else model
        if made == model:
            continue
        found = answers(made)
        if step.exact and not np.array_equal(found, current):
            moved = float(np.abs(found - current).max())
            notes.append(f"rewrite left out: {step.name}, which moved the answers by up to {moved:.2g} here")
            continue
        try:
            verify(step.name, found, "int8")
        except GateError:
            notes.append(f"rewrite left out: {step.name}, which moved the answers further than int8 may")
            continue
        model, current = made, found
    return model, tuple(notes)
