"""The thread that reads a live source: how it is ended, and what it shares."""

import threading
import time

import pytest

from edgevit.runtime.events.event import Event
from edgevit.runtime.sources.frames import Clock
from edgevit.runtime.sources.live import Live
from edgevit.runtime.sources.options import SourceOptions
from edgevit.runtime.sources.stop import Stop
from tests.made_connections import CAMERA, Draw, MakeLive, Script, event, frame
from tests.waiting import no_thread_left, own_threads, wait_for


@pytest.mark.parametrize("ask_first", [True, False])
def test_stop_wakes_who_waits(make_live: MakeLive, ask_first: bool) -> None:
    stop = Stop()
    live = make_live(Script(), stop=stop)
    asker = threading.Timer(0 if ask_first else 0.05, stop.ask)
    asker.start()
    if ask_first:
        asker.join()
    assert list(live) == []
    asker.join()


def test_thread_is_gone_once_closed_whatever_it_does(make_live: MakeLive) -> None:
    for prepare in ([], [[b"a"]], [ConnectionError("gone")]):
        script = Script()
        with no_thread_left():
            live = make_live(script)
            for step in prepare:
                script.do(step) if isinstance(step, list) else script.steps.put(step)
            assert any(thread.name == "edgevit camera:0" for thread in own_threads())
            live.close()
            live.close()
        assert script.closed == script.opened
        assert list(live) == []


class Guarded(Live):
    """A Live of which what two threads share is changed by nobody without its lock."""

    def __setattr__(self, name: str, value: object) -> None:
        shared = ("_newest", "_arrived", "_dropped", "_last", "_new_s", "_lost_s", "_frozen", "_wanted", "_connection")
        if "_thread" in self.__dict__ and name in (*shared, "_closed", "_over"):
            # a Condition tells of itself only so
            assert self._changed._is_owned(), f"{name} without the lock"  # type: ignore[attr-defined]
        super().__setattr__(name, value)


def test_what_both_threads_know_is_changed_by_one_at_a_time(pauses: list[int]) -> None:
    """Threads that race show this now and then only: so each change is asked whether it holds the lock."""
    script = Script()
    live = Guarded(CAMERA, script.connect, SourceOptions(stall_s=0.001), Stop(), Clock(), Draw())
    script.do([b"a"])
    assert frame(next(live)).picture == b"a"
    time.sleep(0.002)
    script.do([b"a"])
    event(next(live), "frozen")
    script.do(ConnectionError("gone"), [b"b"])
    assert [item.kind for item in (next(live), next(live), next(live)) if isinstance(item, Event)] == [
        "source_lost",
        "source_back",
        "frozen",
    ]
    assert frame(next(live)).picture == b"b"
    script.steps.put(None)

    def is_over() -> bool:
        try:
            return live.poll() is not None
        except StopIteration:
            return True

    # not next, which would wait for a thread that died
    wait_for(is_over)
    live.close()


def test_connection_is_to_the_source_as_it_is_to_be_read_and_keeps_no_process_from_its_end(
    make_live: MakeLive,
) -> None:
    script = Script()
    live = make_live(script, stall_s=2.5)
    wait_for(lambda: script.opened == 1)
    assert script.asked == [(CAMERA, SourceOptions(stall_s=2.5))]
    assert live._thread.daemon
