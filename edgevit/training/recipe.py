"""Everything that decides what a training run computes, besides its images and initial weights."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Self

from edgevit.errors import OptionError
from edgevit.schema import Range, Seed, Share, check_options, named_fields, read_value
from edgevit.training.augment import AugmentationName
from edgevit.training.schedule import STRIDE, Size, as_pair, as_written


@named_fields
@dataclass(frozen=True)
class Recipe:
    """A run's schedule, optimizer and regularization."""

    sizes: tuple[tuple[int | Size, float], ...]
    """Image sizes in pixels with the epochs trained at each, in order: ((96, 20), ((128, 160), 1))."""
    batch: Annotated[int, Range(2)] = 128
    """Images in a step, at least 2, since BatchNorm needs more than one image."""
    learning_rate: float = 2e-3
    """Peak of AdamW's learning rate."""
    weight_decay: Annotated[float, Range(0)] = 0.05
    warmup_epochs: Annotated[float, Range(0)] = 1.0
    """Epochs in which the learning rate rises to its peak."""
    label_smoothing: Share = 0.1
    augmentation: AugmentationName = "strong"
    ema_decay: float = 0.999
    """Share of the averaged weights that a step keeps, from 0 to below 1; the average is what is written."""
    seed: Seed = 0
    bfloat16: bool = True
    balance: bool = False
    """Whether a class counts in the loss in inverse proportion to its images."""
    vertical_flip: bool = False
    """Whether half of the images stand on their heads, which suits pictures from above."""
    teacher: str | None = None
    """The fingerprint of the model that is learnt from, too; None for none."""
    teacher_weight: Annotated[float, Range(0)] = 0.0
    """How much its answers count in the loss, where the labels count 1."""
    temperature: float = 1.0
    """What both answers are softened by before they are compared."""

    def __post_init__(self) -> None:
        """Check every value once.

        Raises:
            OptionError: a value is of another type, or out of its range.
        """
        check_options(self)
        for size, epochs in self.sizes:
            name = str(size) if isinstance(size, int) else "x".join(map(str, size))
            fits = all(side > 0 and side % STRIDE == 0 for side in as_pair(size))
            _require(fits, f"image size {name}", f"a multiple of {STRIDE}")
            _require(epochs > 0, f"{epochs:g} epochs at {name} pixels", "more than 0")
        _require(bool(self.sizes), "no image size", "at least one")
        _require(self.learning_rate > 0, f"--learning-rate {self.learning_rate:g}", "more than 0")
        _require(self.temperature > 0, f"--temperature {self.temperature:g}", "more than 0")
        _require(0 <= self.ema_decay < 1, f"--ema-decay {self.ema_decay:g}", "from 0 to below 1")
        # a square is written in one way, as recipes are compared
        object.__setattr__(self, "sizes", tuple((as_written(as_pair(size)), epochs) for size, epochs in self.sizes))

    @property
    def final_size(self) -> Size:
        """The (height, width) of the last images, and of the model's input."""
        return as_pair(self.sizes[-1][0])

    @property
    def epochs(self) -> float:
        return sum(epochs for _, epochs in self.sizes)

    def phases(self, images: int) -> Iterator[tuple[Size, range]]:
        """Yield each image size, (height, width), with its range of steps."""
        start = 0
        for size, epochs in self.sizes:
            stop = start + max(1, round(epochs * images / self.batch))
            yield as_pair(size), range(start, stop)
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

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is something else.
        """
        recipe: Self = read_value(cls, json.loads(text), "recipe")
        return recipe


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Name the options that differ, for a message; empty if none does."""
    return ", ".join(
        f"{name} was {before.get(name)}, now {after.get(name)}"
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    )


def _require(condition: bool, found: str, expected: str) -> None:
    if not condition:
        raise OptionError(f"{found} is not possible; expected {expected}")
