"""Archives: models that do to a process what a broken picture or library may, and the rows that a run has written."""

import json
import logging
import multiprocessing
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import cv2

from edgevit.runtime.images.preprocess import Speed
from edgevit.runtime.results import Result
from edgevit.runtime.run import hang_guard
from edgevit.runtime.run.model import open_model
from edgevit.runtime.run.options import RunOptions

POISON = "poison.png"
CHANGING = ("id", "time", "preprocess_ms", "inference_ms", "postprocess_ms")
"""What two runs tell differently of the same picture."""


class Poisoned:
    """A model whose process does not survive pictures called POISON."""

    def __init__(self, options: RunOptions) -> None:
        self._model = open_model(options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __call__(self, source: list[Any], *, speed: Speed | None = None) -> list[Result]:
        if isinstance(source[0], Path) and source[0].name == POISON:
            os._exit(9)
        return self._model(source, speed=speed)


class Hanging(Poisoned):
    """A model that never answers for pictures called POISON; its process may take a second and a half."""

    def __init__(self, options: RunOptions) -> None:
        super().__init__(options)
        # the process of the tests opens the model too, and has other tests to run
        if multiprocessing.parent_process() is not None:
            hang_guard.ANSWER_S = 1.5

    def __call__(self, source: list[Any], *, speed: Speed | None = None) -> list[Result]:
        if isinstance(source[0], Path) and source[0].name == POISON:
            time.sleep(3600)
        return self._model(source, speed=speed)


class Talking(Poisoned):
    """A model that warns of itself when it is opened, and of the number of OpenCV's threads with each picture."""

    def __init__(self, options: RunOptions) -> None:
        super().__init__(options)
        logging.getLogger(__name__).warning("a model of odd classes")

    def __call__(self, source: list[Any], *, speed: Speed | None = None) -> list[Result]:
        logging.getLogger(__name__).warning("OpenCV has %d thread", cv2.getNumThreads())
        return self._model(source, speed=speed)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def kept(path: Path) -> list[str]:
    """Return what does not change of the rows of a file, sorted by picture and region."""
    found = [{name: value for name, value in row.items() if name not in CHANGING} for row in rows(path)]
    return sorted(json.dumps(row, sort_keys=True) for row in found)


def sources(path: Path) -> Counter[str]:
    return Counter(Path(row["source"]).name for row in rows(path))
