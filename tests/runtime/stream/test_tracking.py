"""--track, --line and --dwell in a stream: from a video to ids, counts and events; and where they make no sense."""

import json
from pathlib import Path

import cv2
import pytest

import edgevit
from edgevit.errors import OptionError
from edgevit.runtime.detection.result import Detections
from edgevit.runtime.events.event import Event
from edgevit.runtime.moment import Moment
from edgevit.runtime.run.options import RunOptions
from edgevit.runtime.run.run import run
from edgevit.runtime.sources.frames import Clock, Frame
from edgevit.runtime.sources.opening import Item
from edgevit.runtime.sources.stop import Stop
from edgevit.runtime.stream.loop import StreamCallbacks, predictions
from edgevit.runtime.stream.options import StreamOptions
from edgevit.runtime.stream.plan import plan_stream
from tests.made_detector import scene

WAY = (0, 0, 0, 1, 1, 2, 2, 2)
"""Column of the red square in each frame; the next is a side further than the last."""
THIRD = "third=0.3333,0,0.3333,1"
"""Between the first column and the second, from above: who goes to the right goes out."""
RIGHT = "right=0.6667,0,0.3333,1"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Two frames a second: a red square goes from left to right, a blue one stands still."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 2, (192, 128))
    for column in WAY:
        writer.write(scene(("red", 0, column), ("blue", 1, 0))[..., ::-1])
    writer.release()
    return path


def test_video_gives_numbers_and_the_crossing_with_its_time(tiny_detector: Path, clip: Path) -> None:
    events: list[Event] = []
    with edgevit.load(tiny_detector) as detector:
        results = list(detector.stream(str(clip), line=[THIRD], on_event=events.append))
    assert all(isinstance(result, Detections) for result in results)
    told = [[(box["label"], box["id"]) for box in result.to_plain_dict()["detections"]] for result in results]
    assert [sorted(frame) for frame in told] == [[("blue", 0), ("red", 0)]] + [[("blue", 1), ("red", 2)]] * 7
    assert [event.facts for event in events] == [
        {"line": "third", "label": "red", "track": 2, "direction": "out", "in": 0, "out": 1, "position_s": 1.5}
    ]


def test_run_writes_the_events_after_the_answer_to_their_frame(tiny_detector: Path, clip: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    run(
        RunOptions(
            model=tiny_detector,
            sources=[str(clip)],
            line=[THIRD],
            roi=[RIGHT],
            dwell=["right>=1s"],
            to=[f"{log}?send=all"],
        )
    )
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    kinds = [(line["frame"], line.get("roi"), line.get("event", "answer")) for line in lines]
    assert [kind for kind in kinds if kind[2] != "answer"] == [(3, None, "line"), (7, "right", "dwell")]
    assert kinds[kinds.index((3, None, "line")) - 1] == (3, None, "answer")
    assert kinds[kinds.index((7, "right", "dwell")) - 1] == (7, "right", "answer")


def test_without_tracking_boxes_have_no_numbers(tiny_detector: Path, clip: Path) -> None:
    with edgevit.load(tiny_detector) as detector:
        (first, *_) = detector.stream(str(clip))
    assert "id" not in first.to_plain_dict()["detections"][0]


def test_photos_are_refused_in_one_line(tiny_detector: Path, tmp_path: Path) -> None:
    photo = tmp_path / "a.png"
    cv2.imwrite(str(photo), scene(("red", 0, 0)))
    with (
        edgevit.load(tiny_detector) as detector,
        pytest.raises(OptionError, match="a.png has no time; give a video, a camera or a stream, or leave track="),
    ):
        list(detector.stream(str(photo), track=True))


@pytest.mark.parametrize("option", [{"track": True}, {"line": [THIRD]}, {"roi": [RIGHT], "dwell": ["right>=1s"]}])
def test_other_models_than_detectors_are_refused_in_one_line(
    tiny_model: Path, clip: Path, option: dict[str, object]
) -> None:
    with (
        edgevit.load(tiny_model) as classifier,
        pytest.raises(OptionError, match=r"^track=, line= and dwell= are for detection models; .*\(classify\)"),
    ):
        classifier.stream(str(clip), **option)  # type: ignore[arg-type]


def test_line_and_dwell_turn_tracking_on() -> None:
    assert StreamOptions().follow_rules is None
    for options in (
        StreamOptions(track=True),
        StreamOptions(line=[THIRD]),
        StreamOptions(roi=[RIGHT], dwell=["right>=1s"]),
    ):
        assert options.follow_rules is not None
    assert StreamOptions(line=[THIRD]).asks_for_events("detect")
    assert not StreamOptions(track=True).asks_for_events("detect")


def test_which_boxes_count_is_no_question_for_events_and_which_labels_are_believed_is_one() -> None:
    for threshold, asks in ((0.4, False), ({"hen": 0.4}, True)):
        options = StreamOptions(threshold=threshold)
        assert options.asks_for_events("classify") is asks
        assert not options.asks_for_events("detect")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"line": [THIRD, THIRD]}, "two lines are named 'third'"),
        ({"tiles": "2x1", "dwell": ["r1c1>=1s"]}, "the picture has no region 'r1c1'"),
        ({"dwell": ["right>=1s"]}, "the picture has no region 'right'; name it with roi= right=X,Y,W,H"),
        ({"roi": [RIGHT], "dwell": ["right>=1s", "right >= 1"]}, "dwell= right>=1s stands twice"),
    ],
)
def test_what_contradicts_itself_is_refused_before_anything_is_opened(given: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        StreamOptions(**given)  # type: ignore[arg-type]


def test_lost_camera_ends_the_tracks_and_keeps_the_counts(tiny_detector: Path) -> None:
    def frames(begin_s: float) -> list[Frame]:
        moments = [Moment("camera:0", k, begin_s + 0.5 * k, 1.8e9 + begin_s + 0.5 * k) for k in range(len(WAY))]
        pictures = [scene(("red", 0, column)) for column in WAY]
        return [Frame(picture, moment, dropped=0) for picture, moment in zip(pictures, moments, strict=True)]

    lost = Event("source_lost", Moment("camera:0", 8, 4.0, 1.8e9 + 4.0), {"reason": "gone"})
    told: list[Event] = []
    plan = plan_stream(["camera:0"], StreamOptions(line=[THIRD]))
    with edgevit.load(tiny_detector) as detector:
        items: list[Item] = [*frames(0.0), lost, *frames(5.0)]
        results = list(predictions(detector, items, plan, StreamCallbacks(event=told.append), Stop(), Clock()))
    ids = [box["id"] for result in results for box in result.to_plain_dict()["detections"]]
    assert ids == [0, *[1] * 7, 0, *[2] * 7]
    assert [(event.kind, event.facts.get("track"), event.facts.get("out")) for event in told] == [
        ("line", 1, 1),
        ("source_lost", None, None),
        ("line", 2, 2),
    ]
