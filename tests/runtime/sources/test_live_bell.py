"""Who waits for a live source is woken by whatever there is to be seen; and what its own thread waits for."""

import logging
import queue
import time
from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest

from edgevit.runtime.backoff import Backoff
from edgevit.runtime.events.event import Event
from edgevit.runtime.sources import live as live_module
from edgevit.runtime.sources.frames import Clock, Frame
from edgevit.runtime.sources.grammar import parse_source
from edgevit.runtime.sources.live import Live
from edgevit.runtime.sources.options import SourceOptions
from edgevit.runtime.sources.sampling import SamplingInterval
from edgevit.runtime.sources.several import LiveSet
from edgevit.runtime.sources.stop import Stop
from tests.made_connections import Draw, Script
from tests.waiting import wait_for

Bell: TypeAlias = "queue.SimpleQueue[None]"


@pytest.fixture
def bell() -> Bell:
    return queue.SimpleQueue()


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def now() -> list[float]:
    """The time, in seconds, which stands still unless it is changed."""
    return [100.0]


@pytest.fixture
def live(script: Script, bell: Bell, now: list[float]) -> Iterator[Live]:
    clock = Clock(lambda: 1e9, lambda: now[0])
    opened = Live(parse_source("camera:0"), script.connect, SourceOptions(stall_s=5.0), Stop(), clock, Draw(), bell)
    yield opened
    opened.close()


def rung(bell: Bell) -> int:
    """Return how often the bell rang since it was last asked."""
    times = 0
    while not bell.empty():
        bell.get()
        times += 1
    return times


def test_first_frame_rings_and_those_that_replace_it_do_not(live: Live, script: Script, bell: Bell) -> None:
    script.do([b"a"])
    assert rung(bell) == 1
    script.do([b"b"], [b"c"])
    assert rung(bell) == 0
    next(live)
    script.do([b"d"])
    assert rung(bell) == 1


def test_each_event_rings(live: Live, script: Script, bell: Bell, now: list[float]) -> None:
    script.do([b"a"])
    assert rung(bell) == 1
    now[0] = 105.0
    script.do([b"a"])
    assert rung(bell) == 1, "frozen"
    script.do([b"b"])
    assert rung(bell) == 1, "no longer frozen; a frame waits already"
    script.do(ConnectionError("gone"))
    assert rung(bell) == 1, "lost"
    script.do([b"c"])
    assert rung(bell) == 2, "back, and a frame"


def test_end_rings(live: Live, script: Script, bell: Bell) -> None:
    script.steps.put(None)
    wait_for(lambda: not bell.empty())
    assert list(live) == []


def test_who_waits_polls_again_only_when_the_bell_rang_or_the_next_frame_is_due(
    script: Script, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float | None] = []

    class Waking:
        """A bell that is never waited for: instead, what would ring it happens."""

        def put(self, item: None) -> None:
            pass

        def get(self, timeout: float | None = None) -> None:
            waited.append(timeout)
            if timeout is None:
                script.do([b"a"])
            else:
                now[0] += timeout
                raise queue.Empty

    polled = 0
    poll = Live.poll

    def counting(live: Live) -> Frame | Event | None:
        nonlocal polled
        polled += 1
        assert polled < 9, "nobody waits between"
        return poll(live)

    monkeypatch.setattr(Live, "poll", counting)
    options = SourceOptions(pace=SamplingInterval(60.0))
    bell: Any = Waking()
    clock = Clock(lambda: 1e9, lambda: now[0])
    live = Live(parse_source("camera:0"), script.connect, options, Stop(), clock, Draw(), bell)
    try:
        assert isinstance(next(live), Frame)
        script.do([b"b"])
        assert isinstance(next(live), Frame)
    finally:
        live.close()
    assert waited == [None, 60.0]
    assert polled == 4


@pytest.mark.parametrize("several", [False, True])
def test_frame_that_falls_due_right_after_nobody_took_it_is_not_waited_for_for_ever(
    script: Script, now: list[float], monkeypatch: pytest.MonkeyPatch, several: bool
) -> None:
    """It has rung when it came, and rings no more."""

    class Impatient:
        """A bell that tells who waits for it for ever."""

        def put(self, item: None) -> None:
            pass

        def get(self, timeout: float | None = None) -> None:
            assert timeout is not None, "nobody would end this wait"
            raise queue.Empty

    poll = Live.poll

    def slow(live: Live) -> Frame | Event | None:
        found = poll(live)
        now[0] += 1.0
        return found

    options, clock, bell = SourceOptions(pace=SamplingInterval(60.0)), Clock(lambda: 1e9, lambda: now[0]), Impatient()
    live = Live(parse_source("camera:0"), script.connect, options, Stop(), clock, Draw(), bell)  # type: ignore[arg-type]
    try:
        opened = LiveSet([lambda _: live]) if several else live
        if isinstance(opened, LiveSet):
            opened._bell = bell  # type: ignore[assignment]
        script.do([b"a"])
        assert isinstance(next(opened), Frame)
        script.do([b"b"])
        monkeypatch.setattr(Live, "poll", slow)
        now[0] = 159.0
        assert isinstance(next(opened), Frame)
    finally:
        live.close()


def test_stop_and_close_ring_and_a_stop_after_that_does_not(script: Script, bell: Bell) -> None:
    stop = Stop()
    live = Live(parse_source("camera:0"), script.connect, SourceOptions(), stop, Clock(), Draw(), bell)
    stop.ask()
    assert rung(bell) == 1
    live.close()
    assert rung(bell) >= 1
    another = Stop()
    live = Live(parse_source("camera:0"), script.connect, SourceOptions(), another, Clock(), Draw(), bell)
    live.close()
    rung(bell)
    another.ask()
    assert rung(bell) == 0


def test_lost_source_is_asked_again_after_a_pause_that_is_told_and_that_a_close_ends(
    live: Live, script: Script, bell: Bell, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "BACKOFF", Backoff(first_s=1000.0, most_s=1000.0))
    caplog.set_level(logging.INFO)
    script.steps.put(ConnectionError("gone"))
    wait_for(lambda: caplog.messages)
    assert caplog.messages == ["camera:0: gone; trying again in 1000.0 s"]
    time.sleep(0.05)  # it would be asked in this time
    assert (script.opened, script.closed) == (1, 1)
    rung(bell)
    live.close()
    # who waits for the source meanwhile is woken
    assert (script.opened, rung(bell)) == (1, 1)


def test_camera_that_repeats_itself_is_not_asked_again_at_once(
    bell: Bell, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "REPEAT_WAIT_S", 1000.0)
    script = Script(on_demand=True)
    clock = Clock(lambda: 1e9, lambda: now[0])
    live = Live(parse_source("camera:0"), script.connect, SourceOptions(), Stop(), clock, Draw(), bell)
    try:
        for picture in (b"a", b"a", b"b"):
            script.steps.put([picture])
        next(live)
        assert live.poll() is None
        wait_for(lambda: script.steps.qsize() == 1)
        time.sleep(0.05)  # it would be asked in this time
        assert script.steps.qsize() == 1
        assert live.poll() is None, "it is asked later, and has not failed"
    finally:
        live.close()


def test_close_interrupts_a_connection_that_waits_for_a_picture(
    live: Live, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted: list[bool] = []
    interrupt = Script.interrupt

    def noting(connection: Script) -> None:
        interrupted.append(connection is script)
        interrupt(connection)

    monkeypatch.setattr(Script, "interrupt", noting)
    script.do([b"a"])
    live.close()
    assert interrupted == [True]
    assert script.closed == 1
