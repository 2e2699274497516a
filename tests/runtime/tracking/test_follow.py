"""From boxes to events: made scenes are counted exactly, whatever was missed, hidden or mistaken."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from edgevit.errors import OptionError
from edgevit.runtime.detection.boxes import FoundBoxes
from edgevit.runtime.events.event import Event
from edgevit.runtime.images.regions import parse_region
from edgevit.runtime.moment import Moment
from edgevit.runtime.sources.frames import Frame
from edgevit.runtime.tracking.follow import Follower, FollowRules, frame_time_s
from edgevit.runtime.tracking.lines import parse_line
from edgevit.runtime.tracking.stays import parse_stay
from tests.made_tracks import Scene, detections, film, judge, scenes

GATE = parse_line("gate=0.5,0,0.5,1")
COOP = parse_region("coop=0.5,0,0.5,1")


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("scene", scenes(), ids=lambda scene: scene.name)
def test_crossings_of_made_scenes_are_exact(scene: Scene, seed: int) -> None:
    ways = [walker.crossings() for walker in scene.walkers]
    score, _ = judge(film(scene, seed))
    assert score.crossed == (sum(inwards for inwards, _ in ways), sum(outwards for _, outwards in ways))


def _at(x: float, score: float = 0.9) -> FoundBoxes:
    box = np.array([[x - 20, 90, x + 20, 110]], np.float32)
    return FoundBoxes(box, np.array([score], np.float32), np.zeros(1, np.int64))


def _follow(follower: Follower, way: list[tuple[float, float]], source: str = "yard") -> list[Event]:
    """Return what happens while a hen is at these times at these x."""
    events: list[Event] = []
    for number, (now_s, x) in enumerate(way):
        events += follower.follow(detections(_at(x)), Moment(source, number, now_s, 1.8e9 + now_s), now_s)[1]
    return events


def _walk(begin_s: float, from_x: float, to_x: float) -> list[tuple[float, float]]:
    return [(begin_s + 0.1 * k, from_x + (to_x - from_x) * k / 30) for k in range(31)]


def test_crossing_is_an_event_with_its_counts() -> None:
    follower = Follower(FollowRules(lines=(GATE,)))
    there, back = _follow(follower, [*_walk(0, 400, 240), *_walk(3.1, 240, 400)])
    facts = {"line": "gate", "label": "hen", "track": 1, "direction": "in", "in": 1, "out": 0}
    assert json.loads(there.to_json()).items() >= {"event": "line", "source": "yard", "roi": None, **facts}.items()
    assert back.facts == facts | {"direction": "out", "out": 1}
    assert there.id != back.id


def test_two_over_the_line_in_one_frame_are_two_events() -> None:
    follower = Follower(FollowRules(lines=(GATE,)))
    events: list[Event] = []
    for number, (now_s, x) in enumerate(_walk(0, 400, 240)):
        one = _at(x)
        boxes = np.concatenate([one.boxes, one.boxes + np.array([0, 200, 0, 200], np.float32)])
        both = FoundBoxes(boxes, one.scores.repeat(2), np.zeros(2, np.int64))
        events += follower.follow(detections(both), Moment("yard", number, now_s, 1.8e9 + now_s), now_s)[1]
    assert [event.facts["in"] for event in events] == [1, 2]
    assert events[0].id != events[1].id


def test_counts_outlive_a_lost_source_but_things_do_not() -> None:
    follower = Follower(FollowRules(lines=(GATE,)))
    assert len(_follow(follower, _walk(0, 400, 240))) == 1
    follower.gap("yard")
    # on the other side as soon as the picture is back: that is another hen, and nobody saw one go back
    assert _follow(follower, [(3.2, 400), (3.3, 400)]) == []
    assert [event.facts["in"] for event in _follow(follower, _walk(3.4, 400, 240))] == [2]


def test_each_source_has_tracks_and_counts_of_its_own() -> None:
    follower = Follower(FollowRules(lines=(GATE,)))
    events = [*_follow(follower, _walk(0, 400, 240), "one"), *_follow(follower, _walk(0, 400, 240), "other")]
    assert [(event.moment.source, event.facts["track"], event.facts["in"]) for event in events] == [
        ("one", 1, 1),
        ("other", 1, 1),
    ]


def test_long_stay_is_an_event_of_its_region_and_its_end_another() -> None:
    follower = Follower(FollowRules(stays=(parse_stay("coop>=2s"),), regions=(COOP,)))
    begin, end = _follow(follower, [(0.1 * k, 400.0) for k in range(31)] + _walk(3.1, 400, 240))
    assert (begin.kind, begin.moment.roi) == ("dwell", "coop")
    assert begin.facts == {"label": "hen", "track": 1, "active": True, "value": 2.0, "limit": 2.0}
    assert (end.facts["active"], end.facts["value"]) == (False, pytest.approx(4.5, abs=0.11))


def test_stay_that_was_told_ends_with_a_lost_source() -> None:
    follower = Follower(FollowRules(stays=(parse_stay("coop>=2s"),), regions=(COOP,)))
    assert [event.facts["active"] for event in _follow(follower, [(0.1 * k, 400.0) for k in range(31)])] == [True]
    follower.gap("yard")
    (end,) = _follow(follower, [(9.0, 400.0), (9.1, 400.0)])
    assert (end.facts["active"], end.facts["value"]) == (False, pytest.approx(2.9, abs=0.11))


def test_answer_shows_sure_boxes_alone_though_doubtful_ones_keep_a_track() -> None:
    follower, shown = Follower(FollowRules()), []
    for number, score in enumerate([0.9, 0.9, 0.2, 0.2, 0.9]):
        moment = Moment("yard", number, 0.1 * number, 1.8e9)
        shown.append(follower.follow(detections(_at(300, score)), moment, 0.1 * number)[0])
    assert [None if one.ids is None else one.ids.tolist() for one in shown] == [[0], [1], [], [], [1]]
    assert [one.probs.tolist() for one in shown[1:3]] == [[pytest.approx(0.9), 0], [0, 0]]
    assert shown[4].to_plain_dict()["detections"][0]["id"] == 1


def test_same_film_gives_the_same_events() -> None:
    scene = scenes()[2]
    assert judge(film(scene, 3))[0] == judge(film(scene, 3))[0]


def test_picture_without_a_time_is_refused_in_one_line() -> None:
    photo = Frame(Path("photos/a.jpg"), Moment("photos/a.jpg", 0, 7.0, 1.8e9))
    with pytest.raises(OptionError, match="photos/a.jpg has no time; give a video, a camera or a stream"):
        frame_time_s(photo)
    assert frame_time_s(dataclasses.replace(photo, position_s=4.5)) == 4.5
    assert frame_time_s(dataclasses.replace(photo, dropped=0)) == 7.0
