"""Models for archives that do to a process what a broken picture or a broken library may do."""

import logging
import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import cv2

from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.results import Result
from edgevit.runtime.run import hang_guard
from edgevit.runtime.run.model import open_model
from edgevit.runtime.run.options import RunOptions

POISON = "poison.png"


class Poisoned:
    """A model whose process does not survive pictures called POISON."""

    def __init__(self, options: RunOptions) -> None:
        self._model = open_model(options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __call__(self, source: list[Path] | list[RGBImage]) -> list[Result]:
        if isinstance(source[0], Path) and source[0].name == POISON:
            os._exit(9)
        return self._model(source)


class Hanging(Poisoned):
    """A model that never answers for pictures called POISON; its process may take half a second."""

    def __init__(self, options: RunOptions) -> None:
        super().__init__(options)
        # the process of the tests opens the model too, and has other tests to run
        if multiprocessing.parent_process() is not None:
            hang_guard.ANSWER_S = 0.5

    def __call__(self, source: list[Path] | list[RGBImage]) -> list[Result]:
        if isinstance(source[0], Path) and source[0].name == POISON:
            time.sleep(3600)
        return self._model(source)


class Talking(Poisoned):
    """A model that warns of itself when it is opened, and of the number of OpenCV's threads with each picture."""

    def __init__(self, options: RunOptions) -> None:
        super().__init__(options)
        logging.getLogger(__name__).warning("a model of odd classes")

    def __call__(self, source: list[Path] | list[RGBImage]) -> list[Result]:
        logging.getLogger(__name__).warning("OpenCV has %d thread", cv2.getNumThreads())
        return self._model(source)
