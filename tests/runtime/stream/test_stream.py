"""A stream from its plan to its end: who listens while it is open, and what is left when it is over."""

import random
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgevit.runtime.moment import Moment
from edgevit.runtime.results import Result
from edgevit.runtime.sources.frames import Clock
from edgevit.runtime.sources.sample import PICTURE, SCENE
from edgevit.runtime.sources.stop import Stop
from edgevit.runtime.stream.loop import StreamCallbacks, stream
from edgevit.runtime.stream.options import StreamOptions
from edgevit.runtime.stream.plan import StreamPlan, plan_stream
from tests.ports import refusing_port
from tests.runtime.stream.test_loop import Looker
from tests.waiting import own_threads, wait_for


class Listened(Stop):
    """A stop that tells who listens to it."""

    def __init__(self) -> None:
        super().__init__()
        self.listening: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[], None]) -> None:
        super().listen(listener)
        self.listening.append(listener)

    def unlisten(self, listener: Callable[[], None]) -> None:
        super().unlisten(listener)
        self.listening.remove(listener)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.png", "c.png"):
        cv2.imwrite(str(folder / name), np.full((8, 8, 3), 90, np.uint8))
    return folder


@pytest.fixture
def camera() -> Iterator[str]:
    """The address of a camera that sends one JPEG after another, as long as somebody is there."""
    server = socket.create_server(("127.0.0.1", 0))
    pictures = [bytes(cv2.imencode(".jpg", np.full((64, 64, 3), level, np.uint8))[1]) for level in (80, 160)]

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:  # the test is over
                return
            with connection:
                try:
                    while True:
                        for picture in pictures:
                            connection.sendall(picture)
                except OSError:  # whoever listened has gone
                    pass

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def plan_of(source: str | Path, **options: object) -> StreamPlan:
    return plan_stream([str(source)], StreamOptions(**options))  # type: ignore[arg-type]


def sequence(result: Result) -> int:
    assert result.moment is not None
    return result.moment.sequence


def test_stop_asked_before_the_start_is_not_forgotten(photos: Path, camera: str) -> None:
    stop = Stop()
    stop.ask()
    assert list(stream(Looker(), plan_of(camera), StreamCallbacks(), stop)) == []
    # a file is the frame in hand
    assert len(list(stream(Looker(), plan_of(photos), StreamCallbacks(), stop))) == 1


def test_stop_asked_in_between_ends_after_the_frame_in_hand(photos: Path) -> None:
    stop = Stop()
    results = stream(Looker(), plan_of(photos), StreamCallbacks(), stop)
    assert sequence(next(results)) == 0
    stop.ask()
    assert list(results) == []


@pytest.mark.parametrize("ending", ["read to its end", "closed", "failed"])
def test_nobody_listens_and_nothing_is_to_be_ended_once_a_stream_is_over(
    photos: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, closers = Listened(), set[Callable[[], None]]()
    results = stream(Looker(), plan_of(photos), StreamCallbacks(), stop, closers)
    next(results)
    assert (len(stop.listening), len(closers)) == (1, 1)
    if ending == "read to its end":
        assert len(list(results)) == 2
    elif ending == "closed":
        results.close()
    else:
        monkeypatch.setattr(Looker, "__call__", lambda self, source, speed: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            next(results)
    assert (stop.listening, closers) == ([], set())


def test_closer_ends_a_stream_of_files_and_leaves_the_callers_stop_alone(photos: Path) -> None:
    stop, closers = Stop(), set[Callable[[], None]]()
    results = stream(Looker(), plan_of(photos), StreamCallbacks(), stop, closers)
    next(results)
    (end,) = closers
    end()
    assert list(results) == []
    assert not stop.asked


def test_closer_ends_the_thread_of_a_camera_at_once(camera: str) -> None:
    closers = set[Callable[[], None]]()
    results = stream(Looker(), plan_of(camera), StreamCallbacks(), None, closers)
    next(results)
    assert any(camera in thread.name for thread in own_threads())
    (end,) = closers
    end()
    assert not any(camera in thread.name for thread in own_threads())
    assert list(results) == []


def test_thread_of_a_camera_is_gone_once_its_stream_is_closed(camera: str) -> None:
    results = stream(Looker(), plan_of(camera), StreamCallbacks())
    next(results)
    assert any(camera in thread.name for thread in own_threads())
    results.close()
    assert not any(camera in thread.name for thread in own_threads())


def test_closer_from_another_thread_wakes_a_stream_that_waits_for_a_camera_that_is_away() -> None:
    lost: list[Moment] = []
    closers = set[Callable[[], None]]()
    callbacks = StreamCallbacks(event=lambda event: lost.append(event.moment))

    def end() -> None:
        wait_for(lambda: lost)
        for close in tuple(closers):
            close()

    ender = threading.Thread(target=end)
    ender.start()
    with refusing_port() as port:
        plan = plan_of(f"tcp://127.0.0.1:{port}")
        assert list(stream(Looker(), plan, callbacks, None, closers, draw=random.Random(1))) == []
    ender.join()


class Noting(random.Random):
    """Tells how often it was asked."""

    asked = 0

    def random(self) -> float:
        self.asked += 1
        return 0.0


@pytest.mark.parametrize("given", [True, False])
def test_attempts_to_connect_are_spread_by_chance_the_callers_or_any(
    given: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw, stop = Noting(), Stop()
    if not given:
        monkeypatch.setattr(random, "Random", lambda: draw)

    def end() -> None:
        try:
            wait_for(lambda: draw.asked)
        finally:
            stop.ask()

    ender = threading.Thread(target=end)
    ender.start()
    with refusing_port() as port:
        plan = plan_of(f"tcp://127.0.0.1:{port}")
        assert list(stream(Looker(), plan, StreamCallbacks(), stop, draw=draw if given else None)) == []
    ender.join()
    assert draw.asked


def test_clock_is_the_callers(photos: Path) -> None:
    clock = Clock(lambda: 1_800_000_000.25, lambda: 7.5)
    (first, *_) = stream(Looker(), plan_of(photos), StreamCallbacks(), clock=clock)
    assert first.moment is not None
    assert (first.moment.wall_s, first.moment.monotonic_s) == (1_800_000_000.25, 7.5)


@pytest.mark.parametrize(("task", "picture"), [("classify", PICTURE), ("detect", SCENE)])
def test_sample_is_the_picture_that_suits_the_task(
    task: str, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    looker = Looker(task=task)
    list(stream(looker, plan_of("sample"), StreamCallbacks()))
    assert looker.given == [picture]
