"""The newest frame of a live source, in its rhythm; with made connections and made clocks."""

import time

from edgevit.runtime.sources.frames import Clock
from edgevit.runtime.sources.sampling import SamplingInterval
from tests.made_connections import MakeLive, Script, event, frame
from tests.waiting import wait_for


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
