"""Nearest upsampling times a repeated constant as one product of broadcast sides: nothing is written twice."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevit.export.tflite_graph.edit import Edit


def broadcast_upsampling(model: bytes) -> bytes:
    """Return the model with each nearest upsampling by a whole ratio, and its product with a constant, as one product.

    (h, 1, w, 1, c) times (1, r, 1, r, c) is (h, r, w, r, c): the same numbers as those of the upsampled image.
    """
    edit = Edit(model)
    while any(_broadcast(edit, item) for item in edit.operators):
        edit.done()
    return edit.finished()


def _broadcast(edit: Edit, product: Any) -> bool:
    if edit.kind(product) != "MUL":
        return False
    resize, tiled = edit.maker(product.inputs[0]), edit.constant(product.inputs[1])
    if edit.kind(resize) != "RESIZE_NEAREST_NEIGHBOR" or tiled is None:
        return False
    options = resize.builtinOptions
    (_, height, width, channels), (batch, high, wide, _) = edit.shape(resize.inputs[0]), edit.shape(product.outputs[0])
    if batch != 1 or high % height or wide % width or options.alignCorners:
        return False
    kernel = _repeated(tiled, high // height, wide // width)
    if kernel is None or kernel.shape[-1] != channels:
        return False
    cells = (height, 1, width, 1, channels)
    apart = edit.new_tensor(resize.inputs[0], "apart", cells)
    edit.new_operator("RESHAPE", [resize.inputs[0], _numbers(edit, cells)], [apart])
    shape = (height, high // height, width, wide // width, channels)
    made = edit.new_tensor(product.outputs[0], "apart", shape)
    constant = edit.new_constant("kernel", kernel[None, :, None])
    edit.new_operator("MUL", [apart, constant], [made], like=product)
    current = made
    follower = _only_reader(edit, product.outputs[0])
    (end,) = product.outputs
    bias = edit.constant(follower.inputs[1]) if edit.kind(follower) == "ADD" else None
    if bias is not None and bias.size == channels == bias.shape[-1]:
        (end,) = follower.outputs
        added = edit.new_tensor(end, "apart", shape)
        edit.new_operator("ADD", [made, edit.new_constant("bias", bias.reshape(channels))], [added], like=follower)
        current = added
        edit.graph.operators.remove(follower)
    edit.graph.operators.remove(product)
    edit.new_operator("RESHAPE", [current, _numbers(edit, (batch, high, wide, channels))], [end])
    return True


def _repeated(tiled: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32] | None:
    """Return the (rows, columns, channels) that a (1, h, w, channels) constant repeats; None if it does not."""
    if tiled.ndim != 4:
        return None
    kernel: NDArray[np.float32] = tiled[0, :rows, :columns]
    _, high, wide, _ = tiled.shape
    whole = high % rows == wide % columns == 0
    return kernel if whole and (np.tile(kernel, (high // rows, wide // columns, 1)) == tiled[0]).all() else None


def _numbers(edit: Edit, shape: tuple[int, ...]) -> int:
    return edit.new_constant("shape", np.array(shape, np.int32))


def _only_reader(edit: Edit, index: int) -> Any:
    readers = edit.readers(index)
    return readers[0] if len(readers) == 1 and not edit.is_output(index) else None
