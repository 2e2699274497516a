"""From a source to its sinks, all the way."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.errors import ImageError
from edgevit.runtime.addresses.destinations import parse_sinks
from edgevit.runtime.events.event import Event
from edgevit.runtime.images.regions import Region
from edgevit.runtime.loading import load
from edgevit.runtime.moment import Moment
from edgevit.runtime.results import Result
from edgevit.runtime.run.result_writer import ResultWriter
from edgevit.runtime.sinks.opening import SinkContext, needs_pictures, open_sinks

SaveImage = Callable[[str, NDArray[np.uint8]], Path]


def test_folder_is_classified_into_files(
    tiny_model: Path, save_image: SaveImage, red_image: NDArray[np.uint8], tmp_path: Path
) -> None:
    for name in ("a", "b"):
        save_image(f"in/{name}.png", red_image)
    sinks = open_sinks(parse_sinks([f"{tmp_path}/a.jsonl", f"{tmp_path}/frames/"]), SinkContext())
    outlet = ResultWriter(sinks, top_k=1)
    with load(tiny_model) as classifier:
        for result in classifier.stream(
            tmp_path / "in", stable=(1, 1), on_event=outlet.event, on_picture=outlet.picture
        ):
            outlet.result(result)
    sinks.close()
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [line.get("event") for line in lines] == [None, "label", None, "label"]
    assert [line["frame"] for line in lines] == [0, 0, 1, 1]
    assert {line["source"] for line in lines} == {str(tmp_path / "in" / f"{name}.png") for name in "ab"}
    assert [len(line["top"]) for line in lines if "top" in line] == [1, 1]
    assert lines[0]["id"] != lines[1]["id"]
    assert len(list((tmp_path / "frames").iterdir())) == 2


def test_region_is_drawn_as_it_was_classified(tmp_path: Path) -> None:
    sinks = open_sinks(parse_sinks([f"{tmp_path}/frames/"]), SinkContext())
    outlet = ResultWriter(sinks, regions=[Region("left", 0, 0, 0.5, 1)])
    image = np.zeros((60, 100, 3), np.uint8)
    image[:, 50:] = 255
    outlet.picture(image, Moment("pen", 3, 0, 0))
    probs = np.array([0.9, 0.1], np.float32)
    outlet.result(Result(probs, ("cat", "dog"), moment=Moment("pen", 3, 0, 0, "left")))
    # a result of another frame has no picture
    outlet.result(Result(probs, ("cat", "dog"), moment=Moment("pen", 4, 0, 0, "left")))
    sinks.close()
    (path,) = (tmp_path / "frames").iterdir()
    read = cv2.imread(str(path))
    assert read is not None
    assert read.shape == (60, 50, 3)
    assert read[:20].max() < 10


def test_health_and_loss_of_the_source_are_written(tmp_path: Path) -> None:
    sinks = open_sinks(parse_sinks([f"{tmp_path}/a.jsonl"]), SinkContext())
    outlet, moment = ResultWriter(sinks), Moment("pen", 0, 0, 0)
    outlet.picture(np.zeros((60, 100, 3), np.uint8), moment)
    outlet.event(Event("too_dark", moment, {"active": True}))
    outlet.event(Event("source_lost", Moment("pen", 0, 5, 5), {"reason": "gone"}))
    sinks.close()
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["too_dark", "source_lost"]
    assert lines[1]["reason"] == "gone"


def test_answer_without_a_moment_is_refused() -> None:
    with pytest.raises(ImageError, match="this one has no moment; use Classifier.stream"):
        ResultWriter(open_sinks(parse_sinks([]), SinkContext())).result(Result(np.array([1.0], np.float32), ("only",)))


def test_pictures_are_asked_for_only_by_sinks_that_draw() -> None:
    assert not needs_pictures(parse_sinks(["a.jsonl", "mqtt://host/a", "masks:out"]))
    assert needs_pictures(parse_sinks(["a.jsonl", "frames/"]))
    assert needs_pictures(parse_sinks(["a.mp4"]))
    assert needs_pictures(parse_sinks(["hard:hard"]))
