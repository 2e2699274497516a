"""Upsampling times a repeated constant: no transposes around it, no repeated image."""

import numpy as np
import pytest

pytest.importorskip("litert_torch", reason="needs the extra tflite-export")

from edgevit.export.tflite_graph.transposes import cancel_transposes
from edgevit.export.tflite_graph.upsampling import broadcast_upsampling
from tests.made_tflite import Tiny, answers, kinds

RANDOM = np.random.default_rng(0)
GIVEN = RANDOM.standard_normal((1, 2, 3, 4), np.float32)
KERNEL = RANDOM.standard_normal((4, 2, 2), np.float32)
"""(channels, rows, columns) of one cell."""
BIAS = RANDOM.standard_normal((1, 4, 1, 1), np.float32)


def upsampled(tiled: np.ndarray) -> bytes:
    """Return nearest upsampling by 2 of (1, 2, 3, 4), times a constant (1, 4, 4, 6), in PyTorch's order of axes."""
    made = Tiny()
    source = made.tensor((1, 2, 3, 4))
    resized = made.add(
        "RESIZE_NEAREST_NEIGHBOR",
        [source, made.numbers(4, 6)],
        made.tensor((1, 4, 6, 4)),
        kind="ResizeNearestNeighborOptions",
        halfPixelCenters=True,
    )
    channels_first = made.add("TRANSPOSE", [resized, made.numbers(0, 3, 1, 2)], made.tensor((1, 4, 4, 6)))
    times = made.add(
        "MUL",
        [channels_first, made.tensor(tiled.shape, values=tiled)],
        made.tensor((1, 4, 4, 6)),
        kind="MulOptions",
    )
    added = made.add("ADD", [times, made.tensor(BIAS.shape, values=BIAS)], made.tensor((1, 4, 4, 6)), kind="AddOptions")
    last = made.add("TRANSPOSE", [added, made.numbers(0, 2, 3, 1)], made.tensor((1, 4, 6, 4)))
    return made.model(source, made.add("RELU", [last], made.tensor((1, 4, 6, 4))))


def test_upsampling_is_one_product_of_broadcast_sides() -> None:
    model = upsampled(np.tile(KERNEL, (1, 2, 3))[None])
    plain = cancel_transposes(model)
    assert kinds(plain) == ["RESIZE_NEAREST_NEIGHBOR", "MUL", "ADD", "RELU"]
    broadcast = broadcast_upsampling(plain)
    assert kinds(broadcast) == ["RESHAPE", "MUL", "ADD", "RESHAPE", "RELU"]
    # each pixel times its cell's kernel, by numpy's Kronecker product channel by channel
    expected = np.stack([np.kron(GIVEN[0, :, :, c], KERNEL[c]) + BIAS[0, c] for c in range(4)], axis=-1)
    for rewritten in (plain, broadcast):
        np.testing.assert_array_equal(answers(rewritten, GIVEN)[0], np.maximum(expected, 0)[None])


def test_constant_that_does_not_repeat_stays() -> None:
    plain = cancel_transposes(upsampled(RANDOM.standard_normal((1, 4, 4, 6)).astype(np.float32)))
    assert broadcast_upsampling(plain) is plain


@pytest.mark.parametrize("order", [(0, 2, 1, 3), (0, 3, 2, 1)])
def test_transposes_that_do_not_undo_each_other_stay(order: tuple[int, ...]) -> None:
    made = Tiny()
    source = made.tensor((1, 2, 2, 2))
    first = made.add("TRANSPOSE", [source, made.numbers(0, 3, 1, 2)], made.tensor((1, 2, 2, 2)))
    second = made.add("TRANSPOSE", [first, made.numbers(*order)], made.tensor((1, 2, 2, 2)))
    model = made.model(source, made.add("RELU", [second], made.tensor((1, 2, 2, 2))))
    assert cancel_transposes(model) is model
