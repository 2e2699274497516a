"""What a live source looks at in its pictures: whether they are warm, and as large as was asked for."""

import cv2
import numpy as np
import pytest

from edgevit.runtime.sources.frames import Clock
from edgevit.runtime.sources.raw import RawForm, RawPicture
from tests.made_connections import MakeLive, Script, event, frame


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
