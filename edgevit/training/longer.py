"""More epochs than a run was planned for: the command that trains on, with all that the run was asked for."""

import shlex
from dataclasses import asdict, replace
from typing import Any

from edgevit.models.zoo.registry import get_spec
from edgevit.schema import option_name
from edgevit.training.defaults import NAMES, PLAIN, Choices
from edgevit.training.hardware import Hardware
from edgevit.training.job import Job
from edgevit.training.lessons import as_words
from edgevit.training.schedule import Schedule
from edgevit.training.state import SavedRun


def say_longer(job: Job, saved: SavedRun, images: int) -> str:
    """Return why a run cannot be resumed for more epochs than it was planned for, and the command that goes on."""
    planned = saved.recipe.epochs
    done = min(planned, saved.step * saved.recipe.batch / images)
    start = job.weights_file if job.weights_file.is_file() else job.state_file
    size = "x".join(map(str, saved.recipe.final_size))
    phases = f"{size}*{round(job.recipe.epochs - done, 2):g}"
    words = [*job.ranks.program, "train", job.model, "--data", str(job.data), "--init", str(start), "--sizes", phases]
    words += [] if job.teacher is None else as_words(job.teacher, job.recipe, job.unlabelled)
    command = shlex.join([*words, *_given(job, saved, images), "--out", f"{job.out}-longer"])
    return (
        f"--resume: {job.out} was planned for {planned:g} epochs, at whose end its learning rate is zero; for "
        f"{job.recipe.epochs:g} in all, run: `{command}`"
    )


def _given(job: Job, saved: SavedRun, images: int) -> list[str]:
    """Return the words of the options that are not what they become where they are left out."""
    spec, schedule = get_spec(job.model), Schedule(sizes=saved.recipe.sizes)
    others = {"teacher": saved.recipe.teacher, "bfloat16": Hardware(job.device).uses_bfloat16()}
    usual, following = (
        choices.fill(images, spec, fine_tuning=job.init is not None, freeze=False, **others)[0]
        # the rate and the average follow from the batch, whether that was given or not
        for choices in (Choices(schedule), Choices(schedule, batch=saved.recipe.batch))
    )
    was: dict[str, Any] = asdict(saved.recipe)
    left_out: dict[str, Any] = asdict(replace(following, batch=usual.batch))
    for name in ("crop_pct", "val_fraction", "bn_batches", "workers"):
        was[name], left_out[name] = getattr(job, name), getattr(Job, name)
    was["device"], left_out["device"] = job.device, Hardware().choose_device()
    names = (*NAMES, *PLAIN, "crop_pct", "val_fraction", "bn_batches", "workers", "device")
    return [word for name in names if was[name] != left_out[name] for word in _as_words(name, was[name])]


def _as_words(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [option_name(name if value else f"no_{name}")]
    return [option_name(name), str(value)]
