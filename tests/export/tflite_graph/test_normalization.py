"""Normalization on many pixels at once: the same levels of the same numbers."""

import numpy as np
import pytest

pytest.importorskip("litert_torch", reason="needs the extra tflite-export")

from edgevit.export.tflite_graph.normalization import normalize_many
from tests.made_tflite import Tiny, answers, kinds, shapes

RANDOM = np.random.default_rng(0)


def normalized(width: int, read_as: tuple[int, ...] = (), channels: int = 3, scales: int = 1) -> bytes:
    """Return an int8 image whose channels are scaled and shifted, and perhaps then read as of another shape."""
    made = Tiny()
    shape = (1, 4, width, channels)
    source = made.tensor(shape)
    given = made.add("QUANTIZE", [source], made.tensor(shape, 0.02, -14))
    factors = RANDOM.integers(50, 128, (1, 1, 1, channels)).astype(np.int8)
    each = [0.01, 0.012, 0.014][:channels] if scales > 1 else [0.01]
    weights = made.tensor(factors.shape, each, values=factors, axis=3)
    shifts = RANDOM.integers(-99, 99, channels).astype(np.int32)
    bias = made.tensor((channels,), [0.02 * scale for scale in each], values=shifts)
    options = {"padding": 1, "strideH": 1, "strideW": 1, "depthMultiplier": 1}
    inputs, output = [given, weights, bias], made.tensor(shape, 0.03, 3)
    last = made.add("DEPTHWISE_CONV_2D", inputs, output, version=3, kind="DepthwiseConv2DOptions", **options)
    if read_as:
        last = made.add("RESHAPE", [last, made.numbers(*read_as)], made.tensor(read_as, 0.03, 3))
    return made.model(source, made.add("DEQUANTIZE", [last], made.tensor(read_as or shape), version=2))


@pytest.mark.parametrize(("width", "wide"), [(32, (1, 4, 2, 48)), (21, (1, 4, 3, 21))])
@pytest.mark.parametrize("scales", [1, 3])
def test_many_pixels_at_once_give_the_same_levels(width: int, wide: tuple[int, ...], scales: int) -> None:
    model = normalized(width, scales=scales)
    changed = normalize_many(model)
    assert kinds(changed) == ["QUANTIZE", "RESHAPE", "DEPTHWISE_CONV_2D", "RESHAPE", "DEQUANTIZE"]
    assert wide in shapes(changed)
    given = RANDOM.standard_normal((1, 4, width, 3)).astype(np.float32)
    np.testing.assert_array_equal(answers(changed, given)[0], answers(model, given)[0])


def test_what_is_read_in_another_shape_is_reshaped_once() -> None:
    model = normalized(32, read_as=(1, 4, 16, 6))
    changed = normalize_many(model)
    assert kinds(changed) == ["QUANTIZE", "RESHAPE", "DEPTHWISE_CONV_2D", "RESHAPE", "DEQUANTIZE"]
    given = RANDOM.standard_normal((1, 4, 32, 3)).astype(np.float32)
    np.testing.assert_array_equal(answers(changed, given)[0], answers(model, given)[0])


@pytest.mark.parametrize(("width", "channels"), [(31, 3), (32, 2)])
def test_rows_without_a_divisor_and_other_layers_stay_as_they_are(width: int, channels: int) -> None:
    model = normalized(width, channels=channels)
    assert normalize_many(model) is model
