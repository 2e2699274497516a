"""Losses and returns of a live source, and how soon it is asked again; with made connections and made clocks."""

import pytest

from edgevit.errors import OptionError, SourceLostError
from edgevit.runtime.sources import live as live_module
from edgevit.runtime.sources.frames import Clock
from tests.made_connections import MakeLive, Script, event, frame


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
