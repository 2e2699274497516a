"""The input and output of an ONNX graph: their types and axes, and how pictures and scores lie in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.files import FilePath
from edgevit.errors import ModelFileError
from edgevit.runtime.backends.session import FORMS, choose_output

IMAGE_TYPES: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(double)": np.dtype(np.float64),
    "tensor(uint8)": np.dtype(np.uint8),
}
"""ONNX Runtime's name of an input's type to numpy's; of uint8 the model takes the picture's own levels."""
SCORE_TYPES = ("tensor(float)", "tensor(float16)", "tensor(double)")
EXPECTED = (
    "expected one input (batch, 3, height, width) or (batch, height, width, 3) of float32, float16 or uint8, or of one "
    "channel"
)


@dataclass(frozen=True)
class ImageInput:
    """The input of the graph."""

    name: str
    dtype: np.dtype[Any]
    layout: str
    """"NCHW" or "NHWC"."""
    shape: tuple[int, int, int, int]
    """(batch, channels, height, width), 0 where it is open; a batch of 1 where the graph has no axis for it."""
    batched: bool = True

    @property
    def limits(self) -> tuple[float, float] | None:
        """What the lowest and the highest level of an integer input stand for; None for floating-point numbers."""
        return (0.0, 1.0) if self.dtype == np.uint8 else None

    def store(self, images: NDArray[np.float32]) -> NDArray[Any]:
        """Return images (B, 3, H, W) as the graph takes them."""
        planes = images[:, :1] if self.shape[1] == 1 else images
        if self.dtype == np.uint8:
            planes = np.rint(np.clip(planes, 0, 1) * np.float32(255))
        if self.layout == "NHWC":
            planes = planes.transpose(0, 2, 3, 1)
        stored = np.ascontiguousarray(planes, self.dtype)
        return stored if self.batched else stored[0]


def check_input(path: FilePath, inputs: Any) -> ImageInput:
    """Return the only input; ModelFileError if it is none that images can be given to."""
    if len(inputs) != 1:
        raise ModelFileError(f"{path} has {len(inputs)} inputs ({', '.join(i.name for i in inputs)}); {EXPECTED}")
    name, kind, axes = inputs[0].name, inputs[0].type, inputs[0].shape
    if kind not in IMAGE_TYPES:
        raise ModelFileError(f"{path} takes {kind}; {EXPECTED}")
    sides = list(open_sides(axes))
    batched = len(sides) == 4
    if not batched:
        sides = [1, *sides]
    if len(sides) != 4:
        raise ModelFileError(f"{path} takes an input of shape {axes}; {EXPECTED}")
    # three channels are told from one pixel by what stands on the other side; all open is NCHW
    last = sides[1] not in (1, 3) and sides[3] in (1, 3)
    batch, channels, height, width = (sides[0], sides[3], sides[1], sides[2]) if last else sides
    if channels not in (0, 1, 3):
        raise ModelFileError(f"{path} takes an input of shape {axes}; {EXPECTED}")
    layout = "NHWC" if last else "NCHW"
    return ImageInput(name, IMAGE_TYPES[kind], layout, (batch, channels, height, width), batched)


def open_sides(axes: Sequence[Any]) -> tuple[int, ...]:
    """Return the sides of a shape as ONNX Runtime tells it, 0 where one is open."""
    return tuple(axis if isinstance(axis, int) and axis > 0 else 0 for axis in axes)


def check_output(path: FilePath, outputs: Any, rank: int | None, wanted: str | None) -> tuple[str, bool]:
    """Return the output's name, and whether it must be asked for one picture at a time.

    Raises:
        ModelFileError: it has no form that is expected.
        OptionError: there are several, and none of them is named.
    """
    forms = FORMS if rank is None else {rank: FORMS[rank]}
    expected = f"one output {' or '.join(forms.values())}"
    output = outputs[choose_output(path, [output.name for output in outputs], wanted, expected)]
    if rank != 2:
        if len(output.shape) not in forms:
            raise ModelFileError(f"{path} answers with shape {output.shape}; expected {expected}")
        return output.name, False
    if output.type not in SCORE_TYPES:
        raise ModelFileError(
            f"{path} answers with {output.type}; expected scores of {', '.join(SCORE_TYPES)}: export it without what "
            "picks a class or names it"
        )
    long = [axis for axis in output.shape[1:] if isinstance(axis, int) and axis > 1]
    if len(long) > 1:
        raise ModelFileError(f"{path} answers with shape {output.shape}; expected {expected}")
    return output.name, len(output.shape) < 2


def scores(path: FilePath, answer: NDArray[Any], count: int) -> NDArray[np.float32]:
    """Return the answer for `count` pictures as (count, classes), without axes of one.

    Raises:
        ModelFileError: it has another form.
    """
    values = np.asarray(answer, np.float32)
    if values.ndim and values.shape[0] == count and sum(side != 1 for side in values.shape[1:]) <= 1:
        return values.reshape(count, -1)
    if count == 1 and sum(side != 1 for side in values.shape) <= 1:
        return values.reshape(1, -1)
    raise ModelFileError(f"{path} answers with shape {values.shape} for {count} pictures; expected {FORMS[2]}")
