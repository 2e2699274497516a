"""The input and output of a TFLite graph: their types, and how integers stand for numbers."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.files import FilePath
from edgevit.errors import ModelFileError
from edgevit.runtime.backends.session import FORMS, choose_output

TYPES = ("float32", "int8", "uint8")
EXPECTED = (
    "expected one input (batch, height, width, 3) or (batch, 3, height, width) of float32, int8 or uint8, or of one "
    "channel"
)


@dataclass(frozen=True)
class Tensor:
    """An input or output of the graph."""

    index: int
    dtype: str
    shape: tuple[int, ...]
    """0 where it is open."""
    scale: float
    """One step of an integer tensor; 0 for float."""
    zero_point: int

    @property
    def limits(self) -> tuple[float, float] | None:
        """What the lowest and the highest level of an integer tensor stand for; None for float."""
        if self.dtype == "float32":
            return None
        levels = np.iinfo(self.dtype)
        return self.scale * (levels.min - self.zero_point), self.scale * (levels.max - self.zero_point)

    @property
    def holds_softmax(self) -> bool:
        """Whether an integer tensor has the levels that TFLite prescribes for a softmax: of 1/256, from zero."""
        return self.limits is not None and self.scale == 1 / 256 and self.limits[0] == 0

    @property
    def channels_last(self) -> bool:
        return self.shape[-1] == 3 or (self.shape[-1] == 1 and self.shape[1] not in (1, 3))

    @property
    def image_shape(self) -> tuple[int, int, int, int]:
        """The shape in the order (batch, channels, height, width)."""
        batch, *image = self.shape
        channels, height, width = (image[2], image[0], image[1]) if self.channels_last else image
        return batch, channels, height, width

    def stored_shape(self, images: NDArray[np.float32]) -> tuple[int, ...]:
        """Return the shape that the tensor has for images (B, 3, H, W)."""
        count, _, height, width = images.shape
        channels = self.image_shape[1]
        return (count, height, width, channels) if self.channels_last else (count, channels, height, width)

    def store(self, images: NDArray[np.float32], stored: NDArray[Any]) -> None:
        """Write images (B, 3, H, W) into the tensor's own memory: value = scale * (stored - zero_point)."""
        planes = np.ascontiguousarray(images[:, :1] if self.image_shape[1] == 1 else images, np.float32)
        if self.dtype != "float32":
            limits = np.iinfo(self.dtype)
            steps = planes * np.float32(1 / self.scale)
            steps += np.float32(self.zero_point)
            np.rint(steps, out=steps)
            planes = np.clip(steps, limits.min, limits.max, out=steps).astype(self.dtype)
        if not self.channels_last:
            stored[:] = planes
            return
        # OpenCV interleaves the channels ten times faster than numpy transposes
        for image, place in zip(planes, stored, strict=True):
            cv2.merge(list(image), place)

    def load(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """Return what the tensor holds as numbers."""
        if not self.scale:
            return np.asarray(stored, np.float32)
        return (stored.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)


def check_input(path: FilePath, details: Any) -> Tensor:
    """Return the only input; ModelFileError if it is none that images can be given to."""
    if len(details) != 1:
        raise ModelFileError(f"{path} has {len(details)} inputs ({', '.join(d['name'] for d in details)}); {EXPECTED}")
    tensor = read_tensor(details[0])
    if tensor.dtype not in TYPES:
        raise ModelFileError(f"{path} takes {tensor.dtype}; {EXPECTED}")
    if len(tensor.shape) != 4 or not {1, 3} & {tensor.shape[1], tensor.shape[3]}:
        raise ModelFileError(f"{path} takes an input of shape {tensor.shape}; {EXPECTED}")
    return _with_scale(path, tensor)


def check_output(path: FilePath, details: Any, rank: int | None = 2, wanted: str | None = None) -> Tensor:
    """Return the only output, or the one that is wanted.

    Raises:
        ModelFileError: it is no scores of this many axes.
        OptionError: there are several, and none of them is named.
    """
    expected = f"one output {FORMS[rank or 2]}"
    tensor = read_tensor(details[choose_output(path, [detail["name"] for detail in details], wanted, expected)])
    # older classifiers answer (batch, 1, 1, classes), or (classes,) for a batch of one
    scores = rank != 4 and len(tensor.shape) >= 1 and sum(side > 1 for side in tensor.shape[1:]) <= 1
    if not (scores or (rank != 2 and len(tensor.shape) == 4)):
        raise ModelFileError(f"{path} answers with shape {tensor.shape}; expected {expected}")
    if tensor.dtype not in TYPES:
        raise ModelFileError(f"{path} answers with {tensor.dtype}; expected float32, int8 or uint8")
    return _with_scale(path, tensor)


def check_number(path: FilePath, detail: Any) -> Tensor:
    """Return one of several outputs, of whatever form; ModelFileError if its integers cannot be read as numbers."""
    tensor = read_tensor(detail)
    return _with_scale(path, tensor) if tensor.dtype in TYPES else tensor


def read_tensor(detail: Any) -> Tensor:
    """Return the tensor that an interpreter's description is of."""
    scale, zero_point = detail["quantization"]
    shape = tuple(max(0, int(side)) for side in detail.get("shape_signature", detail["shape"]))
    return Tensor(int(detail["index"]), np.dtype(detail["dtype"]).name, shape, float(scale), int(zero_point))


def _with_scale(path: FilePath, tensor: Tensor) -> Tensor:
    if tensor.dtype != "float32" and not tensor.scale > 0:
        raise ModelFileError(f"{path} has an {tensor.dtype} tensor without a scale; export it again")
    return tensor
