"""A TFLite file is estimated from its own operators, by the prices of their kinds."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("ai_edge_litert", reason="needs the extra tflite-export")

from edgevit.device_profiles import find_profile
from edgevit.errors import ModelFileError
from edgevit.export.estimate.costs import LITERT_SHARES, TFLITE_ERROR
from edgevit.export.estimate.estimate import MHZ, THREADS, estimate, milliseconds, price
from edgevit.export.estimate.tflite_layers import fused, read_operations
from tests.places import ROOT

MakeModel = Callable[..., Path]
FIT = ROOT / "tools" / "a72" / "fit.py"
COUNTED = ROOT / "tools" / "a72" / "litert.json"


def test_operators_of_a_tflite_file_have_their_work(make_foreign_tflite: MakeModel) -> None:
    """The mean of 24 x 32 pixels in 3 channels, a matrix of 3 by 3, a softmax over 3."""
    mean, matrix, softmax = (layer for layer in read_operations(make_foreign_tflite(softmax=True)))
    assert (mean.kind, mean.macs, mean.elements) == ("simple", 0, 3)
    assert (matrix.operator, matrix.kind, matrix.macs) == ("FULLY_CONNECTED", "matrix", 9)
    assert (softmax.kind, softmax.elements, softmax.bytes) == ("Softmax", 3, 4 * 6)
    assert all(layer.priced for layer in (mean, matrix, softmax))


def test_function_between_int8_borders_is_a_table_of_bytes() -> None:
    """As XNNPACK computes it; where the float values are read twice, they are computed."""

    def operator(inputs: list[int], outputs: list[int]) -> SimpleNamespace:
        return SimpleNamespace(inputs=inputs, outputs=outputs)

    three = [("DEQUANTIZE", operator([0], [1])), ("HARD_SWISH", operator([1], [2])), ("QUANTIZE", operator([2], [3]))]
    (table, other) = fused([*three, ("ADD", operator([3, 3], [4]))], set())
    assert (table[0], table[1].inputs, table[1].outputs) == ("HARD_SWISH", [0], [3])
    assert other[0] == "ADD"
    twice = [*three, ("ADD", operator([2, 2], [4]))]
    assert fused(twice, set()) == twice


def test_estimate_of_a_tflite_file_says_so(make_foreign_tflite: MakeModel) -> None:
    """LiteRT takes shares of what ONNX Runtime takes, which differ by the kind of operator."""
    path = make_foreign_tflite(softmax=True)
    guess = estimate(path, find_profile("rpi4"))
    instructions = misses = 0.0
    for cost in map(price, read_operations(path)):
        fewer = LITERT_SHARES["dense" if cost.operation.kind == "matrix" else "other"]
        instructions += fewer[0] * cost.instructions
        misses += fewer[1] * cost.misses
    assert (guess.runtime, guess.threads, guess.mhz, guess.error) == ("LiteRT", 3, 1800, TFLITE_ERROR)
    at_once = 0.0879e-6 * instructions * 1500 / 1800
    assert guess.ms == pytest.approx(4 / 3 * (at_once + 9.65e-6 * misses))


def test_shares_are_those_that_the_counted_files_give() -> None:
    done = subprocess.run([sys.executable, FIT, "--litert", COUNTED], text=True, capture_output=True, check=True)
    printed = dict(re.findall(r'"(.+)": \((.+)\),', done.stdout))
    assert printed == {group: f"{a:.3g}, {b:.3g}" for group, (a, b) in LITERT_SHARES.items()}


@pytest.mark.parametrize("file", json.loads(COUNTED.read_text()), ids=lambda file: f"{file['model']}")
def test_estimate_is_near_what_was_counted(file: dict[str, Any]) -> None:
    instructions, misses = (
        sum(work[place] * LITERT_SHARES[group][place] for group, work in file["works"].items()) for place in (0, 1)
    )
    told = milliseconds(instructions, misses, THREADS, MHZ)
    assert told == pytest.approx(milliseconds(file["instructions"], file["misses"], THREADS, MHZ), rel=TFLITE_ERROR)


def test_damaged_tflite_file_is_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"nothing of this kind")
    with pytest.raises(ModelFileError, match="is not a TFLite model"):
        estimate(tmp_path / "m.tflite", find_profile("rpi4"))
