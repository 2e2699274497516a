"""A recipe from what a user gives and, for what is left out, from the number of images."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from edgevit.errors import OptionError
from edgevit.models.zoo.spec import ModelSpec, Task
from edgevit.schema import check_options, option_name
from edgevit.training.augment import AugmentationName
from edgevit.training.recipe import Recipe
from edgevit.training.schedule import Schedule

RATE, FINE_TUNING_RATE = 2e-3, 5e-4
"""Peak learning rates for random and for trained weights."""
SHORT = 500
"""A fine-tuning of fewer steps is short."""
EPOCHS, FINE_TUNING_EPOCHS, FROZEN_EPOCHS = 60.0, 15.0, 3.0
"""From random weights, from trained ones where there are many images, and where only the last layer learns."""
LOOKS, MOST_EPOCHS = 12_000.0, 45.0
"""How many images a classifier's fine-tuning looks at, each time counted, and the most times that it looks at one."""
STEPS = 15
"""Fewest steps of an epoch, where the batch allows it."""
BATCHES = (128, 64, 32, 16, 8)
"""Choices for the batch. Below 8, BatchNorm's statistics are too rough."""
LONGEST_AVERAGE = 500.0
"""Steps that the averaged weights look back, at most."""
NAMES = ("batch", "learning_rate", "warmup_epochs", "ema_decay", "augmentation")
"""Options that depend on the images."""
PLAIN = ("weight_decay", "seed", "bfloat16", "balance", "vertical_flip")
"""Options that do not; what they are where they are left out, the recipe knows."""
USELESS = ("learning_rate", "weight_decay", "warmup_epochs", "ema_decay", "bn_batches")
"""Options that decide nothing where only the last layer learns."""
CHANGES = ("augmentation", "vertical_flip")
"""Options about random changes, which there are none of where a last layer learns from a single look at each image."""
MANY = 5000
"""So many images allow strong augmentation: fewer are seen too seldom for it."""
BOX_STEPS = 1000.0
"""Steps in which a detector learns its classes..."""
BOX_EPOCHS = (30.0, 100.0)
"""...and the fewest and most epochs that they may take."""
BOX_RATE, ANCHOR_RATE = 2e-3, 2e-4
"""Peak learning rates of detectors without anchors, and of RetinaNets, which a higher one throws off the track."""
BOX_BATCHES = (16, 8)
MANY_STEPS = 125
"""An epoch of a detector has so many before its batch is made larger."""


@dataclass(frozen=True)
class Choices:
    """What a user says of a recipe; None is left to the number of images."""

    schedule: Schedule
    batch: int | None = None
    learning_rate: float | None = None
    warmup_epochs: float | None = None
    ema_decay: float | None = None
    augmentation: AugmentationName | None = None
    weight_decay: float | None = None
    seed: int | None = None
    bfloat16: bool | None = None
    balance: bool | None = None
    vertical_flip: bool | None = None

    def __post_init__(self) -> None:
        """Check every value once.

        Raises:
            OptionError: a value is of another type.
        """
        check_options(self)

    def continuing(self, recipe: Recipe) -> "Choices":
        """Return these choices for a run that goes on: what was left out is as in its recipe."""
        schedule = self.schedule
        if schedule.is_empty:
            schedule = Schedule(sizes=recipe.sizes)
        elif schedule.sizes is None and schedule.imgsz is None:
            schedule = replace(schedule, imgsz=recipe.final_size)
        elif schedule.lacks_epochs:
            schedule = replace(schedule, epochs=recipe.epochs)
        before = {name: getattr(recipe, name) for name in (*NAMES, *PLAIN) if getattr(self, name) is None}
        return replace(self, schedule=schedule, **before)

    def fill(
        self, images: int, spec: ModelSpec, *, fine_tuning: bool, freeze: bool, **others: Any
    ) -> tuple[Recipe, str]:
        """Return the recipe, and a line that names the options that were left out, with what they became.

        Args:
            images: how many there are to train on.
            spec: the model; a square of its own height is the input's size, where none was given.
            fine_tuning: whether trained weights are there to start from.
            freeze: whether only the last layer learns.
            others: more fields of the recipe, where these choices leave them out.

        Raises:
            OptionError: a value is out of its range.
        """
        if freeze:
            refuse_useless(vars(self))
        habits = find_habits(spec)
        batch = habits.batch(images) if self.batch is None else self.batch
        epochs = FROZEN_EPOCHS if freeze else habits.epochs(images, batch, fine_tuning)
        sizes = self.schedule.phases(spec.preprocess.size[0], epochs, progressive=not fine_tuning and not freeze)
        total, taught = sum(each for _, each in sizes), others.get("teacher") is not None
        if freeze and (len(sizes) > 1 or total < 1):
            odd = f"{len(sizes)} sizes" if len(sizes) > 1 else f"{total:g} epochs"
            raise OptionError(
                f"--freeze looks at each image once or more, all at one size, and here are {odd}; give --imgsz, and "
                "--epochs of 1 or more"
            )
        once = freeze and total == 1
        if once and (idle := next((name for name in CHANGES if getattr(self, name)), None)):
            raise OptionError(
                f"--freeze with --epochs 1 looks at each image as it is, and has no use for {option_name(idle)}; "
                "leave it out, or give more --epochs"
            )
        useless = (*USELESS, *CHANGES) if once else USELESS if freeze else ()
        found = {
            "batch": batch,
            "learning_rate": habits.rate(total * images / batch, fine_tuning),
            "warmup_epochs": min(habits.longest_warmup, total / 10),
            "ema_decay": choose_ema_decay(total * images / batch),
            "augmentation": choose_augmentation(images, fine_tuning=fine_tuning, taught=taught),
        }
        given = {name: value for name in (*NAMES, *PLAIN) if (value := getattr(self, name)) is not None}
        left_out = {name: found[name] for name in NAMES if name not in given and name not in useless}
        if self.schedule.lacks_epochs:
            left_out = {"epochs": epochs, **left_out}
        return Recipe(sizes=sizes, **{**found, **others, **given}), describe(left_out, images, batch)


def refuse_useless(options: Mapping[str, Any]) -> None:
    """Raise OptionError where one was given that decides nothing about a last layer alone."""
    if odd := next((name for name in USELESS if options.get(name) is not None), None):
        raise OptionError(f"--freeze has no use for {option_name(odd)}; leave it out")


def choose_batch(images: int) -> int:
    """Return the largest batch of which an epoch has STEPS steps, or the smallest."""
    return next((batch for batch in BATCHES if images >= STEPS * batch), BATCHES[-1])


def choose_box_batch(images: int) -> int:
    """Return the batch of a detector, small so that few pictures give many steps."""
    return next((batch for batch in BOX_BATCHES if images >= MANY_STEPS * batch), BOX_BATCHES[-1])


def choose_epochs(images: int, batch: int, fine_tuning: bool) -> float:
    """Return the passes over the images, however many they are."""
    return FINE_TUNING_EPOCHS if fine_tuning else EPOCHS


def choose_class_epochs(images: int, batch: int, fine_tuning: bool) -> float:
    """Return the passes over the images of a classifier: more over few."""
    if not fine_tuning:
        return EPOCHS
    return float(round(min(MOST_EPOCHS, max(FINE_TUNING_EPOCHS, LOOKS / images))))


def choose_box_epochs(images: int, batch: int, fine_tuning: bool) -> float:
    """Return the passes over the pictures of a detector, few of which make few steps."""
    fewest, most = BOX_EPOCHS
    return float(round(min(most, max(fewest, BOX_STEPS * batch / images))))


def choose_rate(steps: float, fine_tuning: bool) -> float:
    """Return the peak learning rate: a short fine-tuning has to learn faster, up to twice as fast."""
    if not fine_tuning:
        return RATE
    return round(FINE_TUNING_RATE * min(2.0, max(1.0, math.sqrt(SHORT / max(1.0, steps)))), 5)


def choose_ema_decay(steps: float) -> float:
    """Return the share that a step keeps of the averaged weights, so that they look back a tenth of all steps."""
    return round(1 - 1 / min(LONGEST_AVERAGE, max(2.0, steps / 10)), 4)


def choose_augmentation(images: int, *, fine_tuning: bool, taught: bool = False) -> AugmentationName:
    """Return how much to change images: less where few of them are seen for a short time.

    Less, too, where a teacher's answers are about whole pictures.
    """
    return "moderate" if taught or (fine_tuning and images < MANY) else "strong"


def describe(left_out: dict[str, Any], images: int, batch: int) -> str:
    """Return the options that were left out, as they could be given; empty if there are none."""
    if not left_out:
        return ""
    options = " ".join(
        f"{option_name(name)} {value if isinstance(value, str) else format(value, 'g')}"
        for name, value in left_out.items()
    )
    steps = max(1, round(images / batch))
    return f"for {images:,} images, {steps:,} step{'s' if steps > 1 else ''} an epoch: {options}"


@dataclass(frozen=True)
class Habits:
    """What is usual for a task."""

    batch: Callable[[int], int]
    """The number of images to how many a step has."""
    epochs: Callable[[int, int, bool], float]
    """The number of images, those of a step, and whether trained weights are there, to the passes over the images."""
    rate: Callable[[float, bool], float]
    """All steps, and whether trained weights are there, to the peak learning rate."""
    longest_warmup: float
    """Epochs in which the rate rises, at most."""


_PICTURES = Habits(choose_batch, choose_epochs, choose_rate, 1.0)
HABITS: dict[Task, Habits] = {
    "classify": replace(_PICTURES, epochs=choose_class_epochs),
    "segment": _PICTURES,
    "detect": Habits(choose_box_batch, choose_box_epochs, lambda steps, fine_tuning: BOX_RATE, 3.0),
}
_ANCHORS = replace(HABITS["detect"], rate=lambda steps, fine_tuning: ANCHOR_RATE)


def find_habits(spec: ModelSpec) -> Habits:
    """Return what is usual for a model."""
    boxes = spec.family.boxes
    return _ANCHORS if boxes is not None and boxes.decode == "retina" else HABITS[spec.task]
