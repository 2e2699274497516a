"""Pictures that are black or damaged for a while, or for ever: who is told, and when a camera counts as lost."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgevit.errors import EdgevitError, ImageError, SourceLostError
from edgevit.runtime.events.event import Event
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
    # of several cameras nobody would know which one it was
    assert str(told.errors[0]).startswith("camera:0: the image is not an image")


def test_each_damaged_file_is_told() -> None:
    told = Told()
    told.run([frame(b"rubbish", k, live=False) for k in range(3)], plan_of("photos"))
    assert len(told.errors) == 3


def test_which_picture_could_not_be_read_is_told_after_why() -> None:
    told: list[tuple[str, int | None]] = []
    callbacks = StreamCallbacks(
        error=lambda error: told.append((type(error).__name__, None)),
        unread=lambda error, moment: told.append((type(error).__name__, None if moment is None else moment.sequence)),
    )
    seen: list[Picture] = [b"rubbish", b"rubbish", BRIGHT, b"rubbish"]
    items: list[Item] = [frame(each, number) for number, each in enumerate(seen)]
    list(predictions(Looker(), items, plan_of(), callbacks, Stop(), Clock()))
    # why is told once an outage
    why = ("ImageError", None)
    assert told == [why, ("ImageError", 0), ("ImageError", 1), why, ("ImageError", 3)]


def test_file_without_a_frame_is_one_that_could_not_be_read_and_a_lost_camera_is_none() -> None:
    told, unread = list[EdgevitError](), list[tuple[str, object]]()
    callbacks = StreamCallbacks(error=told.append, unread=lambda error, moment: unread.append((str(error), moment)))
    items: list[Item] = [ImageError("a.jpg does not exist"), SourceLostError("camera:1 is lost")]
    list(predictions(Looker(), items, plan_of(), callbacks, Stop(), Clock()))
    assert (told, unread) == (items, [("a.jpg does not exist", None)])


def test_picture_that_is_smaller_than_a_region_is_named(tmp_path: Path) -> None:
    path, told = tmp_path / "small.png", Told()
    assert cv2.imwrite(str(path), BRIGHT)
    plan = plan_of(str(tmp_path), roi=["gate=100,0,200,100"])
    told.run([frame(path, live=False, source=str(path)), frame(b"rubbish", live=False, source=str(path))], plan)
    region, rubbish = map(str, told.errors)
    assert region.startswith(f"{path}: region gate reaches to 300x100, but the picture is 48x32 pixels")
    assert rubbish.startswith(f"{path}: the image is not an image")
    path.write_bytes(b"rubbish")
    told.run([frame(path, live=False, source=str(path))], plan)
    # a file names itself, once
    assert str(told.errors[2]).startswith(f"{path} is not an image")


def test_camera_that_gives_only_damaged_pictures_is_lost_until_one_can_be_read() -> None:
    told = Told()
    seen: list[tuple[float, Picture]] = [(0.0, BRIGHT), (1.0, b"rubbish"), (3.0, b"rubbish"), (4.0, b"rubbish")]
    seen += [(6.0, b"rubbish"), (7.5, BLACK), (8.0, BRIGHT), (9.0, b"rubbish"), (11.0, BRIGHT)]
    told.run([frame(each, k, at_s) for k, (at_s, each) in enumerate(seen)], plan_of(stall_timeout="3s"))
    assert [(event.kind, event.moment.sequence, dict(event.facts)) for event in told.events] == [
        ("source_lost", 3, {"reason": "none of its pictures can be read"}),
        ("source_back", 5, {"away_s": 3.5}),
    ]


def test_loss_of_the_connection_ends_what_was_told_of_its_pictures() -> None:
    told = Told()
    gone = Event("source_lost", frame(b"").moment, {"reason": "gone"})
    items: list[Item] = [frame(b"rubbish", k, float(k)) for k in range(3)]
    told.run([*items, gone, frame(BRIGHT, 3, 9.0)], plan_of(stall_timeout="2s"))
    # who reads the camera tells when it is back
    assert [event.facts["reason"] for event in told.events] == ["none of its pictures can be read", "gone"]


def test_damaged_files_are_never_lost() -> None:
    told = Told()
    told.run([frame(b"rubbish", k, 10.0 * k, live=False) for k in range(5)], plan_of("photos"))
    assert told.events == []


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
