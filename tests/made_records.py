"""Made records for the tests of sinks, and a disk that is full."""

import datetime
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.runtime.addresses.destinations import parse_sink
from edgevit.runtime.events.event import Event
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import Record, Sink, event_record, result_record
from edgevit.runtime.results import Result
from edgevit.runtime.sinks.opening import SinkContext, open_sink

NAMES = ("cat", "dog", "n/a")
NOON = datetime.datetime(2026, 11, 20, 12).timestamp()
DAY_S = 86400.0


def answer(label: str = "cat", confidence: float = 0.9) -> Result:
    probs = np.full(3, (1 - confidence) / 2, np.float32)
    probs[NAMES.index(label)] = confidence
    return Result(probs, NAMES, "pen")


def moment(number: int, wall_s: float | None = None) -> Moment:
    return Moment("pen", number, float(number), NOON + number if wall_s is None else wall_s)


def scene(level: int = 100, size: tuple[int, int] = (48, 64)) -> NDArray[np.uint8]:
    return np.full((*size, 3), level, np.uint8)


def record(number: int = 0, label: str = "cat", confidence: float = 0.9, **changes: Any) -> Record:
    return result_record(answer(label, confidence), moment(number, changes.get("wall_s")), changes.get("image"), k=2)


def event(number: int = 0, *, wall_s: float | None = None) -> Record:
    return event_record(Event("label", moment(number, wall_s), {"label": "dog", "previous": "cat", "conf": 0.8}))


def open_one(text: str, **around: Any) -> Sink:
    return open_sink(parse_sink(text), SinkContext(top_k=2, **around))


@contextmanager
def small_disk(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes: writes fail as they do on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def record_fsync(monkeypatch: pytest.MonkeyPatch, fails: Callable[[Path], bool] = lambda path: False) -> list[Path]:
    """Note the paths that are given to os.fsync, in their order; those that `fails` names are refused by the disk."""
    flushed: list[Path] = []
    real = os.fsync

    def fsync(file: Any) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{file if isinstance(file, int) else file.fileno()}"))
        flushed.append(path)
        if fails(path):
            raise OSError(5, "Input/output error")
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    return flushed
