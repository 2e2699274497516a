"""What to train, on what and where to put it, and how a run tells what it does."""

from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from torch import nn

from edgevit.artifact.manifest import Preprocess
from edgevit.errors import CheckpointError, OptionError
from edgevit.models.weights.resolve import RANDOM
from edgevit.models.zoo.registry import get_spec
from edgevit.runtime.backends.threads import ThreadCount
from edgevit.runtime.datasets.split import FRACTION
from edgevit.schema import Range, check_options
from edgevit.training.initialize import initial_file, name_start
from edgevit.training.kinds import KINDS, Kind, LearningSet, Quality
from edgevit.training.ranks import ALONE, Ranks
from edgevit.training.recipe import Recipe
from edgevit.training.schedule import Size
from edgevit.training.state import Conditions
from edgevit.training.teacher import Teacher


@dataclass(frozen=True)
class Job:
    """What to train, on what, and where to put it."""

    model: str
    data: Path
    out: Path
    recipe: Recipe
    crop_pct: float = 1.0
    """Share of the preprocessing's crop: below 1 the border of each image is never looked at, in training either."""
    val_fraction: float = FRACTION
    """Share of images held out where `data` has no `val` folder."""
    init: str | None = None
    """Weights to start from: a file, or the name of a registry entry; None: random ones."""
    resume: bool = False
    device: Literal["cpu", "cuda"] = "cpu"
    workers: ThreadCount = 2
    """Threads that read images."""
    bn_batches: Annotated[int, Range(0)] = 50
    """Batches, at most, to compute the BatchNorm statistics of the averaged weights from; 0 keeps their averages."""
    command: str = ""
    """How this job was asked for, for the model card."""
    freeze: bool = False
    """Train the last layer only, and leave all else as the weights of `init` have it."""
    teacher: Teacher | None = None
    """A classifier to learn from, beside the labels."""
    unlabelled: Path | None = None
    """A folder of images without a class, about which it is asked, too."""
    ranks: Ranks = ALONE
    """Which process of how many this one is."""

    def __post_init__(self) -> None:
        """Check every value once.

        Raises:
            OptionError: a value is of another type, or out of its range.
        """
        check_options(self)
        if not 0 < self.crop_pct <= 1:
            raise OptionError(f"--crop-pct {self.crop_pct:g} is not possible; expected more than 0, at most 1")
        if not 0 < self.val_fraction < 1:
            raise OptionError(f"--val-fraction {self.val_fraction:g} is not possible; expected between 0 and 1")
        if self.freeze and get_spec(self.model).task != "classify":
            raise OptionError(f"--freeze is for models that classify, which {self.model} does not; leave it out")
        if self.teacher is not None and get_spec(self.model).task != "classify":
            raise OptionError(f"--teacher is for models that classify, which {self.model} does not; leave it out")
        if self.teacher is not None and self.freeze:
            raise OptionError("--freeze fits the last layer alone, to the labels; leave out --teacher")
        if self.recipe.balance and not self.kind.balances:
            raise OptionError(
                f"--balance weighs images or pixels, and {self.model} finds boxes, of which each counts alike; leave "
                "it out, and add photos of what is rare"
            )
        if self.crop_pct != 1 and not self.kind.crops:
            raise OptionError(f"--crop-pct leaves out borders, and {self.model} looks at all of a photo; leave it out")
        if self.freeze and self.init in (None, RANDOM):
            raise OptionError("--freeze needs trained weights below the last layer; give --init FILE")
        if self.freeze and self.resume:
            raise OptionError("--freeze takes a minute and keeps no state; leave out --resume to run it again")

    @property
    def weights_file(self) -> Path:
        return self.out / f"{self.model}.safetensors"

    @property
    def state_file(self) -> Path:
        return self.out / "last.pt"

    def check_unused(self) -> None:
        """Raise CheckpointError where the folder holds a run or its weights, which would be overwritten."""
        if self.state_file.exists():
            raise CheckpointError(
                f"{self.out} holds a run already; continue it with --resume, delete it, or give another folder with "
                "--out"
            )
        if self.weights_file.exists():
            raise CheckpointError(f"{self.weights_file} is there already; delete it, or give another folder with --out")

    @property
    def initial_files(self) -> tuple[Path, ...]:
        """The file to start from, if it is on this machine: what it was trained on is not held out."""
        file = None if self.init is None else initial_file(get_spec(self.model), self.init)
        return () if file is None else (file,)

    def conditions(self, started_from: str) -> Conditions:
        """Return what decides the result besides the recipe and the images; `started_from` tells what was loaded."""
        start = name_start(get_spec(self.model), self.init)
        return Conditions(start, started_from, self.crop_pct, self.val_fraction, self.bn_batches)

    def continuing(self, conditions: Conditions, given: Container[str]) -> "Job":
        """Return this job as a run that goes on: what was not given is as it was when the run began."""
        before: dict[str, Any] = {
            "init": None if conditions.init == RANDOM else conditions.init,
            "crop_pct": conditions.crop_pct,
            "val_fraction": conditions.val_fraction,
            "bn_batches": conditions.bn_batches,
        }
        return replace(self, **{name: value for name, value in before.items() if name not in given})

    @property
    def kind(self) -> Kind:
        return KINDS[get_spec(self.model).task]

    def preprocess(self, size: Size) -> Preprocess:
        return self.kind.preprocess(get_spec(self.model), size, self.crop_pct)

    def measure(
        self, model: nn.Module, samples: LearningSet, preprocessing: Preprocess, *, bfloat16: bool = False
    ) -> Quality:
        """Return how good a model is; see measure_accuracy."""
        measure = self.kind.measure(get_spec(self.model))
        return measure(model, samples, preprocessing, device=self.device, bfloat16=bfloat16, workers=self.workers)


@dataclass(frozen=True)
class Watcher:
    """How a job tells what it does, and learns that it should stop.

    Where several processes share a job, the first one's is told, and each one's may stop it.
    """

    say: Callable[[str], None] = lambda text: None
    report: Callable[[dict[str, Any]], None] = lambda record: None
    should_stop: Callable[[], bool] = lambda: False
