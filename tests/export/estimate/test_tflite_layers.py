"""A TFLite file is estimated from its own operators, by the prices of their kinds."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("ai_edge_litert", reason="needs the extra tflite-export")

from edgevit.device_profiles import find_profile
from edgevit.errors import ModelFileError
from edgevit.export.estimate.estimate import estimate, price
from edgevit.export.estimate.tflite_layers import read_operations

MakeModel = Callable[..., Path]


def test_operators_of_a_tflite_file_have_their_work(make_foreign_tflite: MakeModel) -> None:
    """The mean of 24 x 32 pixels in 3 channels, a matrix of 3 by 3, a softmax over 3."""
    mean, matrix, softmax = (layer for layer in read_operations(make_foreign_tflite(softmax=True)))
    assert (mean.kind, mean.macs, mean.elements) == ("simple", 0, 3)
    assert (matrix.operator, matrix.kind, matrix.macs) == ("FULLY_CONNECTED", "matrix", 9)
    assert (softmax.kind, softmax.elements, softmax.bytes) == ("Softmax", 3, 4 * 6)
    assert all(layer.priced for layer in (mean, matrix, softmax))


def test_estimate_of_a_tflite_file_says_so(make_foreign_tflite: MakeModel) -> None:
    """LiteRT takes 0.80 of the instructions and 0.57 of the misses that ONNX Runtime takes for float operators."""
    path = make_foreign_tflite(softmax=True)
    guess = estimate(path, find_profile("rpi4"))
    costs = list(map(price, read_operations(path)))
    instructions, misses = sum(cost.instructions for cost in costs), sum(cost.misses for cost in costs)
    assert (guess.runtime, guess.threads, guess.mhz, guess.error) == ("LiteRT", 3, 1800, 0.3)
    at_once = 0.0879e-6 * 0.80 * instructions * 1500 / 1800
    assert guess.ms == pytest.approx(4 / 3 * (at_once + 9.65e-6 * 0.57 * misses))


def test_damaged_tflite_file_is_refused_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(b"nothing of this kind")
    with pytest.raises(ModelFileError, match="is not a TFLite model"):
        estimate(tmp_path / "m.tflite", find_profile("rpi4"))
