"""A newer model: whatever is wrong with it, the old one stays, and the next renewal is heard."""

import queue
import threading
import time
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgevit.errors import ModelFileError
from edgevit.runtime.classifier import Classifier
from edgevit.runtime.loading import load
from edgevit.runtime.run import model_reload
from edgevit.runtime.run.model_reload import ReloadableModel
from tests.waiting import GENEROUS_S

RED = np.full((48, 64, 3), (200, 50, 25), np.uint8)
RENEWED = "the model was renewed; its self-test passed, 3 pictures"


class Told:
    """Keeps what is told of renewals."""

    def __init__(self) -> None:
        self.lines: queue.Queue[str] = queue.Queue()
        self.begun = 0

    def __call__(self, text: str | None) -> None:
        if text is None:
            self.begun += 1
        else:
            self.lines.put(text)

    def next(self) -> str:
        return self.lines.get(timeout=GENEROUS_S)


@pytest.mark.parametrize(
    "error", [ModelFileError("damaged"), IndexError("list index out of range"), MemoryError(), SystemExit(3)]
)
def test_any_trouble_leaves_the_old_model_and_the_thread(
    tiny_model: Path, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    troubles = [error]

    def open_again() -> Classifier:
        if troubles:
            raise troubles.pop()
        return load(tiny_model)

    told = Told()
    model = ReloadableModel(load(tiny_model), open_again, told)
    try:
        model.ask()
        line = told.next()
        assert line.startswith("the old model stays: ")
        assert line in caplog.messages
        assert model([RED])[0].top1 == "red"
        model.ask()
        assert told.next() == RENEWED
        assert model([RED])[0].top1 == "red"
        assert told.begun == 2
    finally:
        model.close()


def test_whoever_fails_to_listen_does_not_end_renewals(tiny_model: Path) -> None:
    heard: queue.Queue[str | None] = queue.Queue()

    def told(text: str | None) -> None:
        heard.put(text)
        raise OSError("nobody is there")

    model = ReloadableModel(load(tiny_model), lambda: load(tiny_model), told)
    try:
        for _ in range(2):
            model.ask()
            assert heard.get(timeout=GENEROUS_S) is None
            assert heard.get(timeout=GENEROUS_S) == RENEWED
    finally:
        model.close()


def test_newer_model_that_is_taken_as_its_time_runs_out_is_not_told_to_be_given_up(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, goes_on, waits = [0.0], threading.Event(), threading.Event()
    opened: list[Classifier] = []

    def open_again() -> Classifier:
        opened.append(load(tiny_model))
        return opened[-1]

    def close_slowly() -> None:
        waits.set()
        goes_on.wait(GENEROUS_S)

    monkeypatch.setattr(model_reload, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    told = Told()
    model = ReloadableModel(load(tiny_model), open_again, told)
    try:
        model.ask()
        assert told.next() == RENEWED
        # that one makes room for the next, which is taken then and has not been told of
        monkeypatch.setattr(opened[0], "close", close_slowly)
        model.ask()
        assert waits.wait(GENEROUS_S)
        now[0] = 1000.0
        time.sleep(0.5)  # it would be given up in this time
        goes_on.set()
        assert told.next() == RENEWED
    finally:
        goes_on.set()
        model.close()


def test_newer_model_that_hangs_is_given_up(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on, hangs = threading.Event(), [True]
    closed: queue.Queue[Any] = queue.Queue()

    def open_again() -> Classifier:
        newer = load(tiny_model)
        if hangs.pop() if hangs else False:
            goes_on.wait(GENEROUS_S)
            close = newer.close
            # it is closed by a thread of its own, whenever its self-test ends
            monkeypatch.setattr(newer, "close", lambda: closed.put((newer, close())))
        return newer

    told = Told()
    model = ReloadableModel(load(tiny_model), open_again, told, limit_s=0.5)
    try:
        model.ask()
        assert told.next() == "the old model stays: the newer one did not pass its self-test within 0.5 s"
        goes_on.set()
        assert model([RED])[0].top1 == "red"
        model.ask()
        while "renewed" not in told.next():
            model.ask()
    finally:
        model.close()
    # the one that came too late was closed and not taken
    late, _ = closed.get(timeout=GENEROUS_S)
    with pytest.raises(ValueError, match="closed"):
        late(RED)
