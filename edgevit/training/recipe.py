"""Everything that decides what a training run computes, besides its images and initial weights."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from edgevit.errors import OptionError
from edgevit.schema import Range, check_options
from edgevit.training.augment import AugmentationName

STRIDE = 32
"""Every model's total stride: image sizes are multiples of it."""


@dataclass(frozen=True)
class Recipe:
    """A run's schedule, optimizer and regularization."""

    sizes: tuple[tuple[int, float], ...]
    """Image sizes in pixels with the epochs trained at each, in order: ((96, 20), (224, 1))."""
    batch: Annotated[int, Range(2)] = 128
    """Images in a step, at least 2, since BatchNorm needs more than one image."""
    learning_rate: float = 2e-3
    """Peak of AdamW's learning rate."""
    weight_decay: Annotated[float, Range(0)] = 0.05
    warmup_epochs: Annotated[float, Range(0)] = 1.0
    """Epochs in which the learning rate rises to its peak."""
    label_smoothing: Annotated[float, Range(0, 1)] = 0.1
    augmentation: AugmentationName = "strong"
    ema_decay: float = 0.999
    """Share of the averaged weights that a step keeps, from 0 to below 1; the average is what is written."""
    seed: Annotated[int, Range(0)] = 0
    bfloat16: bool = True
    balance: bool = False
    """Whether a class counts in the loss in inverse proportion to its images."""

    def __post_init__(self) -> None:
        """Check every value once.

        Raises:
            OptionError: a value is of another type, or out of its range.
        """
        check_options(self)
        for size, epochs in self.sizes:
            _require(size > 0 and size % STRIDE == 0, f"image size {size}", f"a multiple of {STRIDE}")
            _require(epochs > 0, f"{epochs:g} epochs at {size} pixels", "more than 0")
        _require(bool(self.sizes), "no image size", "at least one")
        _require(self.learning_rate > 0, f"--learning-rate {self.learning_rate:g}", "more than 0")
        _require(0 <= self.ema_decay < 1, f"--ema-decay {self.ema_decay:g}", "from 0 to below 1")

    @property
    def final_size(self) -> int:
        return self.sizes[-1][0]

    def phases(self, images: int) -> Iterator[tuple[int, range]]:
        """Yield each image size with its range of steps."""
        start = 0
        for size, epochs in self.sizes:
            stop = start + max(1, round(epochs * images / self.batch))
            yield size, range(start, stop)
            start = stop

    def total_steps(self, images: int) -> int:
        return max(steps.stop for _, steps in self.phases(images))

    def rate(self, step: int, images: int) -> float:
        """Return the learning rate at a step: linear warm-up, then a cosine to zero."""
        warmup = self.warmup_epochs * images / self.batch
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        falling = max(1.0, self.total_steps(images) - warmup)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / falling))

    def to_json(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Schedule:
    """Image sizes and epochs as a user gives them; what is left out depends on the model and on the weights at hand."""

    epochs: float | None = None
    """Passes over the images."""
    imgsz: int | None = None
    """Final image size in pixels."""
    sizes: str | Sequence[tuple[int, float]] | None = None
    """Both for each size in turn, instead: "96*20,224*1", or pairs as in `Recipe.sizes`."""

    def __post_init__(self) -> None:
        """Check every value once.

        Raises:
            OptionError: a value is of another type, or `sizes` is given beside one of the others.
        """
        check_options(self)
        if self.sizes is not None and (self.epochs is not None or self.imgsz is not None):
            raise OptionError("--sizes says both sizes and epochs; leave out --imgsz and --epochs")

    def phases(self, size: int, epochs: float, *, progressive: bool) -> tuple[tuple[int, float], ...]:
        """Return the `Recipe.sizes` of this schedule, with a size and epochs for those left out.

        Raises:
            OptionError: `sizes` is text of another form.
        """
        if self.sizes is None:
            size = size if self.imgsz is None else self.imgsz
            return default_sizes(size, epochs if self.epochs is None else self.epochs, progressive=progressive)
        return parse_sizes(self.sizes) if isinstance(self.sizes, str) else tuple(self.sizes)


def parse_sizes(text: str) -> tuple[tuple[int, float], ...]:
    """Read "96*20,224*1": image sizes in pixels, each with its epochs.

    Raises:
        OptionError: the text is of another form.
    """
    try:
        pairs = [part.split("*") for part in text.split(",")]
        return tuple((int(size), float(epochs)) for size, epochs in pairs)
    except ValueError as error:
        raise OptionError(f"--sizes {text!r}: expected SIZE*EPOCHS, comma separated, such as 96*20,224*1") from error


def default_sizes(size: int, epochs: float, *, progressive: bool) -> tuple[tuple[int, float], ...]:
    """Return all epochs at `size`; or, progressive, two thirds of them at about half of it, which costs a quarter."""
    half = -(-size // (2 * STRIDE)) * STRIDE
    if not progressive or half >= size:
        return ((size, epochs),)
    return ((half, epochs * 2 / 3), (size, epochs / 3))


def differences(old: str, new: str) -> str:
    """Name the options that differ between two recipes as JSON, for a message; empty if none does."""
    before: dict[str, Any] = json.loads(old)
    after: dict[str, Any] = json.loads(new)
    return ", ".join(
        f"{name} was {before.get(name)}, now {after.get(name)}"
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    )


def _require(condition: bool, found: str, expected: str) -> None:
    if not condition:
        raise OptionError(f"{found} is not possible; expected {expected}")
