"""`train(...)`: what `edgevit train` does, its options as keywords."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from edgevit.errors import OptionError
from edgevit.models.weights.resolve import RANDOM
from edgevit.models.zoo.registry import get_spec, relatives
from edgevit.models.zoo.spec import ModelSpec
from edgevit.schema import named
from edgevit.training.augment import AugmentationName
from edgevit.training.defaults import Choices, refuse_useless
from edgevit.training.hardware import Hardware, plain_memory_error, use_threads
from edgevit.training.job import Job, Watcher
from edgevit.training.kinds import Quality
from edgevit.training.lessons import Lessons
from edgevit.training.ranks import find_ranks, joined
from edgevit.training.recipe import Recipe
from edgevit.training.run import list_job, run_job
from edgevit.training.schedule import Schedule, Size
from edgevit.training.state import read_saved


@dataclass(frozen=True)
class TrainingResult:
    """What a training run has come to."""

    model: str
    weights: Path
    """File of weights, which `edgevit.export.export` reads; not there if the run was stopped."""
    recipe: Recipe
    """What the run computes, with every default filled in."""
    accuracy: Quality | None
    """Accuracy on images that were not trained on; None if the run was told to stop: `resume` continues it."""

    @property
    def finished(self) -> bool:
        return self.accuracy is not None

    @property
    def state(self) -> Path:
        """The file from which a stopped run is resumed; there once the run has taken a step."""
        return self.weights.with_name("last.pt")

    @property
    def page(self) -> Path:
        """The run as a page: pictures per class, curves, confusions and the worst photos; there if it has finished."""
        return self.weights.with_suffix(".html")


@named
def train(
    model: str,
    data: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    init: str | os.PathLike[str] | None = None,
    freeze: bool = False,
    teacher: str | os.PathLike[str] | None = None,
    teacher_weight: float | None = None,
    temperature: float | None = None,
    teacher_mean: Sequence[float] | None = None,
    teacher_std: Sequence[float] | None = None,
    unlabelled: str | os.PathLike[str] | None = None,
    resume: bool = False,
    epochs: float | None = None,
    imgsz: int | Size | None = None,
    sizes: str | Sequence[tuple[int | Size, float]] | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
    weight_decay: float | None = None,
    warmup_epochs: float | None = None,
    ema_decay: float | None = None,
    augmentation: AugmentationName | None = None,
    vertical_flip: bool | None = None,
    balance: bool | None = None,
    crop_pct: float | None = None,
    val_fraction: float | None = None,
    bn_batches: int | None = None,
    seed: int | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    bfloat16: bool | None = None,
    workers: int = 2,
    threads: int | None = None,
    command: str = "",
    watcher: Watcher = Watcher(),  # noqa: B008 (frozen)
) -> TrainingResult:
    """Train or fine-tune a model on folders of images, one for each class, or of images with masks or boxes.

    Writes `out/MODEL.safetensors`, which the exporter reads with no further options, its facts as `out/MODEL.json`, a
    page about the run as `out/MODEL.html`, and `out/last.pt`, from which a run continues. See docs/training.md.

    In each of several processes that torchrun started, on one machine, this call does its part of one run.

    Args:
        model: one of `edgevit.models.list_models()`.
        data: folder of `train/` and `val/`, or of the class folders, of which a part is then held out.
        out: folder of the run; `runs/MODEL` unless given.
        init: weights to fine-tune: a file, a name that `edgevit models MODEL` lists, or "random"; unless given bundled
            ones that are made to be trained on, where the model has such, for boxes bundled ones of the model or its
            backbone, with `freeze` else the first of those names.
        freeze: train the last layer only, which takes a minute: a first answer.
        teacher: an ONNX or TFLite file of a classifier, of whatever classes, whose answers about the images are learnt,
            too.
        teacher_weight: how much they count, where the labels count 1; 1 unless given.
        temperature: what its answers and the model's are softened by before they are compared; 2 unless given.
        teacher_mean: mean of RGB in 0..1 that a teacher takes which edgevit did not export.
        teacher_std: the deviation.
        unlabelled: a folder of more images, at any depth and without a class, from which the teacher alone teaches.
        resume: continue the run in `out`; options that are left out are those that it was started with, those of a
            teacher aside, and others must be as they were.
        epochs: passes over the images; 60 unless given, with `init` 15, and up to 45 over fewer than 800 photos; with
            `freeze` 3; for boxes 30 to 100, which are about 1,000 steps.
        imgsz: final image size in pixels, multiples of 32: a side, or (height, width); unless given, a square of the
            model's own height.
        sizes: sizes and epochs, instead of both: "96*20,224*1", or ((96, 20), (224, 1)).
        batch: images in a step, at least 2; unless given, at most 128 and so few that an epoch has 15 steps; for
            boxes 8, or 16 of 2,000 images or more.
        learning_rate: peak rate of AdamW; 0.002 unless given, with `init` 0.0005, or up to twice that for a short run;
            for boxes 0.002, and 0.0002 for a RetinaNet.
        weight_decay: of AdamW; 0.05 unless given; biases and norms are not decayed.
        warmup_epochs: epochs in which the rate rises; a tenth of all and at most 1 unless given, for boxes 3.
        ema_decay: share of the averaged weights that a step keeps, from 0 to below 1; unless given, so that they look
            back a tenth of all steps, and at most 500.
        augmentation: how much images are changed at random; "strong" unless given, with `init` and few of them
            "moderate", with `teacher` always.
        vertical_flip: turn half of the images upside down, too, which suits pictures from above.
        balance: let rare classes count as much as common ones.
        crop_pct: central part of an image that is looked at, in training too, above 0, at most 1, which it is unless
            given.
        val_fraction: share of the images held out where there is no `val` folder, between 0 and 1; 0.1 unless given.
        bn_batches: batches for final BatchNorm statistics, 50 unless given; 0 keeps their averages.
        seed: what all chance comes from, 0 unless given: the same options give the same weights on the same machine.
        device: "auto" takes a GPU if there is one.
        bfloat16: mixed precision; where the hardware has it unless given.
        workers: threads that read images.
        threads: threads that compute, for the whole process; all cores unless given.
        command: how the run was asked for, for its facts.
        watcher: is told what happens, and can stop the run after a step.

    Raises:
        UnknownNameError: no model, or no weights of it, have this name.
        OptionError: an option is of another type, out of its range, or cannot go with another one.
        DataError: the images are not what they should be, or the loss is no longer finite.
        CheckpointError: weights cannot be read or do not fit; `out` holds another run; there is nothing to resume.
        OutputError: `out` cannot be written.
        MemoryError: the images of a step do not fit into memory.
        ProcessLostError: another process of the run has ended before its time.
    """
    spec = get_spec(model)
    if model != spec.name:
        raise OptionError(
            f"{model} names weights, and training starts from weights with --init; run: "
            f"`edgevit train {spec.name} --init {spec.weights[0].name} --data DIR`"
        )
    hardware, initial = Hardware(device, bfloat16, threads), start_of(spec, init, freeze=freeze)
    choices = Choices(
        *(Schedule(epochs, imgsz, sizes), batch, learning_rate, warmup_epochs, ema_decay, augmentation, weight_decay),
        *(seed, bfloat16, balance, vertical_flip),
    )
    told = Lessons(
        _as_path(teacher), teacher_weight, temperature, teacher_mean, teacher_std, unlabelled=_as_path(unlabelled)
    )
    taught_by = told.open(threads)
    left_out = {"bfloat16": hardware.uses_bfloat16()}

    def fill(choices: Choices, told: Lessons, images: int) -> tuple[Recipe, str]:
        others = left_out | told.for_recipe(taught_by)
        return choices.fill(images, spec, fine_tuning=initial is not None, freeze=freeze, **others)

    conditions: dict[str, Any] = {
        "init": init,
        "crop_pct": crop_pct,
        "val_fraction": val_fraction,
        "bn_batches": bn_batches,
    }
    if freeze:
        refuse_useless(conditions)
    given = {name: value for name, value in conditions.items() if value is not None}
    job = Job(
        model=model,
        data=_as_path(data),
        out=Path("runs", model) if out is None else _as_path(out),
        recipe=fill(choices, told, 1)[0],  # the options are checked before a folder is listed
        resume=resume,
        device=hardware.choose_device(),
        workers=workers,
        command=command,
        freeze=freeze,
        teacher=taught_by,
        unlabelled=told.unlabelled,
        ranks=find_ranks(),
        **(given | {"init": initial}),
    )
    if not job.ranks.leads:
        watcher = Watcher(should_stop=watcher.should_stop)
    use_threads(hardware.threads)
    with joined(job.ranks, job.device), plain_memory_error():
        if resume:
            saved = read_saved(job.state_file)
            choices, told = choices.continuing(saved.recipe), told.continuing(saved.recipe)
            job = job if saved.conditions is None else job.continuing(saved.conditions, given)
        listing = list_job(job)
        recipe, note = fill(choices, told, len(listing.train.paths))
        if note:
            watcher.say(note)
        accuracy = run_job(replace(job, recipe=recipe), watcher, listing)
    return TrainingResult(model, job.weights_file, recipe, accuracy)


def start_of(spec: ModelSpec, init: str | os.PathLike[str] | None, *, freeze: bool) -> str | None:
    """Return a file or a name to start from, None for random weights.

    Unless given it is bundled weights that are made for it, where there are such; with `freeze` else the first that the
    registry has.

    Raises:
        OptionError: with `freeze`, none was given, and the registry has none.
    """
    if init is not None:
        return None if init == RANDOM else os.fspath(init) if isinstance(init, os.PathLike) else init
    if spec.task == "detect":
        return _detector_start(spec)
    start = next((entry.name for entry in spec.weights if entry.start), None)
    if start is not None or not freeze:
        return start
    if not spec.weights:
        raise OptionError(
            f"--freeze needs trained weights below the last layer, and none of {spec.name} are published; give "
            "--init FILE"
        )
    return spec.weights[0].name


def _detector_start(spec: ModelSpec) -> str | None:
    """Return weights that a detector starts from: bundled ones of its own, or of its backbone, or else published ones.

    Of a backbone's those come first that are made to be trained on. None where nothing is published.
    """
    entries = [entry for each in relatives(spec) for entry in each.weights]
    fitness = {entry: (entry.bundled, entry in spec.weights, entry.start) for entry in entries}
    return max(entries, key=fitness.__getitem__).name if entries else None


def _as_path(value: Any) -> Any:
    """Return a path; what is none is left to whoever checks it."""
    return Path(value) if isinstance(value, str | os.PathLike) else value
