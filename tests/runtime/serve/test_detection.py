"""The page of a detector: boxes on the picture, counts beside it and in the metrics, and no buttons for classes."""

import json
import urllib.parse
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.runtime.events.event import Event
from edgevit.runtime.images.palette import spread_palette
from edgevit.runtime.images.regions import Region
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import event_record
from edgevit.runtime.serve.actions import act
from edgevit.runtime.serve.answers import ROUTES, PageState
from edgevit.runtime.serve.page import panel
from edgevit.runtime.serve.status import RunStatus
from edgevit.runtime.serve.view import View
from edgevit.runtime.sinks.hard_boxes import BoxHarvestSink, UnsureRules
from tests.made_detections import NAMES, SIZE, counted, detections, record

GREY = np.full((*SIZE, 3), 114, np.uint8)
BOX = (40.0, 40.0, 120.0, 100.0)
COOP = Region("coop", 0, 0, 0.5, 1)


def shown(view: View) -> NDArray[np.int_]:
    found = view.next_jpeg(0, 0)
    assert found is not None
    image = cv2.imdecode(np.frombuffer(found[1], np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image[:, :, ::-1].astype(int)


@pytest.mark.parametrize("scale", [1, 10])
def test_boxes_are_drawn_where_they_are_at_the_size_that_is_sent(scale: int) -> None:
    """A picture of 1600 x 1200 pixels is sent 960 pixels across, 6 times the small one."""
    view = View()
    picture = GREY.repeat(scale, axis=0).repeat(scale, axis=1)
    answer = detections(("hen", 0.9, BOX))
    big = detections(("hen", 0.9, tuple(scale * side for side in BOX)))  # type: ignore[arg-type]
    object.__setattr__(big, "image", picture)
    view.picture(picture, Moment("camera:0", 0, 0.0, 0.0))
    view.write(record(0, answer if scale == 1 else big))
    image, sent = shown(view), 1 if scale == 1 else 6
    colour = spread_palette(3)[0]
    assert np.abs(image[70 * sent, 40 * sent] - colour).max() < 60
    assert np.abs(image[100 * sent - 1, 80 * sent] - colour).max() < 60
    assert np.abs(image[70 * sent, 80 * sent] - 114).max() < 12
    assert np.abs(image[70 * sent, 20 * sent] - 114).max() < 12


def test_panel_tells_how_many_there_are() -> None:
    view, status = View([COOP]), RunStatus(60.0)
    for each in (record(0, counted(hen=7, fox=1)), record(0, counted(hen=2), "coop")):
        view.write(each)
        status.write(each)
    text = panel(view.shown(), status.snapshot())
    assert '<div class="best">hen 7, fox 1</div>' in text
    assert '<h2 class="place">coop</h2><div class="best">hen 2</div>' in text
    assert 'hen</th><td class="bar"></td><td class="number">7</td>' in text
    # a picture with a region is one result
    assert '<tr><th>results</th><td class="number">1</td></tr>' in text
    assert '<tr><th>of them hen</th><td class="number">1</td></tr>' in text


def test_empty_picture_is_called_so() -> None:
    view, status = View(), RunStatus(60.0)
    view.write(record(0, counted()))
    status.write(record(0, counted()))
    assert '<div class="best">nothing</div><table></table>' in panel(view.shown(), status.snapshot())
    assert status.snapshot().results == {"nothing": 1}


def state(status: RunStatus) -> PageState:
    return PageState(View(), status, {"version": "1", "model": "m.onnx", "source": "camera:0"})


def samples(status: RunStatus) -> dict[tuple[str, str, str], float]:
    parser = pytest.importorskip("prometheus_client.parser", reason="prometheus_client is not installed")
    families = parser.text_string_to_metric_families(ROUTES["/metrics"](state(status), {}).body.decode())
    found = [sample for family in families for sample in family.samples if sample.name == "edgevit_count"]
    return {tuple(sample.labels[name] for name in ("label", "roi", "source")): sample.value for sample in found}


def test_metrics_tell_the_newest_counts_of_each_place_until_its_source_is_lost() -> None:
    status = RunStatus(60.0)
    assert samples(status) == {}
    status.write(record(0, counted(hen=7)))
    status.write(record(1, counted(hen=6, fox=1)))
    status.write(record(1, counted(hen=2), "coop"))
    status.write(record(1, counted(egg=3), source="camera:1"))
    found = samples(status)
    assert {place: found[place] for place in found if found[place]} == {
        ("hen", "", "camera:0"): 6,
        ("fox", "", "camera:0"): 1,
        ("hen", "coop", "camera:0"): 2,
        ("egg", "", "camera:1"): 3,
    }
    # also what is not there
    assert (len(found), found["egg", "", "camera:0"]) == (9, 0)
    status.write(event_record(Event("source_lost", Moment("camera:0", 1, 1.0, 1.0), {"reason": "gone"})))
    assert set(samples(status)) == {(name, "", "camera:1") for name in NAMES}


def test_state_holds_counts_and_boxes() -> None:
    page = state(RunStatus(60.0))
    page.view.write(record(0, detections(("hen", 0.9, BOX))))
    (answer,) = json.loads(ROUTES["/state.json"](page, {}).body)["answers"]
    assert answer["counts"] == {"hen": 1}
    assert answer["detections"] == [{"label": "hen", "index": 0, "conf": 0.9, "box": list(BOX)}]


def test_hard_pictures_are_shown_without_buttons_and_nothing_moves_them(tmp_path: Path) -> None:
    sink = BoxHarvestSink(tmp_path, 10**6, NAMES, UnsureRules(pause_s=0))
    sink.write(record(0, detections(("hen", 0.4, BOX))))
    page = state(RunStatus(60.0))
    page.hard.include([sink.folder], ())
    text = ROUTES["/"](page, {}).body.decode()
    assert "Hard pictures, with labels to correct" in text
    assert '<button name="label"' not in text
    name = "0/00000000-hen-unsure-0.40.jpg"
    assert f"hard.jpg?name={urllib.parse.quote(name)}" in text
    assert ROUTES["/hard.jpg"](page, {"name": name}).status == 200
    assert act(page, "/sort", {"secret": page.secret, "name": name, "label": "hen"}).status == 409
    assert (tmp_path / "images" / "00000000-hen-unsure-0.40.jpg").is_file()


def test_crossings_of_lines_are_counted_on_the_page_and_in_its_metrics() -> None:
    parser = pytest.importorskip("prometheus_client.parser", reason="prometheus_client is not installed")
    status = RunStatus(60.0)
    for track, direction in enumerate(("in", "in", "out"), 1):
        facts = {"line": "gate", "label": "hen", "track": track, "direction": direction, "in": 2, "out": 1}
        status.write(event_record(Event("line", Moment("camera:0", track, 1.0, 1.0), facts)))
    text = panel(View().shown(), status.snapshot())
    assert '<tr><th>hen in over gate</th><td class="number">2</td></tr>' in text
    assert '<tr><th>hen out over gate</th><td class="number">1</td></tr>' in text
    families = parser.text_string_to_metric_families(ROUTES["/metrics"](state(status), {}).body.decode())
    found = [sample for family in families for sample in family.samples if "crossings_total" in sample.name]
    assert {(sample.labels["line"], sample.labels["direction"]): sample.value for sample in found} == {
        ("gate", "in"): 2,
        ("gate", "out"): 1,
    }
