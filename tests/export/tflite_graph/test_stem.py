"""The first convolution on pairs of pixels: the same levels of the same numbers."""

import numpy as np
import pytest

pytest.importorskip("litert_torch", reason="needs the extra tflite-export")

from edgevit.export.tflite_graph.stem import pair_pixels
from tests.made_tflite import Tiny, answers, kinds, shapes

RANDOM = np.random.default_rng(0)


def stem(height: int, width: int) -> bytes:
    """Return an int8 convolution of 3x3, stride 2, 3 to 5 channels, padded by one pixel."""
    made = Tiny()
    source = made.tensor((1, height, width, 3))
    given = made.add("QUANTIZE", [source], made.tensor((1, height, width, 3), 0.02, -14))
    around = made.tensor((4, 2), values=np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32))
    padded = made.add("PAD", [given, around], made.tensor((1, height + 2, width + 2, 3), 0.02, -14), kind="PadOptions")
    weights = made.tensor((5, 3, 3, 3), [0.01] * 5, values=RANDOM.integers(-127, 128, (5, 3, 3, 3)).astype(np.int8))
    bias = made.tensor((5,), [0.0002] * 5, values=RANDOM.integers(-99, 99, 5).astype(np.int32))
    shape = (1, (height + 1) // 2, (width + 1) // 2, 5)
    conv = made.add(
        "CONV_2D",
        [padded, weights, bias],
        made.tensor(shape, 0.05, 3),
        version=3,
        kind="Conv2DOptions",
        padding=1,
        strideH=2,
        strideW=2,
    )
    return made.model(source, made.add("DEQUANTIZE", [conv], made.tensor(shape), version=2))


def test_pairs_of_pixels_give_the_same_levels() -> None:
    model = stem(8, 6)
    paired = pair_pixels(model)
    assert kinds(paired) == ["QUANTIZE", "RESHAPE", "PAD", "CONV_2D", "DEQUANTIZE"]
    assert {(5, 3, 2, 6), (1, 8, 3, 6)} <= set(shapes(paired))
    # the weights of before are gone
    assert (5, 3, 3, 3) not in shapes(paired)
    given = RANDOM.standard_normal((1, 8, 6, 3)).astype(np.float32)
    np.testing.assert_array_equal(answers(paired, given)[0], answers(model, given)[0])


@pytest.mark.parametrize(("height", "width"), [(8, 7), (7, 8)])
def test_odd_sides_stay_as_they_are(height: int, width: int) -> None:
    model = stem(height, width)
    assert pair_pixels(model) is model
