"""Records as a run writes them: with the label that rules leave, and pictures with their regions."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgevit.runtime.events.event import Event
from edgevit.runtime.events.labels import LabelRules
from edgevit.runtime.images.draw import FRAME, draw_regions
from edgevit.runtime.images.regions import Region
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import Record
from edgevit.runtime.results import Result
from edgevit.runtime.run.result_writer import ResultWriter
from edgevit.runtime.segmentation import Segmentation
from edgevit.runtime.sinks.folder import BoundedFolder
from edgevit.runtime.sinks.lines import answer_text, now_text
from edgevit.runtime.sinks.pictures import Captions, HarvestRules, HarvestSink, PictureSink

NAMES = ("hen", "fox")


class Kept:
    """A sink that keeps all."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def write(self, record: Record) -> None:
        self.records.append(record)

    def flush(self) -> None: ...
    def close(self) -> None: ...


def answer(number: int, hen: float, roi: str | None = None, **facts: Any) -> Result:
    moment = Moment("camera:0", number, float(number), float(number), roi)
    return Result(np.array([hen, 1 - hen], np.float32), NAMES, moment=moment, **facts)


def present(rules: LabelRules, *hens: float) -> list[str | None]:
    kept = Kept()
    writer = ResultWriter(kept, rules=rules)
    for number, hen in enumerate(hens):
        writer.result(answer(number, hen))
    return [record.present for record in kept.records]


def test_present_label_obeys_threshold_and_smoothing() -> None:
    assert present(LabelRules(), 0.9, 0.4) == ["hen", "fox"]
    assert present(LabelRules(threshold=0.7), 0.9, 0.4) == ["hen", "unknown"]
    # two of three: one fox among hens is none
    assert present(LabelRules(stable=(2, 3)), 0.9, 0.9, 0.1, 0.9) == ["hen", "hen", "hen", "hen"]


def test_before_smoothing_has_left_a_label_each_frame_speaks_for_itself() -> None:
    rules = LabelRules(stable=(2, 3), threshold=0.7)
    assert present(rules, 0.9, 0.1, 0.4) == ["hen", "fox", "unknown"]


def test_caption_and_picture_heed_the_threshold_of_a_single_class(tmp_path: Path) -> None:
    rules = LabelRules(thresholds={"hen": 0.95})
    sink = PictureSink(BoundedFolder(tmp_path, 10**7), Captions(rules=rules))
    writer = ResultWriter(sink, rules=rules)
    writer.picture(np.full((240, 320, 3), 90, np.uint8), Moment("camera:0", 0, 0.0, 0.0))
    writer.result(answer(0, 0.9))
    assert [path.name for path in tmp_path.iterdir()] == ["00000000-unknown.jpg"]
    assert now_text(answer(0, 0.9), "unknown", 1, rules) == "unknown (best: hen 0.90)"
    assert now_text(answer(0, 0.1), "hen", 2, rules) == "hen (this frame: fox 0.90)"


def test_thresholds_of_single_areas_are_limits_of_events_and_hide_none() -> None:
    rules = LabelRules(threshold=0.2, thresholds={"soil": 0.6})
    shares = Segmentation(np.array([0.3, 0.55, 0.15], np.float32), ("sky", "soil", "road"), moment=answer(0, 1).moment)
    assert answer_text(shares, rules=rules) == "soil 0.55  sky 0.30"


def test_lost_source_begins_its_votes_anew() -> None:
    kept = Kept()
    writer = ResultWriter(kept, rules=LabelRules(stable=(2, 2)))
    for number, hen in enumerate((0.9, 0.9, 0.1)):
        writer.result(answer(number, hen))
    writer.event(Event("source_lost", Moment("camera:0", 3, 3.0, 3.0), {"reason": "unplugged"}))
    writer.result(answer(4, 0.1))
    assert [record.present for record in kept.records] == ["hen", "hen", "hen", None, "hen"]


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (None, "fox 0.60"),
        ("fox", "fox 0.60"),
        ("hen", "hen (this frame: fox 0.60)"),
        ("unknown", "unknown (best: fox 0.60)"),
    ],
)
def test_now_says_what_is_there_and_what_this_frame_says(label: str | None, text: str) -> None:
    assert now_text(answer(0, 0.4), label, 1) == text


def test_picture_of_regions_is_one_whole_frame_with_each_of_them_drawn(tmp_path: Path) -> None:
    regions = (Region("gate", 0, 0, 0.5, 1), Region("yard", 0.5, 0, 0.5, 1))
    sink = PictureSink(BoundedFolder(tmp_path, 10**7), Captions(answers=2))
    writer = ResultWriter(sink, regions=regions)
    for number in range(3):
        writer.picture(np.full((240, 320, 3), 90, np.uint8), Moment("camera:0", number, float(number), float(number)))
        writer.result(answer(number, 0.9, "gate"))
        writer.result(answer(number, 0.2, "yard"))
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == [f"0000000{number}-hen+fox.jpg" for number in range(3)]
    assert sink.written == 3
    read = cv2.imread(str(files[0]))
    assert read is not None
    image = read[..., ::-1].astype(int)
    assert image.shape == (240, 320, 3)
    # untouched within; a yellow line where the regions meet; white letters on a dark strip along the top
    assert np.abs(image[120, 80] - 90).max() < 12
    assert image[120, 158, 0] - image[120, 158, 2] > 60
    for half in (image[3:20, 4:150], image[3:20, 166:310]):
        assert half.max() > 180
        assert np.median(half) < 60


def test_region_of_few_pixels_gets_a_frame_and_no_text() -> None:
    drawn = draw_regions(np.full((40, 40, 3), 90, np.uint8), [(Region("a", 10, 10, 20, 20), "hen")])
    assert tuple(drawn[10, 20]) == FRAME
    assert (drawn[14:26, 14:26] == 90).all()


def test_hard_frames_of_a_video_are_paced_by_its_own_time(tmp_path: Path) -> None:
    """Five unsure frames, a second of the video apart, that this machine reads within a millisecond: all are kept."""
    sink = HarvestSink(BoundedFolder(tmp_path, 10**7), HarvestRules(pause_s=1))
    writer = ResultWriter(sink)
    for number in range(50):
        moment = Moment("clip.mp4", number, number / 1e5, number / 1e5)
        result = Result(np.array([0.5, 0.5], np.float32), NAMES, moment=moment, position_s=number / 10)
        writer.picture(np.full((48, 64, 3), number, np.uint8), moment)
        writer.result(result)
    assert sink.written == 5
    assert len(list(tmp_path.rglob("*.jpg"))) == 5
