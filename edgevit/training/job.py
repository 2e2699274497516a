"""One training job from folders of images to a file of weights: check, initialize, train, finish, measure, write."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from torch import nn

from edgevit import __version__
from edgevit.artifact.manifest import HeldOut, Preprocess
from edgevit.errors import CheckpointError, DataError, OptionError, OutputError
from edgevit.models import create_model
from edgevit.models.weights.trained import TrainingFacts, read_training_facts
from edgevit.models.zoo.registry import check_input_size, get_spec
from edgevit.runtime.datasets.folder import read_folder
from edgevit.runtime.datasets.split import split_folder
from edgevit.schema import Range, check_options
from edgevit.training.accuracy import plain_inputs
from edgevit.training.initialize import load_initial
from edgevit.training.kinds import KINDS, Kind, LearningSet, Quality
from edgevit.training.loop import train
from edgevit.training.recipe import Recipe
from edgevit.training.result import round_to_half, write_card, write_weights
from edgevit.training.state import require
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
    val_fraction: float = 0.1
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

    @property
    def weights_file(self) -> Path:
        return self.out / f"{self.model}.safetensors"

    @property
    def kind(self) -> Kind:
        return KINDS[get_spec(self.model).task]

    def preprocess(self, size: int) -> Preprocess:
        return self.kind.preprocess(size, self.crop_pct)


@dataclass(frozen=True)
class Watcher:
    """How a job tells what it does, and learns that it should stop."""

    say: Callable[[str], None] = lambda text: None
    report: Callable[[dict[str, Any]], None] = lambda record: None
    should_stop: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Data:
    """The readable images."""

    train: LearningSet
    val: LearningSet
    held_out: HeldOut
    """Which pictures are not trained on."""
    skipped: tuple[str, ...] = field(default=())
    """Why each unreadable file was left out."""


def run_job(job: Job, watcher: Watcher) -> Quality | None:
    """Train and write `out/NAME.safetensors` and `out/NAME.json`; return the accuracy, or None if told to stop before.

    Raises:
        EdgevitError: an option, a file or a folder is not what it should be; see the errors of each step.
    """
    spec = get_spec(job.model)
    for size, _ in job.recipe.sizes:
        check_input_size(spec, (size, size))
    _claim(job)
    data = read_data(job, watcher, [Path(job.init)] if job.init else [])
    torch.manual_seed(job.recipe.seed)
    final = job.recipe.final_size
    model = create_model(job.model, len(data.train.classes), (final, final))
    start = "random weights" if job.init is None else load_initial(model, spec, job.init, data.train.classes)
    watcher.say(f"starting from {start}")
    quick = data.val.subset(range(0, len(data.val.paths), -(-len(data.val.paths) // QUICK_VALIDATION)))

    def validate(averaged: nn.Module, size: int) -> dict[str, float | None]:
        preprocessing, bfloat16 = job.preprocess(size), job.recipe.bfloat16
        quality = job.kind.measure(
            averaged, quick, preprocessing, device=job.device, bfloat16=bfloat16, workers=job.workers
        )
        return quality.figures

    outcome = train(
        model,
        data.train,
        validate,
        job.recipe,
        job.out,
        device=job.device,
        resume=job.resume,
        workers=job.workers,
        report=watcher.report,
        should_stop=watcher.should_stop,
    )
    if not outcome.finished:
        return None
    accuracy = finish(job, outcome.averaged, data, watcher)
    learned = {"started_from": start, "recipe": asdict(job.recipe)}
    write_card(job.weights_file.with_suffix(".json"), card(job, data, learned, accuracy))
    return accuracy


def _claim(job: Job) -> None:
    """Make the run's folder, and refuse to overwrite another run."""
    if job.resume:
        require(job.out / "last.pt")
    elif (job.out / "last.pt").exists():
        raise CheckpointError(
            f"{job.out} holds a run already; continue it with --resume, delete it, or give another folder with --out"
        )
    try:
        job.out.mkdir(parents=True, exist_ok=True)
        (job.out / "log.jsonl").open("a", encoding="utf-8").close()
    except OSError as error:
        raise OutputError(f"{job.out} cannot be written: {error.strerror}; give another folder with --out") from error


def read_data(job: Job, watcher: Watcher, started_from: Sequence[Path] = ()) -> Data:
    """Find the images, leave out those that cannot be read, and say what there is.

    No image that the weights in the files `started_from` were trained on is held out, where they say so.

    Raises:
        DataError: too few images, or none; or none of a class can be read.
    """
    folder = read_folder(job.data, job.kind.layout)
    for note in folder.notes():
        watcher.say(note)
    before = [read_training_facts(path) for path in started_from if path.is_file()]
    records = [facts.held_out for facts in before if facts is not None and facts.held_out is not None]
    split = split_folder(folder, job.val_fraction, records)
    listed, val = job.kind.samples(job.data, split)
    watcher.say(f"checking {len(listed.paths) + len(val.paths):,} images")
    train_samples, bad_train = job.kind.check(listed, job.workers)
    for name, before, after in zip(listed.classes, listed.counts(), train_samples.counts(), strict=False):
        if before and not after:
            raise DataError(f"class {name}: none of its {before} images can be read ({bad_train[0]}); replace them")
    val, bad_val = job.kind.check(val, job.workers)
    skipped = bad_train + bad_val
    for reason in skipped[:5]:
        watcher.say(f"skipped: {reason}")
    if len(skipped) > 5:
        watcher.say(f"skipped: {len(skipped) - 5} more; {len(skipped)} in all")
    counts = train_samples.counts()
    watcher.say(f"{len(counts)} classes, {len(train_samples.paths):,} images to train, {len(val.paths):,} held out")
    if absent := [name for name, count in zip(val.classes, val.counts(), strict=True) if not count]:
        watcher.say(f"nothing of {', '.join(absent)} is held out, so its accuracy will not be known; add images")
    if max(counts) > 3 * min(counts) and not job.recipe.balance:
        few, many = (train_samples.classes[counts.index(count)] for count in (min(counts), max(counts)))
        watcher.say(f"{many} has {max(counts):,} {job.kind.unit}, {few} only {min(counts):,}; consider --balance")
    if len(train_samples.paths) < 2:
        raise DataError(f"{job.data}: {len(train_samples.paths)} readable image to train with; add more")
    if not val.paths:
        raise DataError(f"{job.data}: none of the images held out can be read ({bad_val[0]}); replace them")
    return Data(train_samples, val, split.record, skipped)


def finish(job: Job, model: nn.Module, data: Data, watcher: Watcher) -> Quality:
    """Refresh the statistics, round the weights, measure them on all validation images, and write them."""
    if job.bn_batches:
        watcher.say("computing the BatchNorm statistics of the averaged weights")
        _refresh_statistics(job, model, data.train)
    state = round_to_half(model)
    watcher.say(f"measuring accuracy on {len(data.val.paths):,} images that were not trained on")
    preprocessing = job.preprocess(job.recipe.final_size)
    accuracy = job.kind.measure(model, data.val, preprocessing, device=job.device, workers=job.workers)
    figures = {key: None if share is None else round(share, 4) for key, share in accuracy.figures.items()}
    facts = TrainingFacts(data.train.classes, preprocessing, {**figures, "images": accuracy.images}, data.held_out)
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
