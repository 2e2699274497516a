"""Opening a model of any task, typed by the task that is asked for."""

import os
from collections.abc import Sequence
from typing import Literal, TypedDict, Unpack, overload

from edgevit.errors import OptionError
from edgevit.runtime import classifier
from edgevit.runtime.classifier import TASKS, Classifier
from edgevit.runtime.segmenter import Segmenter

Task = Literal["classify", "segment"]


class LoadOptions(TypedDict, total=False):
    """Options of `load`: what an exported file knows by itself, and other models must be told."""

    labels: str | os.PathLike[str] | Sequence[str] | None
    mean: Sequence[float] | None
    std: Sequence[float] | None
    imgsz: int | tuple[int, int] | None
    interpolation: str | None
    crop_pct: float | None
    squash: bool | None
    bgr: bool | None
    levels: Sequence[float] | None
    outputs: str | None
    output: str | None


Path = str | os.PathLike[str]


@overload
def load(
    path: Path, threads: int | None = None, *, task: Literal["segment"], **options: Unpack[LoadOptions]
) -> Segmenter: ...
@overload
def load(
    path: Path, threads: int | None = None, *, task: Literal["classify"] | None = None, **options: Unpack[LoadOptions]
) -> Classifier: ...
def load(
    path: Path, threads: int | None = None, *, task: Task | None = None, **options: Unpack[LoadOptions]
) -> Classifier:
    """Open a model for classifying images, or for segmenting them.

    A file written by `edgevit export` knows its labels and preprocessing. For any other model they must be given.

    Args:
        path: the model's file.
        threads: how many to use; None for EDGEVIT_THREADS, OMP_NUM_THREADS, or what the board's profile recommends.
        task: "classify" or "segment": what the file must do, and what type checkers take the answers for; None for
            whatever it does.
        options: labels (class names, or the path of a labels file; for an exported model they replace its own); and
            for other models only mean and std (of RGB in 0..1), imgsz ((height, width) in pixels, or one number),
            interpolation ("bicubic", the default, or "bilinear"), crop_pct (share of the scaled image's short side
            that is cropped, 0.875 by default), squash (scale without keeping the aspect), bgr (the model takes blue,
            green, red), levels ((low, high), black and white of pictures of more than eight bits), outputs ("logits",
            "probabilities" or "sigmoid"; by default what the graph's last operators tell) and output (the name of the
            one to take of several).

    Raises:
        ModelFileError: the file is missing, damaged, or not a model that can be run.
        OptionError: it does something else than `task`, what was given does not fit the model, or something that is
            needed was not given.
    """
    if task is not None and task not in TASKS:
        raise OptionError(f"--task is {task!r}, expected one of {', '.join(TASKS)}")
    model = classifier.load(path, threads, **options)
    if task is not None and model.task != task:
        model.close()
        raise OptionError(f"{os.fspath(path)} is a model for the task {model.task!r}, not {task!r}; leave out --task")
    return model
