"""Pictures that are black or damaged for a while, or for ever: who is told, and when a camera counts as lost."""

import numpy as np
import pytest

from edgevit.errors import ImageError, SourceLostError
from edgevit.runtime.sources.frames import Clock, Picture
from edgevit.runtime.sources.opening import Item
from edgevit.runtime.sources.stop import Stop
from edgevit.runtime.stream.loop import StreamCallbacks, predictions
from edgevit.runtime.stream.options import StreamOptions
from edgevit.runtime.stream.plan import plan_stream
from tests.runtime.stream.test_loop import BLACK, Looker, Told, frame, plan_of

BRIGHT = np.full((32, 48, 3), 90, np.uint8)


def test_rubbish_of_a_camera_is_told_once_an_outage() -> None:
    told = Told()
    seen: list[Picture] = [b"rubbish", b"rubbish", BRIGHT, b"rubbish", b"rubbish"]
    results = told.run([frame(each, k, float(k)) for k, each in enumerate(seen)], plan_of())
    assert [result.moment and result.moment.sequence for result in results] == [2]
    assert [type(error) for error in told.errors] == [ImageError, ImageError]


def test_each_damaged_file_is_told() -> None:
    told = Told()
    told.run([frame(b"rubbish", k, live=False) for k in range(3)], plan_of("photos"))
    assert len(told.errors) == 3


def test_which_picture_could_not_be_read_is_told_after_why() -> None:
    told: list[tuple[str, int | None]] = []
    callbacks = StreamCallbacks(
        error=lambda error: told.append((type(error).__name__, None)),
        unread=lambda error, moment: told.append((type(error).__name__, moment.sequence)),
    )
    seen: list[Picture] = [b"rubbish", b"rubbish", BRIGHT, b"rubbish"]
    items: list[Item] = [frame(each, number) for number, each in enumerate(seen)]
    list(predictions(Looker(), items, plan_of(), callbacks, Stop(), Clock()))
    # once an outage, as the error
    assert told == [("ImageError", None), ("ImageError", 0), ("ImageError", None), ("ImageError", 3)]


@pytest.mark.parametrize("useless", [BLACK, b"rubbish"], ids=["black", "damaged"])
def test_camera_that_gives_nothing_usable_for_longer_than_its_stall_time_is_lost(useless: Picture) -> None:
    told = Told()
    # 1.0 is the last usable one; 4.0 is not yet beyond it, 4.5 is
    seen = [(0.0, useless), (1.0, BRIGHT), (3.5, useless), (4.0, useless)]
    items: list[Item] = [frame(each, k, at_s) for k, (at_s, each) in enumerate(seen)]
    plan = plan_of(stall_timeout="3s", wait=False)
    assert len(told.run(items, plan)) == 1
    with pytest.raises(SourceLostError, match=r"^camera:0 gave only black or damaged pictures$"):
        Told().run([*items, frame(useless, 4, 4.5)], plan)


def test_camera_that_never_gave_anything_usable_is_lost_from_its_first_picture_on() -> None:
    items: list[Item] = [frame(BLACK, k, at_s) for k, at_s in enumerate((100.0, 103.0, 103.5))]
    assert Told().run(items[:2], plan_of(stall_timeout="3s", wait=False)) == []
    with pytest.raises(SourceLostError):
        Told().run(items, plan_of(stall_timeout="3s", wait=False))


def test_black_or_damaged_camera_is_waited_for() -> None:
    items: list[Item] = [frame(b"rubbish", k, 10.0 * k) for k in range(5)]
    assert Told().run(items, plan_of(stall_timeout="3s")) == []


def test_one_black_camera_of_several_ends_nothing() -> None:
    plan = plan_stream(["camera:0", "camera:1"], StreamOptions(stall_timeout="3s", wait=False))
    assert Told().run([frame(BLACK, k, 10.0 * k) for k in range(5)], plan) == []


def test_damaged_files_are_no_loss() -> None:
    items: list[Item] = [frame(b"rubbish", k, 10.0 * k, live=False) for k in range(5)]
    assert Told().run(items, plan_of("-", stall_timeout="3s", wait=False)) == []
