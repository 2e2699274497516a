"""The newest frame of a live source, its losses and returns; with made connections and made clocks."""

import threading
import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest

from edgevit.errors import OptionError, SourceLostError
from edgevit.runtime.backoff import Backoff
from edgevit.runtime.events.event import Event
from edgevit.runtime.sources import live as live_module
from edgevit.runtime.sources.frames import Clock, Frame
from edgevit.runtime.sources.grammar import parse_source
from edgevit.runtime.sources.live import Live
from edgevit.runtime.sources.options import SourceOptions
from edgevit.runtime.sources.raw import RawForm, RawPicture
from edgevit.runtime.sources.sampling import SamplingInterval
from edgevit.runtime.sources.stop import Stop
from tests.made_connections import Draw, Script
from tests.waiting import wait_for

SOURCE = parse_source("camera:0")


MakeLive = Callable[..., Live]


@pytest.fixture
def make_live() -> Iterator[MakeLive]:
    opened: list[Live] = []

    def make(script: Script, stop: Stop | None = None, clock: Clock | None = None, **source_options: object) -> Live:
        preprocessing = SourceOptions(**source_options)  # type: ignore[arg-type]
        opened.append(Live(SOURCE, script.connect, preprocessing, stop or Stop(), clock or Clock(), Draw()))
        return opened[-1]

    yield make
    for live in opened:
        live.close()


def frame(item: Frame | Event) -> Frame:
    assert isinstance(item, Frame)
    return item


def event(item: Frame | Event, kind: str) -> Event:
    assert isinstance(item, Event)
    assert item.kind == kind
    return item


def test_only_the_newest_frame_is_kept_and_the_others_are_counted(make_live: MakeLive) -> None:
    script = Script()
    live = make_live(script)
    script.do([b"a", b"b"], [b"c"])
    newest = frame(next(live))
    assert (newest.picture, newest.moment.sequence, newest.dropped) == (b"c", 2, 2)
    script.do([b"d"])
    newest = frame(next(live))
    assert (newest.picture, newest.moment.sequence, newest.dropped) == (b"d", 3, 2)


def test_repeated_picture_is_never_new(make_live: MakeLive) -> None:
    script = Script()
    live = make_live(script)
    script.do([b"a"])
    assert frame(next(live)).picture == b"a"
    script.do([b"a"], [b"a", b"a"], [b"b"])
    newest = frame(next(live))
    assert (newest.picture, newest.moment.sequence, newest.dropped) == (b"b", 4, 0)


def test_picture_that_is_repeated_too_long_is_frozen_once_and_thaws(make_live: MakeLive) -> None:
    now = [100.0]
    script = Script()
    live = make_live(script, clock=Clock(lambda: 1e9, lambda: now[0]), stall_s=5.0)
    script.do([b"a"])
    frame(next(live))
    for now[0] in (104.0, 105.0, 106.0, 107.0):
        script.do([b"a"])
    script.do([b"b"])
    frozen, thawed = event(next(live), "frozen"), event(next(live), "frozen")
    assert (frozen.facts["active"], frozen.moment.monotonic_s, thawed.facts["active"]) == (True, 105.0, False)
    assert frame(next(live)).picture == b"b"


def test_loss_and_return_are_one_event_each(make_live: MakeLive) -> None:
    script = Script()
    live = make_live(script)
    script.do([b"a"], ConnectionError("gone"), TimeoutError(), [b"b"])
    lost, back = event(next(live), "source_lost"), event(next(live), "source_back")
    assert lost.facts["reason"] == "gone"
    assert back.facts["away_s"] > 0
    assert frame(next(live)).picture == b"b"
    assert (script.opened, script.closed) == (3, 2)


def test_what_was_seen_before_the_loss_is_not_now(make_live: MakeLive) -> None:
    script = Script()
    live = make_live(script)
    script.do([b"old"], OSError(19, "No such device"), [b"new"])
    assert event(next(live), "source_lost").facts == {"reason": "No such device"}
    event(next(live), "source_back")
    newest = frame(next(live))
    assert (newest.picture, newest.dropped) == (b"new", 1)


def test_same_picture_after_the_return_is_not_new(make_live: MakeLive) -> None:
    """Servers that lost their camera serve its last picture to whoever connects."""
    script = Script()
    live = make_live(script)
    script.do([b"a"])
    frame(next(live))
    script.do(ConnectionError("gone"), [b"a"], [b"b"])
    event(next(live), "source_lost")
    event(next(live), "source_back")
    assert frame(next(live)).picture == b"b"


def test_stall_names_its_time(make_live: MakeLive) -> None:
    script = Script()
    live = make_live(script, stall_s=2.5)
    script.do(TimeoutError())
    assert event(next(live), "source_lost").facts["reason"] == "no picture for 2.5 s"


def test_told_not_to_wait_the_loss_is_an_error(make_live: MakeLive) -> None:
    script = Script()
    live = make_live(script, wait=False)
    script.steps.put(ConnectionError("gone"))
    event(next(live), "source_lost")
    with pytest.raises(SourceLostError, match="camera:0 is lost: gone") as caught:
        next(live)
    assert caught.value.exit_code == 4


def test_what_waiting_cannot_mend_is_an_error_at_once(make_live: MakeLive) -> None:
    script = Script()
    live = make_live(script)
    script.steps.put(OptionError("wrong for ever"))
    with pytest.raises(OptionError, match="wrong for ever"):
        next(live)


def test_dead_thread_is_an_error_and_not_silence(make_live: MakeLive) -> None:
    script = Script()
    live = make_live(script)
    script.steps.put(ZeroDivisionError("a defect"))
    with pytest.raises(ZeroDivisionError):
        next(live)


def test_end_of_a_pipe_is_no_loss_and_its_last_frame_is_seen(make_live: MakeLive) -> None:
    script = Script()
    live = make_live(script)
    script.steps.put([b"a"])
    script.steps.put(None)
    assert [frame(item).picture for item in live] == [b"a"]


def test_rhythm_is_kept_and_what_comes_between_is_not_seen(make_live: MakeLive) -> None:
    now = [0.0]
    script = Script()
    live = make_live(script, clock=Clock(lambda: 1e9, lambda: now[0]), pace=SamplingInterval(5.0))
    seen = []
    for now[0] in (0.0, 5.0, 11.0, 15.0):
        script.do([f"{now[0]}-old".encode()], [f"{now[0]}".encode()])
        seen.append(frame(next(live)).picture)
    assert seen == [b"0.0", b"5.0", b"11.0", b"15.0"]


def test_camera_that_is_read_on_demand_is_not_asked_before_anybody_wants_a_frame(make_live: MakeLive) -> None:
    script = Script(on_demand=True)
    script.steps.put([b"a"])
    live = make_live(script)
    wait_for(lambda: live._connection is not None)
    time.sleep(0.05)  # a picture that was not asked for would be taken in this time
    assert script.steps.qsize() == 1
    assert frame(next(live)).picture == b"a"


def test_connection_is_to_the_source_as_it_is_to_be_read_and_keeps_no_process_from_its_end(
    make_live: MakeLive,
) -> None:
    script = Script()
    live = make_live(script, stall_s=2.5)
    wait_for(lambda: script.opened == 1)
    assert script.asked == [(SOURCE, SourceOptions(stall_s=2.5))]
    assert live._thread.daemon


def test_who_waits_looks_again_when_the_next_frame_is_due(make_live: MakeLive) -> None:
    now = [0.0]
    script = Script()
    live = make_live(script, clock=Clock(lambda: 1e9, lambda: now[0]), pace=SamplingInterval(60.0))
    # due at once: whatever comes rings
    assert live.pause_s() is None
    script.do([b"a"])
    frame(next(live))
    pauses = []
    for now[0] in (0.0, 45.0, 60.0, 61.0):
        pauses.append(live.pause_s())
    assert pauses == [60.0, 15.0, None, None]


def test_camera_that_is_read_on_demand_is_asked_only_when_a_frame_is_due(make_live: MakeLive) -> None:
    now = [0.0]
    script = Script(on_demand=True)
    live = make_live(script, clock=Clock(lambda: 1e9, lambda: now[0]), pace=SamplingInterval(60.0))
    script.steps.put([b"a"])
    script.steps.put([b"b"])
    assert frame(next(live)).picture == b"a"
    assert script.steps.qsize() == 1
    now[0] = 60.0
    assert frame(next(live)).picture == b"b"


def test_wall_clock_set_back_by_a_day_changes_labels_only(make_live: MakeLive) -> None:
    now, wall = [10.0], [1_800_000_000.0]
    script = Script()
    live = make_live(script, clock=Clock(lambda: wall[0], lambda: now[0]), pace=SamplingInterval(5.0))
    script.do([b"a"])
    before = frame(next(live)).moment
    now[0], wall[0] = 15.0, wall[0] - 86_400 + 5
    script.do(ConnectionError("gone"), [b"b"])
    event(next(live), "source_lost")
    assert event(next(live), "source_back").facts["away_s"] == 0
    after = frame(next(live)).moment
    assert (after.monotonic_s - before.monotonic_s, after.wall_s - before.wall_s) == (5.0, -86_395.0)


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
        live = make_live(script)
        for step in prepare:
            script.do(step) if isinstance(step, list) else script.steps.put(step)
        assert any(thread.name == "edgevit camera:0" for thread in threading.enumerate())
        live.close()
        live.close()
        assert not any(thread.name == "edgevit camera:0" for thread in threading.enumerate())
        assert script.closed == script.opened
        assert list(live) == []


def test_warm_up_shows_nobody_the_first_pictures_of_each_connection(make_live: MakeLive) -> None:
    now = [100.0]
    script = Script()
    live = make_live(script, clock=Clock(lambda: 1e9, lambda: now[0]), warmup_s=2.0)
    for now[0], picture in ((100.0, b"a"), (101.9, b"b"), (102.0, b"c")):
        script.do([picture])
    newest = frame(next(live))
    assert (newest.picture, newest.moment.sequence, newest.dropped) == (b"c", 0, 0)
    script.do(ConnectionError("gone"), [b"d"])
    assert event(next(live), "source_lost")
    now[0] = 104.0
    script.do([b"e"])
    assert event(next(live), "source_back")
    assert frame(next(live)).picture == b"e"


def test_size_other_than_asked_for_is_said_once(make_live: MakeLive, caplog: pytest.LogCaptureFixture) -> None:
    script = Script()
    make_live(script, capture_size=(720, 1280))
    form = RawForm(480, 640, "bgr24")
    script.do([RawPicture(b"a", form)], [RawPicture(b"b", form)])
    assert caplog.messages == [
        "camera:0 gives pictures of 640x480; it does not have the 1280x720 that --capture asks for"
    ]


def test_size_of_a_jpeg_is_read_from_its_head(make_live: MakeLive, caplog: pytest.LogCaptureFixture) -> None:
    script = Script()
    make_live(script, capture_size=(48, 64))
    sizes = ((48, 64), (24, 32))
    right, wrong = (bytes(cv2.imencode(".jpg", np.zeros((*size, 3), np.uint8))[1]) for size in sizes)
    # what has no head says nothing; after the first that says it, nobody looks
    script.do([b"rubbish"], [right], [wrong])
    assert caplog.messages == []
    another = Script()
    make_live(another, capture_size=(48, 64))
    another.do([b"rubbish"], [wrong], [wrong + b"again"])
    assert caplog.messages == ["camera:0 gives pictures of 32x24; it does not have the 64x48 that --capture asks for"]


def test_size_that_was_asked_for_is_no_news(make_live: MakeLive, caplog: pytest.LogCaptureFixture) -> None:
    script = Script()
    make_live(script, capture_size=(480, 640))
    script.do([RawPicture(b"a", RawForm(480, 640, "bgr24"))])
    assert caplog.messages == []


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """After how many failures in a row each pause was; none of them is waited for."""
    found: list[int] = []

    class Noting(Backoff):
        def wait_s(self, failures: int, chance: float) -> float:
            found.append(failures)
            return 0.0

    monkeypatch.setattr("edgevit.runtime.sources.live.BACKOFF", Noting())
    return found


def test_camera_that_is_away_is_asked_more_and_more_seldom(make_live: MakeLive, pauses: list[int]) -> None:
    script = Script()
    make_live(script)
    script.do([b"a"], *[ConnectionError("gone")] * 4)
    assert pauses == [1, 2, 3, 4]


def test_camera_that_comes_only_to_go_again_is_not_hurried(make_live: MakeLive, pauses: list[int]) -> None:
    now = [100.0]
    script = Script()
    make_live(script, clock=Clock(lambda: 1e9, lambda: now[0]), stall_s=5.0)
    for picture in (b"a", b"b", b"c"):
        script.do([picture])
        # as long as its stall time: that is not yet a camera that is there
        now[0] += 5.0
        script.do(ConnectionError("gone"))
    assert pauses == [1, 2, 3]


def test_camera_that_was_there_for_longer_than_its_stall_time_is_asked_soon_again(
    make_live: MakeLive, pauses: list[int]
) -> None:
    now = [100.0]
    script = Script()
    make_live(script, clock=Clock(lambda: 1e9, lambda: now[0]), stall_s=5.0)
    script.do([b"a"], *[ConnectionError("gone")] * 3)
    script.do([b"b"])
    now[0] += 5.5
    script.do(ConnectionError("gone"), ConnectionError("gone"))
    assert pauses == [1, 2, 3, 1, 2]


def test_camera_that_takes_long_to_say_nothing_is_not_asked_soon_again(make_live: MakeLive, pauses: list[int]) -> None:
    now = [100.0]
    script = Script()
    make_live(script, clock=Clock(lambda: 1e9, lambda: now[0]), stall_s=5.0)
    script.do(ConnectionError("gone"))
    now[0] += 60.0
    script.do(TimeoutError())
    assert pauses == [1, 2]


def test_pauses_begin_with_half_a_second_and_end_at_half_a_minute() -> None:
    assert [live_module.BACKOFF.wait_s(failures, 1.0) for failures in (1, 2, 6, 7, 99)] == [0.5, 1.0, 16.0, 30.0, 30.0]


def test_told_not_to_wait_endless_repetition_is_an_error_once_its_time_is_over(make_live: MakeLive) -> None:
    now = [100.0]
    script = Script()
    live = make_live(script, clock=Clock(lambda: 1e9, lambda: now[0]), stall_s=5.0, wait=False)
    script.do([b"a"])
    assert frame(next(live)).picture == b"a"
    now[0] = 104.9
    script.do([b"a"])
    assert live.poll() is None
    now[0] = 105.0
    script.do([b"a"])
    assert event(next(live), "frozen").facts == {"active": True, "repeated": True}
    with pytest.raises(SourceLostError, match=r"^camera:0 keeps repeating the same picture$"):
        next(live)


def test_frame_that_a_loss_takes_away_is_counted(make_live: MakeLive, pauses: list[int]) -> None:
    script = Script()
    live = make_live(script)
    # the second of two losses has nothing to take
    script.do([b"a"], [b"b"], ConnectionError("gone"), ConnectionError("gone"), [b"c"], [b"d"])
    event(next(live), "source_lost")
    event(next(live), "source_back")
    newest = frame(next(live))
    # a gave way to b, b to the loss, c to d
    assert (newest.picture, newest.moment.sequence, newest.dropped) == (b"d", 3, 3)


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
    live = Guarded(SOURCE, script.connect, SourceOptions(stall_s=0.001), Stop(), Clock(), Draw())
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
