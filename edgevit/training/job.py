"""One training job from folders of images to a file of weights: check, initialize, train, finish, measure, write."""

import copy
import shlex
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import nn

from edgevit import __version__
from edgevit.artifact.manifest import Preprocess
from edgevit.errors import CheckpointError, OptionError, OutputError
from edgevit.models import create_model
from edgevit.models.weights.resolve import RANDOM
from edgevit.models.weights.trained import TrainingFacts
from edgevit.models.zoo.registry import check_input_size, get_spec
from edgevit.runtime.datasets.split import FRACTION
from edgevit.schema import Range, check_options
from edgevit.training.accuracy import plain_inputs
from edgevit.training.data import Data, Listing, list_data, read_data
from edgevit.training.folders import Samples
from edgevit.training.frozen import train_head
from edgevit.training.initialize import load_initial
from edgevit.training.kinds import KINDS, Kind, LearningSet, Quality
from edgevit.training.loop import train
from edgevit.training.page import read_log, write_page
from edgevit.training.recipe import Recipe
from edgevit.training.result import round_to_half, write_card, write_weights
from edgevit.training.schedule import Size, as_pair, as_written
from edgevit.training.state import SavedRun, read_saved
from edgevit.training.statistics import reestimate_batchnorm

QUICK_VALIDATION = 1000
"""Images, evenly spaced through the validation set, that are classified after each epoch."""


@dataclass(frozen=True)
class Job:
    """What to train, on what, and where to put it."""

    model: str
    data: Path
    out: Path
    recipe: Recipe
    crop_pct: float = 1.0
    """Share of the preprocessing's crop: below 1 the border of each image is never looked at."""
    val_fraction: float = FRACTION
    """Share of images held out where `data` has no `val` folder."""
    init: str | None = None
    """Weights to start from: a file, or the name of a registry entry; None: random ones."""
    resume: bool = False
    device: Literal["cpu", "cuda"] = "cpu"
    workers: Annotated[int, Range(1)] = 2
    """Threads that read images."""
    bn_batches: Annotated[int, Range(0)] = 50
    """Batches, at most, to compute the BatchNorm statistics of the averaged weights from; 0 keeps their averages."""
    command: str = ""
    """How this job was asked for, for the model card."""
    freeze: bool = False
    """Train the last layer only, and leave all else as the weights of `init` have it."""

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

    @property
    def initial_files(self) -> tuple[Path, ...]:
        """The file to start from, if it is one: what it was trained on is not held out."""
        return () if self.init is None else (Path(self.init),)

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
    """How a job tells what it does, and learns that it should stop."""

    say: Callable[[str], None] = lambda text: None
    report: Callable[[dict[str, Any]], None] = lambda record: None
    should_stop: Callable[[], bool] = lambda: False


def run_job(job: Job, watcher: Watcher, listing: Listing | None = None) -> Quality | None:
    """Train and write `out/NAME.safetensors` and its facts; return the accuracy, or None if told to stop before.

    Whatever can be refused is refused before the pictures are read.

    Args:
        job: what to do.
        watcher: is told what happens.
        listing: the pictures of `job.data`, if they are listed already.

    Raises:
        EdgevitError: an option, a file or a folder is not what it should be; see the errors of each step.
    """
    spec = get_spec(job.model)
    for size, _ in job.recipe.sizes:
        check_input_size(spec, as_pair(size))
    if listing is None:
        listing = list_data(job.kind, job.data, job.val_fraction, job.initial_files)
    torch.manual_seed(job.recipe.seed)
    model = create_model(job.model, len(listing.train.classes), job.recipe.final_size)
    start = "random weights" if job.init is None else load_initial(model, spec, job.init, listing.train.classes)
    _claim(job, listing)
    watcher.say(f"starting from {start}")
    data = read_data(listing, job.kind, job.workers, watcher.say, balance=job.recipe.balance)
    learned = _learn_head(job, model, data, watcher) if job.freeze else _learn(job, model, data, listing, watcher)
    if learned is None:
        return None
    accuracy = finish(job, learned, data, watcher)
    facts = card(job, data, {"started_from": start, "recipe": asdict(job.recipe), "freeze": job.freeze}, accuracy)
    write_card(job.weights_file.with_suffix(".json"), facts)
    write_page(job.weights_file.with_suffix(".html"), job.model, data, accuracy, read_log(job.out), facts)
    return accuracy


def _claim(job: Job, listing: Listing) -> None:
    """Make the run's folder, and refuse to overwrite another run, or to continue one that this one is not."""
    if job.resume:
        saved = read_saved(job.state_file)
        same = replace(job.recipe, sizes=saved.recipe.sizes) == saved.recipe
        if same and job.recipe.epochs > saved.recipe.epochs and job.recipe.final_size == saved.recipe.final_size:
            raise CheckpointError(_say_longer(job, saved, len(listing.train.paths)))
        saved.check(job.state_file, job.recipe, listed=listing.train.fingerprint())
    elif job.state_file.exists():
        raise CheckpointError(
            f"{job.out} holds a run already; continue it with --resume, delete it, or give another folder with --out"
        )
    elif job.weights_file.exists():
        raise CheckpointError(f"{job.weights_file} is there already; delete it, or give another folder with --out")
    try:
        job.out.mkdir(parents=True, exist_ok=True)
        (job.out / "log.jsonl").open("a", encoding="utf-8").close()
    except OSError as error:
        raise OutputError(f"{job.out} cannot be written: {error.strerror}; give another folder with --out") from error


def _say_longer(job: Job, saved: SavedRun, images: int) -> str:
    """Return why a run cannot be resumed for more epochs than it was planned for, and the command that goes on."""
    planned = saved.recipe.epochs
    done = min(planned, saved.step * saved.recipe.batch / images)
    start = job.weights_file if job.weights_file.is_file() else job.state_file
    size = "x".join(map(str, saved.recipe.final_size))
    phases = f"{size}*{round(job.recipe.epochs - done, 2):g}"
    words = ["edgevit", "train", job.model, "--data", str(job.data), "--init", str(start), "--sizes", phases]
    words += [] if job.val_fraction == FRACTION else ["--val-fraction", f"{job.val_fraction:g}"]
    command = shlex.join([*words, "--out", f"{job.out}-longer"])
    return (
        f"--resume: {job.out} was planned for {planned:g} epochs, at whose end its learning rate is zero; for "
        f"{job.recipe.epochs:g} in all, run: `{command}`"
    )


def _learn(job: Job, model: nn.Module, data: Data, listing: Listing, watcher: Watcher) -> nn.Module | None:
    """Train all of the model; return the averaged one, or None if told to stop."""
    quick = data.val.subset(range(0, len(data.val.paths), -(-len(data.val.paths) // QUICK_VALIDATION)))

    def validate(averaged: nn.Module, size: Size) -> dict[str, float | None]:
        return job.measure(averaged, quick, job.preprocess(size), bfloat16=job.recipe.bfloat16).figures

    preprocessing = job.preprocess(job.recipe.final_size)
    outcome = train(
        model,
        data.train,
        job.kind.objective(get_spec(job.model), job.recipe, data.train, preprocessing),
        validate,
        job.recipe,
        job.out,
        device=job.device,
        resume=job.resume,
        workers=job.workers,
        listed=listing.train.fingerprint(),
        report=watcher.report,
        should_stop=watcher.should_stop,
    )
    return outcome.averaged if outcome.finished else None


def _learn_head(job: Job, model: nn.Module, data: Data, watcher: Watcher) -> nn.Module | None:
    """Train the last layer only; return the model, or None if told to stop."""
    watcher.say(f"computing what the frozen layers see in {len(data.train.paths):,} images")

    def done(step: int, steps: int) -> bool:
        watcher.report({"step": step, "of": steps, "size": as_written(job.recipe.final_size)})
        return watcher.should_stop()

    assert isinstance(data.train, Samples)
    head = model.get_submodule(get_spec(job.model).family.head.rpartition(".")[0])
    preprocessing = job.preprocess(job.recipe.final_size)
    fitted = train_head(
        model,
        head,
        data.train,
        job.recipe,
        preprocessing=preprocessing,
        device=job.device,
        workers=job.workers,
        done=done,
    )
    return model if fitted else None


def finish(job: Job, model: nn.Module, data: Data, watcher: Watcher) -> Quality:
    """Round the weights, measure them on all validation images, and write them with the better BatchNorm statistics."""
    watcher.say(f"measuring accuracy on {len(data.val.paths):,} images that were not trained on")
    preprocessing = job.preprocess(job.recipe.final_size)
    state = round_to_half(model)
    accuracy = job.measure(model, data.val, preprocessing)
    if job.bn_batches and not job.freeze:
        averaged, before = copy.deepcopy(state), accuracy
        _refresh_statistics(job, model, data.train)
        state = round_to_half(model)
        accuracy = job.measure(model, data.val, preprocessing)
        anew, kept = accuracy.main_figure, before.main_figure
        watcher.say(
            f"held out: {anew:.2%} with BatchNorm statistics computed anew, {kept:.2%} with the averaged ones; "
            f"keeping {'the averaged ones' if kept > anew else 'those computed anew'}"
        )
        if kept > anew:
            state, accuracy = averaged, before
    figures = {key: None if share is None else round(share, 4) for key, share in accuracy.figures.items()}
    facts = TrainingFacts(
        data.train.classes, preprocessing, {**figures, "images": accuracy.images}, data.held_out, accuracy.threshold
    )
    write_weights(job.weights_file, state, facts, job.model)
    return accuracy


def _refresh_statistics(job: Job, model: nn.Module, samples: LearningSet) -> None:
    """Compute the BatchNorm statistics from training images, preprocessed as on the board, at the final size.

    With augmented images, accuracy was up to 2 points lower than with the averages of a long run; with plain ones it
    was the same, and a run of few steps gains much.
    """
    batch = job.recipe.batch
    order = np.random.default_rng(job.recipe.seed).permutation(len(samples.paths))[: job.bn_batches * batch]
    if len(order) > batch:
        order = order[: len(order) // batch * batch]
    chosen = samples.subset(order.tolist())
    inputs = plain_inputs(chosen, job.preprocess(job.recipe.final_size), job.workers, batch)
    with torch.autocast(job.device, torch.bfloat16, enabled=job.recipe.bfloat16):
        reestimate_batchnorm(model, (x.to(job.device) for x in inputs))


def card(job: Job, data: Data, learned: dict[str, Any], accuracy: Quality) -> dict[str, Any]:
    """Return the facts of a model card; `learned` says how the weights came about."""

    def described(samples: LearningSet) -> dict[str, int]:
        return dict(zip(samples.classes, samples.counts(), strict=True))

    return {
        "model": job.model,
        "classes": list(data.train.classes),
        "images": {"train": described(data.train), "val": described(data.val), "unreadable": len(data.skipped)},
        **learned,
        "bn_batches": job.bn_batches,
        "preprocess": asdict(job.preprocess(job.recipe.final_size)),
        "validation": asdict(accuracy),
        "held_out": asdict(data.held_out),
        "command": job.command,
        "device": job.device,
        "threads": torch.get_num_threads(),
        "versions": {"edgevit": __version__, "torch": torch.__version__},
    }
