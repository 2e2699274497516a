"""From a picture of an archive to its rows, in a worker process."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2

from edgevit.errors import ImageError
from edgevit.runtime.run.hang_guard import HangGuard
from edgevit.runtime.run.options import RunOptions
from edgevit.runtime.run.result_writer import answer_record
from edgevit.runtime.sources.frames import Clock, Frame
from edgevit.runtime.sources.stop import Stop
from edgevit.runtime.stream.detections import FullNotice
from edgevit.runtime.stream.loop import Predictor, StreamCallbacks, answer
from edgevit.system.log import show_log


class OpenPredictor(Predictor, Protocol):
    """What is needed of an open Classifier."""

    @property
    def names(self) -> tuple[str, ...]: ...
    def close(self) -> None: ...


Open = Callable[[RunOptions], OpenPredictor]
"""Opens what answers; found by its name in other processes."""


@dataclass(frozen=True)
class Rows:
    """What became of a picture."""

    rows: tuple[str, ...]
    """Its rows, JSON in ASCII each."""
    error: ImageError | None = None
    """Why there are none."""


class RowMaker:
    """Answers one picture after the other; what hangs ends the process."""

    def __init__(self, predictor: Predictor, options: RunOptions) -> None:
        self._predictor, self._options = predictor, options
        self._notice = FullNotice()
        self._guard = HangGuard(Stop(), lambda text: os._exit(1))

    def __call__(self, frame: Frame) -> Rows:
        options = self._options
        try:
            with self._guard.working("a picture has not been answered"):
                found, _ = answer(self._predictor, frame, options.plan, StreamCallbacks(), Clock())
                for result in found[:1]:
                    self._notice.look(result)
                rows = tuple(
                    answer_record(
                        result, result.moment or frame.moment, top_k=options.top_k, rules=options.label_rules
                    ).to_json()
                    for result in found
                )
        except ImageError as error:
            return Rows((), error)
        return Rows(rows)


def open_rows(options: RunOptions, open_predictor: Open) -> RowMaker:
    """Open the model in a worker process, which has one thread for everything.

    Raises:
        EdgevitError: it cannot be opened.
    """
    show_log()
    cv2.setNumThreads(1)
    # what the log says of the model was said by the process that started this one
    logging.disable(logging.WARNING)
    predictor = open_predictor(options)
    logging.disable(logging.NOTSET)
    return RowMaker(predictor, options)
