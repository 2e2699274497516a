"""The rewrites one after another: what is kept, what is left out, and what they do for the bundled models."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("litert_torch", reason="needs the extra tflite-export")

from edgevit.artifact.manifest import Precision
from edgevit.errors import GateError
from edgevit.export.pipeline import export
from edgevit.export.recipe import Recipe
from edgevit.export.tflite_graph.passes import Rewrite, rewrite
from edgevit.runtime.backends.tflite_operators import read_needs
from tests.made_tflite import kinds

EXACT = Rewrite("exact", lambda model: model + b"e")
ROUNDED = Rewrite("rounded", lambda model: model + b"r", exact=False)
NOTHING = Rewrite("nothing", lambda model: model)


class Verified(list[str]):
    """Names of the steps that were verified; `refuses` is one that the gate does not let through."""

    refuses = ""

    def __call__(
        self, step: str, answers: NDArray[np.float32], precision: Precision = "fp32", *, judged: bool = False
    ) -> None:
        assert precision == "int8"
        if step == self.refuses:
            raise GateError("moved")
        self.append(step)


def answers_moved_by(letter: str) -> Callable[[bytes], NDArray[np.float32]]:
    """Return answers that are others from where the model has a letter."""
    return lambda model: np.full((1, 2), float(letter.encode() in model), np.float32)


def test_rewrites_follow_each_other_and_are_noted() -> None:
    verified = Verified()
    model, notes = rewrite(b"m", (EXACT, NOTHING, ROUNDED), answers_moved_by("r"), verified)
    assert (model, notes, verified) == (b"mer", (), ["exact", "rounded"])


def test_exact_rewrite_that_moves_an_answer_is_left_out_with_a_note() -> None:
    verified = Verified()
    model, notes = rewrite(b"m", (EXACT, ROUNDED), answers_moved_by("e"), verified)
    assert (model, verified) == (b"mr", ["rounded"])
    assert notes == ("rewrite left out: exact, which moved the answers by up to 1 here",)


def test_rewrite_beyond_the_gate_is_left_out_with_a_note() -> None:
    verified = Verified()
    verified.refuses = "rounded"
    model, notes = rewrite(b"m", (EXACT, ROUNDED), answers_moved_by("r"), verified)
    assert (model, verified) == (b"me", ["exact"])
    assert notes == ("rewrite left out: rounded, which moved the answers further than int8 may",)


def test_spent_budget_lets_nothing_move() -> None:
    model, _ = rewrite(b"m", (EXACT, ROUNDED), answers_moved_by("r"), Verified(), exact_only=True)
    assert model == b"me"


FEWER = {
    "sbcformer_xs": {"RESIZE_NEAREST_NEIGHBOR": 0, "TRANSPOSE": 29, "RESHAPE": 60, "QUANTIZE": 63, "MUL": 50},
    "efficientvit_b0": {"PADV2": 0, "RESHAPE": 13, "QUANTIZE": 32, "DEQUANTIZE": 49},
}
"""Model to the most operators of a kind that its rewritten file has."""
ROUNDED_STEPS = ("values moved as int8", "residuals in int8", "gates in int8", "rounded once", "GELU looked up")
STEPS = {
    "sbcformer_xs": [
        *("transposes cancelled", "upsampling by broadcast", "products fed directly", "values moved as int8"),
        *("stem on pixel pairs", "residuals in int8", "gates in int8", "rounded once", "GELU looked up"),
    ],
    "efficientvit_b0": [
        *("products fed directly", "values moved as int8", "heads apart", "padding joined", "stem on pixel pairs"),
        "residuals in int8",
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", STEPS)
def test_bundled_models_are_rewritten_and_run_on_both_runtimes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exact steps have the parity of the step before, to the last digit."""
    made = export(Recipe(name, format="tflite", precision="int8"), tmp_path / "m.tflite")
    parities = {parity.step: parity for parity in made.manifest.parity}
    steps = list(parities)
    assert steps[steps.index("int8") + 1 :] == STEPS[name]
    assert made.manifest.notes == ()
    for before, step in pairwise(["int8", *STEPS[name]]):
        if step not in ROUNDED_STEPS:
            assert replace(parities[step], step=before) == parities[before]
    counts = Counter(kinds(made.path.read_bytes()))
    assert {kind: counts[kind] <= most for kind, most in FEWER[name].items()} == dict.fromkeys(FEWER[name], True)
    assert read_needs(made.path).fault is None
