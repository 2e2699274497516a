"""A teacher: any classifier that edgevit runs, asked once about each training picture, its answers kept in a file."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import Manifest, read_manifest, read_metadata
from edgevit.errors import OptionError, OutputError
from edgevit.models.weights.download import sha256_of
from edgevit.runtime.backends.session import find_backend, open_session
from edgevit.runtime.classifier import Classifier
from edgevit.runtime.detection.foreign import is_detector
from edgevit.runtime.foreign import IMAGENET_MEAN, IMAGENET_STD, UserMetadata, known_normalization
from edgevit.runtime.loading import foreign_classifier, load

ANSWERS, KEY = "teacher.f16", "teacher.json"
"""In a run's folder: the answers as rows of float16, and what they were given for."""
CHUNK = 32
"""Pictures between two writes."""
LEAST = 1e-8
"""A smaller probability counts as this one: an integer output may say 0, whose logarithm is no number."""


@dataclass(frozen=True, eq=False)
class Teacher:
    """A classifier to learn from."""

    path: Path
    classifier: Classifier
    sha256: str
    """SHA-256 of the file."""

    @property
    def classes(self) -> int:
        return len(self.classifier.names)

    @property
    def fingerprint(self) -> str:
        """What changes with the file, and with how pictures are prepared for it."""
        prepared = json.dumps(asdict(self.classifier.preprocess), sort_keys=True)
        return hashlib.sha256(f"{self.sha256} {prepared}".encode()).hexdigest()[:16]

    def facts(self) -> dict[str, Any]:
        """Return what a model card says of it."""
        manifest = self.classifier.manifest
        of = None if manifest is None else {"model": manifest.model, **asdict(manifest.weights)}
        return {"file": self.path.name, "sha256": self.sha256, "classes": self.classes, "exported_from": of}


def open_teacher(
    path: Path, mean: Sequence[float] | None = None, std: Sequence[float] | None = None, threads: int | None = None
) -> Teacher:
    """Open a classifier to learn from; its class names need not be known.

    Args:
        path: an ONNX or TFLite file.
        mean: mean of RGB in 0..1 that a model takes which edgevit did not export, unless its file says so.
        std: the deviation.
        threads: how many to use; see `edgevit.load`.

    Raises:
        OptionError: it does not classify, answers yes or no for each class, or must be told something.
        ModelFileError: the file is missing, damaged, or no model that can be run.
    """
    told = UserMetadata(mean=mean, std=std)
    find_backend(path)
    manifest = read_manifest(path)
    opened = _foreign(path, told, threads) if manifest is None else _exported(path, manifest, told, threads)
    if opened.meaning.multi_label:
        raise OptionError(
            f"--teacher {path} says yes or no for each of {len(opened.names)} classes; expected a model that chooses "
            "one of them"
        )
    return Teacher(path, opened, sha256_of(path))


def _exported(path: Path, manifest: Manifest, told: UserMetadata, threads: int | None) -> Classifier:
    if manifest.task != "classify":
        raise OptionError(f"--teacher {path} is a model for the task {manifest.task!r}; expected one that classifies")
    if told.options():
        raise OptionError(
            f"--teacher {path} was exported by edgevit and carries its own normalisation; leave out --teacher-"
            f"{told.options()[0]}"
        )
    return load(path, threads)


def _foreign(path: Path, told: UserMetadata, threads: int | None) -> Classifier:
    metadata = read_metadata(path)
    if is_detector(path, metadata, told):
        raise OptionError(f"--teacher {path} finds boxes; expected a model that classifies")
    session = open_session(path, threads)
    if 0 in session.input_shape[2:]:
        raise OptionError(f"--teacher {path} takes images of any size; export it for the size it was trained with")
    nothing = told.mean is None and told.std is None and known_normalization(metadata, session.tensors.limits) is None
    if nothing or (told.mean is None) != (told.std is None):
        raise OptionError(
            f"--teacher {path} was not exported by edgevit, so its normalisation is unknown: give --teacher-mean and "
            f"--teacher-std (models trained on ImageNet mostly have {IMAGENET_MEAN} and {IMAGENET_STD})"
        )
    return foreign_classifier(path, session, told, metadata, named=False)


def ask(
    teacher: Teacher, paths: Sequence[Path], out: Path, done: Callable[[int], bool] = lambda count: False
) -> NDArray[np.float16] | None:
    """Return the logarithms of the teacher's probabilities, (N, classes), as a file in memory's place.

    What a run's folder has of them is kept, unless it is another teacher's or about other pictures.

    Args:
        teacher: who answers.
        paths: the N pictures, which are prepared as the teacher takes them.
        out: the run's folder.
        done: told after each CHUNK how many pictures are answered; True stops.

    Returns:
        The answers; None if told to stop before the last.

    Raises:
        ImageError: a picture has become unreadable.
        ModelFileError: the teacher fails.
        OutputError: the answers cannot be written.
    """
    file = out / ANSWERS
    try:
        first = answered(teacher, paths, out)
        if not first:
            file.unlink(missing_ok=True)
            (out / KEY).write_text(_key(teacher, paths), encoding="utf-8")
        with file.open("ab") as rows:
            rows.truncate(first * _row(teacher))
            for count, answers in _answers(teacher, paths, first):
                rows.write(answers.tobytes())
                rows.flush()
                if done(count) and count < len(paths):
                    return None
    except OSError as error:
        raise OutputError(f"{file} cannot be written ({error}); free some space, or give another --out") from error
    return read_answers(teacher, len(paths), out)


def read_answers(teacher: Teacher, count: int, out: Path) -> NDArray[np.float16]:
    """Return a run's answers about so many pictures, (count, classes), as a file in memory's place."""
    return np.memmap(out / ANSWERS, np.float16, "r", shape=(count, teacher.classes))


def answered(teacher: Teacher, paths: Sequence[Path], out: Path) -> int:
    """Return about how many of the pictures a run's folder has this teacher's answers."""
    file, key = out / ANSWERS, out / KEY
    if not file.is_file() or not key.is_file() or key.read_bytes() != _key(teacher, paths).encode():
        return 0
    return min(file.stat().st_size // _row(teacher), len(paths))


def _answers(teacher: Teacher, paths: Sequence[Path], first: int) -> Iterator[tuple[int, NDArray[np.float16]]]:
    """Yield how many pictures are answered, and the answers that are new."""
    for start in range(first, len(paths), CHUNK):
        part = paths[start : start + CHUNK]
        probabilities = np.stack([result.probs for result in teacher.classifier(list(part))])
        yield start + len(part), np.log(probabilities.clip(LEAST)).astype(np.float16)


def _row(teacher: Teacher) -> int:
    """Return the bytes of one answer."""
    return teacher.classes * np.dtype(np.float16).itemsize


def _key(teacher: Teacher, paths: Sequence[Path]) -> str:
    """Return what answers are kept under: it changes with the teacher, the pictures, their order and their sizes."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(os.fsencode(f"{path.parent.name}/{path.name}\0{path.stat().st_size}\0"))
    found = {"teacher": teacher.fingerprint, "classes": teacher.classes, "pictures": digest.hexdigest()}
    return json.dumps(found, indent=2) + "\n"
