"""Opening a model of any task, typed by the task that is asked for."""

import functools
import importlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

import numpy as np

from edgevit.artifact.files import FilePath
from edgevit.artifact.manifest import Manifest, read_manifest, read_metadata
from edgevit.errors import ModelFileError, OptionError
from edgevit.runtime.backends.session import Session, find_backend, open_exported, open_session
from edgevit.runtime.classifier import Classifier
from edgevit.schema import check_argument, options_from

if TYPE_CHECKING:
    from edgevit.runtime.detector import Detector
    from edgevit.runtime.foreign import UserMetadata
    from edgevit.runtime.segmenter import Segmenter

Task = Literal["classify", "segment", "detect"]


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


@overload
def load(
    path: FilePath, threads: int | None = None, *, task: Literal["segment"], **options: Unpack[LoadOptions]
) -> "Segmenter": ...
@overload
def load(
    path: FilePath, threads: int | None = None, *, task: Literal["detect"], **options: Unpack[LoadOptions]
) -> "Detector": ...
@overload
def load(
    path: FilePath, threads: int | None = None, *, task: Task | None = None, **options: Unpack[LoadOptions]
) -> Classifier: ...
def load(
    path: FilePath, threads: int | None = None, *, task: Task | None = None, **options: Unpack[LoadOptions]
) -> Classifier:
    """Open a model for classifying images, segmenting them, or finding objects in them.

    A file written by `edgevit export` knows its labels and preprocessing. For any other model they must be given.

    Args:
        path: the model's file.
        threads: how many to use; None for EDGEVIT_THREADS, OMP_NUM_THREADS, or what the board's profile recommends.
        task: "classify", "segment" or "detect": what the file must do, and what type checkers take the answers
            for; None for whatever it does.
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

    A model that edgevit did not export is taken for a detector if its metadata or the form of its outputs says so, or
    `task` does; its pictures are then prepared as Ultralytics, YOLOX or SSD do unless told otherwise.

    What is returned can be pickled: the process that reads it opens the file at the same absolute path, with the same
    options.
    """
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise OptionError(f"the model is {path!r}, expected text or a path")
    opened, labels = _open(path, threads, task, options), options.get("labels")
    # another process may have another current folder
    if isinstance(labels, str | os.PathLike):
        options["labels"] = os.path.abspath(labels)
    return opened.opened_by(functools.partial(load, os.path.abspath(path), threads, task=task, **options))


def _open(path: FilePath, threads: int | None, task: Task | None, options: LoadOptions) -> Classifier:
    task = check_argument(Task | None, task, "task")
    path, told = os.fspath(path), _user_metadata(options) if options else None
    find_backend(path)
    manifest = read_manifest(path)
    if manifest is None:
        return _foreign(path, threads, told or _user_metadata({}), task)
    found = manifest.task
    if found not in TASKS:
        raise ModelFileError(
            f"{path} is a model for the task {found!r}; this edgevit knows {', '.join(TASKS)}: upgrade it"
        )
    if task is not None and found != task:
        raise OptionError(f"{path} is a model for the task {found!r}, not {task!r}; leave out --task")
    names = manifest.labels if told is None else _own_labels(path, manifest, told)
    session = open_exported(path, manifest, threads)
    module, name = TASKS[found]
    model: type[Classifier] = getattr(importlib.import_module(module), name)
    return model(session, manifest.host_preprocess, names, manifest)


TASKS = {
    "classify": ("edgevit.runtime.classifier", "Classifier"),
    "segment": ("edgevit.runtime.segmenter", "Segmenter"),
    "detect": ("edgevit.runtime.detector", "Detector"),
}
"""Task of a file to the module and the class of what `load` returns; imported when a file has that task."""


def _user_metadata(options: Mapping[str, Any]) -> "UserMetadata":
    from edgevit.runtime.foreign import UserMetadata

    return options_from(UserMetadata, options)


def _foreign(path: FilePath, threads: int | None, told: "UserMetadata", task: Task | None) -> Classifier:
    """Open a model that edgevit did not export."""
    # a file of edgevit's own needs none of this
    from edgevit.runtime.detection.foreign import is_detector, open_detector
    from edgevit.runtime.detector import Detector

    if task == "segment":
        raise OptionError(f"{path} was not exported by edgevit, which segments with files of its own alone")
    metadata = read_metadata(path)
    if task == "detect" or (task is None and is_detector(path, metadata, told)):
        opened = open_detector(path, threads, told, metadata)
        return Detector(opened.session, opened.preprocess, opened.labels, None, opened.decoder)
    return foreign_classifier(path, open_session(path, threads, output=told.output), told, metadata)


def foreign_classifier(
    path: FilePath, session: Session, told: "UserMetadata", metadata: Mapping[str, str], *, named: bool = True
) -> Classifier:
    """Return a classifier that edgevit did not export.

    Args:
        path: the model's file.
        session: the open model.
        told: what the user says.
        metadata: what the file says.
        named: whether the class names must be known; else they are numbers where nothing tells them.

    Raises:
        OptionError: something that must be told was not, or does not fit the model.
    """
    from edgevit.runtime.backends.meaning import find_meaning
    from edgevit.runtime.foreign import foreign_labels, foreign_preprocess, known_labels

    preprocessing = foreign_preprocess(path, session, told, metadata)
    count = session.run(np.zeros((1, 3, *preprocessing.size), np.float32)).shape[1]
    if named or known_labels(told, metadata) is not None:
        names = foreign_labels(path, count, told, metadata)
    else:
        names = tuple(map(str, range(count)))
    return Classifier(session, preprocessing, names, None, find_meaning(path, session, count, told.outputs))


def _own_labels(path: FilePath, manifest: Manifest, told: "UserMetadata") -> tuple[str, ...]:
    from edgevit.runtime.foreign import user_labels

    fixed = [name for name in told.options() if name != "labels"]
    if fixed:
        stored = ", or export it again with --levels LOW,HIGH" if "levels" in fixed else ""
        raise OptionError(
            f"{path} was exported by edgevit and carries its own preprocessing; leave out {fixed[0]}{stored}"
        )
    names = user_labels(told.labels)
    if names is not None and len(names) != len(manifest.labels):
        raise OptionError(f"{len(names)} labels were given, but {path} has {len(manifest.labels)} classes")
    return names or manifest.labels
