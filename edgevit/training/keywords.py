"""`train(...)`: what `edgevit train` does, its options as keywords."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgevit.errors import OptionError
from edgevit.models.zoo.registry import get_spec
from edgevit.training.augment import AugmentationName
from edgevit.training.hardware import Hardware, plain_memory_error, use_threads
from edgevit.training.job import Job, Watcher, run_job
from edgevit.training.kinds import Quality
from edgevit.training.recipe import Recipe, Schedule

RATE, FINE_TUNING_RATE = 2e-3, 5e-4
EPOCHS, FINE_TUNING_EPOCHS = 60.0, 15.0
"""Defaults without and with `init`."""


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


def train(
    model: str,
    data: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    init: str | os.PathLike[str] | None = None,
    resume: bool = False,
    epochs: float | None = None,
    imgsz: int | None = None,
    sizes: str | Sequence[tuple[int, float]] | None = None,
    batch: int = 128,
    learning_rate: float | None = None,
    weight_decay: float = 0.05,
    warmup_epochs: float | None = None,
    ema_decay: float = 0.998,
    augmentation: AugmentationName = "strong",
    balance: bool = False,
    crop_pct: float = 1.0,
    val_fraction: float = 0.1,
    bn_batches: int = 50,
    seed: int = 0,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    bfloat16: bool | None = None,
    workers: int = 2,
    threads: int | None = None,
    command: str = "",
    watcher: Watcher = Watcher(),  # noqa: B008 (frozen)
) -> TrainingResult:
    """Train or fine-tune a model on folders of images, one for each class, or of images and masks.

    Writes `out/MODEL.safetensors`, which the exporter reads with no further options, its facts as `out/MODEL.json`, and
    `out/last.pt`, from which a run continues. See docs/training.md.

    Args:
        model: one of `edgevit.models.list_models()`.
        data: folder of `train/` and `val/`, or of the class folders, of which a part is then held out.
        out: folder of the run; `runs/MODEL` unless given.
        init: weights to fine-tune: a file, or a name that `edgevit models MODEL` lists.
        resume: continue the run in `out`; the other options must be those that it was started with.
        epochs: passes over the images; 60 unless given, with `init` 15.
        imgsz: final image size in pixels, a multiple of 32; the model's own unless given.
        sizes: sizes and epochs, instead of both: "96*20,224*1", or ((96, 20), (224, 1)).
        batch: images in a step, at least 2.
        learning_rate: peak rate of AdamW; 0.002 unless given, with `init` 0.0005.
        weight_decay: of AdamW; biases and norms are not decayed.
        warmup_epochs: epochs in which the rate rises; a tenth of all and at most 1 unless given.
        ema_decay: share of the averaged weights that a step keeps, from 0 to below 1.
        augmentation: how much images are changed at random.
        balance: let rare classes count as much as common ones.
        crop_pct: central part of an image that is used, above 0, at most 1.
        val_fraction: share of the images held out where there is no `val` folder, between 0 and 1.
        bn_batches: batches for final BatchNorm statistics; 0 keeps their averages.
        seed: what all chance comes from: the same options give the same weights on the same machine.
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
    """
    spec = get_spec(model)
    if model != spec.name:
        raise OptionError(
            f"{model} names weights, and training starts from weights with --init; run: "
            f"`edgevit train {spec.name} --init {spec.weights[0].name} --data DIR`"
        )
    hardware, fine_tuning = Hardware(device, bfloat16, threads), init is not None
    phases = Schedule(epochs, imgsz, sizes).phases(
        spec.preprocess.size[0], FINE_TUNING_EPOCHS if fine_tuning else EPOCHS, progressive=not fine_tuning
    )
    if learning_rate is None:
        learning_rate = FINE_TUNING_RATE if fine_tuning else RATE
    if warmup_epochs is None:
        warmup_epochs = min(1.0, sum(each for _, each in phases) / 10)
    recipe = Recipe(
        sizes=phases,
        batch=batch,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        warmup_epochs=warmup_epochs,
        augmentation=augmentation,
        ema_decay=ema_decay,
        seed=seed,
        bfloat16=hardware.uses_bfloat16(),
        balance=balance,
    )
    job = Job(
        model=model,
        data=_as_path(data),
        out=Path("runs", model) if out is None else _as_path(out),
        recipe=recipe,
        crop_pct=crop_pct,
        val_fraction=val_fraction,
        init=os.fspath(init) if isinstance(init, os.PathLike) else init,
        resume=resume,
        device=hardware.choose_device(),
        workers=workers,
        bn_batches=bn_batches,
        command=command,
    )
    use_threads(hardware.threads)
    with plain_memory_error():
        accuracy = run_job(job, watcher)
    return TrainingResult(model, job.weights_file, recipe, accuracy)


def _as_path(value: str | os.PathLike[str]) -> Path:
    """Return a path; what is none is left to Job to refuse."""
    return Path(value) if isinstance(value, str | os.PathLike) else value
