"""The loop from frames to results, with a predictor that keeps what it is given, and made clocks."""

import dataclasses
import logging
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgevit.artifact.manifest import Preprocess
from edgevit.errors import EdgevitError, SourceLostError
from edgevit.runtime.detection.result import Detections
from edgevit.runtime.events.event import Event
from edgevit.runtime.images.preprocess import Speed
from edgevit.runtime.images.regions import Region
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.moment import Moment
from edgevit.runtime.results import Result
from edgevit.runtime.sources.frames import Clock, Frame, Picture
from edgevit.runtime.sources.opening import Item
from edgevit.runtime.sources.stop import Stop
from edgevit.runtime.stream import loop
from edgevit.runtime.stream.loop import StreamCallbacks, answer, predictions
from edgevit.runtime.stream.options import StreamOptions
from edgevit.runtime.stream.plan import StreamPlan, plan_stream

LEFT, LOW = "left=0,0,0.25,1", "low=0,0.75,1,0.25"


@dataclass
class Looker:
    """Takes pictures of (40, 60); each answer took 2 ms of preparation."""

    task: str = "classify"
    whole_pictures: bool = False
    preprocess: Preprocess = field(default_factory=lambda: Preprocess((40, 60), crop_pct=1.0))
    given: list[Path | bytes | RGBImage] = field(default_factory=list)
    speeds: list[Speed | None] = field(default_factory=list)

    def __call__(self, source: list[Any], *, speed: Speed | None = None) -> list[Result]:
        first = len(self.given)
        self.given += source
        self.speeds.append(speed)
        made = [np.array([0.75, number / 100], np.float32) for number in range(first, len(self.given))]
        return [Result(probs, ("cat", "dog"), preprocess_ms=2.0, inference_ms=3.0) for probs in made]

    @property
    def sizes(self) -> list[tuple[int, ...]]:
        return [picture.shape[:2] for picture in self.given if isinstance(picture, np.ndarray)]


@pytest.fixture
def picture() -> RGBImage:
    """Bright, twice as wide as high, and unlike itself in every direction."""
    ramp = np.linspace(60, 250, 320 * 640 * 3).reshape(320, 640, 3)
    return ramp.astype(np.uint8)


@pytest.fixture
def jpeg(picture: RGBImage) -> bytes:
    return bytes(cv2.imencode(".jpg", picture[:, :, ::-1])[1])


def plan_of(source: str = "camera:0", **options: object) -> StreamPlan:
    return plan_stream([source], StreamOptions(**options))  # type: ignore[arg-type]


def frame(
    picture: Picture,
    number: int = 0,
    at_s: float = 5.0,
    *,
    live: bool = True,
    source: str = "camera:0",
    stored: bool = False,
) -> Frame:
    moment = Moment(source, number, at_s, 1e9 + at_s)
    return Frame(picture, moment, dropped=7 if live else None, position_s=0.5, stored=stored)


def clock_at(now_s: float) -> Clock:
    return Clock(lambda: 1e9, lambda: now_s)


def at_5_25(looker: Looker, seen: Frame, plan: StreamPlan, **callbacks: object) -> list[Result]:
    results, events = answer(looker, seen, plan, StreamCallbacks(**callbacks), clock_at(5.25))  # type: ignore[arg-type]
    assert events == ()
    return results


# ---------------------------------------------------------------- one frame


def test_answer_carries_what_is_known_of_its_frame(picture: RGBImage) -> None:
    (result,) = at_5_25(Looker(), frame(picture, 9), plan_of())
    assert result.source == "camera:0"
    assert result.moment == Moment("camera:0", 9, 5.0, 1e9 + 5.0, roi=None)
    assert (result.age_ms, result.dropped, result.position_s, result.inference_ms) == (250.0, 7, 0.5, 3.0)


def test_frame_of_a_file_has_no_age_and_is_read_by_the_predictor(tmp_path: Path) -> None:
    looker = Looker()
    (result,) = at_5_25(looker, frame(tmp_path / "a.jpg", live=False), plan_of("a.jpg"))
    assert looker.given == [tmp_path / "a.jpg"]
    assert (result.age_ms, result.dropped, result.preprocess_ms) == (None, None, 2.0)


@pytest.mark.parametrize(("regions", "each_ms"), [([], 502.0), ([LEFT, LOW], 252.0)])
def test_time_of_decoding_is_shared_by_the_regions(
    picture: RGBImage, monkeypatch: pytest.MonkeyPatch, regions: list[str], each_ms: float
) -> None:
    moments_s = iter([10.0, 10.5])
    monkeypatch.setattr(loop, "time", types.SimpleNamespace(perf_counter=lambda: next(moments_s)))
    results = at_5_25(Looker(), frame(picture), plan_of(roi=regions))
    assert [result.preprocess_ms for result in results] == [each_ms] * len(results)


def test_large_jpeg_is_decoded_at_the_smallest_scale_that_serves(jpeg: bytes) -> None:
    looker = Looker()
    at_5_25(looker, frame(jpeg), plan_of())
    # 1.5 times the longer 60 are 90: a quarter of 320x640, 80x160, has too few rows
    assert looker.sizes == [(160, 320)]


def test_region_is_cut_from_all_the_pixels_there_are(jpeg: bytes) -> None:
    looker = Looker()
    results = at_5_25(looker, frame(jpeg), plan_of(roi=[LEFT, "corner=500,300,140,20"]))
    assert looker.sizes == [(320, 160), (20, 140)]
    assert [(result.moment and result.moment.roi, result.probs[1]) for result in results] == [
        ("left", np.float32(0.0)),
        ("corner", np.float32(0.01)),
    ]


def test_who_looks_gets_all_the_pixels_and_the_moment(jpeg: bytes) -> None:
    shown: list[tuple[tuple[int, ...], int]] = []
    looker = Looker()
    at_5_25(
        looker, frame(jpeg, 4), plan_of(), picture=lambda image, moment: shown.append((image.shape, moment.sequence))
    )
    assert shown == [((320, 640, 3), 4)]


@pytest.mark.parametrize("turned", [0, 90])
def test_frame_of_a_camera_is_answered_and_called_black_alike_whoever_looks_on(jpeg: bytes, turned: int) -> None:
    dark = np.zeros((320, 640, 3), np.uint8)
    # bright points of a sensor, where the whole picture is sampled
    dark[::16, ::16] = 60
    plan, looking = plan_of(rotate=turned), {"picture": lambda image, moment: None}
    for seen in (jpeg, bytes(cv2.imencode(".jpg", dark)[1])):
        alone, watched = Looker(), Looker()
        assert len(at_5_25(alone, frame(seen), plan)) == len(at_5_25(watched, frame(seen), plan, **looking))
        np.testing.assert_array_equal(alone.given, watched.given)


def test_predictor_of_whole_pictures_gets_all_the_pixels(jpeg: bytes) -> None:
    looker = Looker(whole_pictures=True)
    at_5_25(looker, frame(jpeg), plan_of())
    assert looker.sizes == [(320, 640)]


@pytest.mark.parametrize("asked", [{"rotate": 90}, {"roi": [LEFT]}])
def test_file_is_decoded_here_if_more_than_the_predictor_needs_it(
    tmp_path: Path, jpeg: bytes, asked: dict[str, object]
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg)
    looker = Looker(whole_pictures=True)
    at_5_25(looker, frame(path, live=False), plan_of("a.jpg", **asked))
    (given,) = looker.given
    assert isinstance(given, np.ndarray)
    assert given.shape[:2] == {"rotate": (640, 320), "roi": (320, 160)}[next(iter(asked))]


def test_file_is_answered_as_the_model_alone_would_read_it_whoever_looks_on(tmp_path: Path, jpeg: bytes) -> None:
    path, shown = tmp_path / "a.jpg", list[tuple[int, ...]]()
    path.write_bytes(jpeg)
    looking = {"picture": lambda image, moment: shown.append(image.shape)}
    looker = Looker()
    # decoded at the scale that it has where nobody looks
    at_5_25(looker, frame(path, live=False), plan_of("a.jpg"), **looking)
    at_5_25(looker, frame(jpeg, stored=True), plan_of("-"), **looking)
    at_5_25(looker, frame(jpeg, stored=True), plan_of("-"))
    at_5_25(looker, frame(path, live=False), plan_of("a.jpg", rotate=90), **looking)
    at_5_25(looker, frame(path, live=False), plan_of("a.jpg", rotate=90))
    assert looker.sizes == [(160, 320)] * 3 + [(320, 160)] * 2
    assert shown == [(320, 640, 3)] * 2 + [(640, 320, 3)]
    # a detector decodes it itself, as its boxes are told in the pixels of the file
    detector = Looker(whole_pictures=True)
    at_5_25(detector, frame(path, live=False), plan_of("a.jpg"), **looking)
    at_5_25(detector, frame(jpeg, stored=True), plan_of("-"), **looking)
    at_5_25(detector, frame(jpeg, stored=True), plan_of("-"))
    assert detector.given == [path, jpeg, jpeg]


def test_frames_are_prepared_fast_and_files_with_care_whatever_is_asked(
    tmp_path: Path, jpeg: bytes, picture: RGBImage
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg)
    seen: dict[Speed, list[Frame]] = {
        "usual": [frame(path, live=False), frame(jpeg, stored=True), frame(jpeg, live=False, stored=True)],
        "fast": [frame(jpeg), frame(picture), frame(picture, live=False)],
    }
    for speed, frames in seen.items():
        looker = Looker()
        for each in frames:
            for asked in ({}, {"roi": [LEFT]}, {"rotate": 180}):
                at_5_25(looker, each, plan_of(**asked))
                at_5_25(looker, each, plan_of(**asked), picture=lambda image, moment: None)
        assert looker.speeds == [speed] * 18


def test_picture_is_turned_before_it_is_shown_and_cut(picture: RGBImage) -> None:
    shown: list[RGBImage] = []
    looker = Looker()
    at_5_25(looker, frame(picture), plan_of(rotate=90, roi=[LOW]), picture=lambda image, moment: shown.append(image))
    turned = np.rot90(picture, -1)
    np.testing.assert_array_equal(shown[0], turned)
    np.testing.assert_array_equal(looker.given[0], turned[480:])


def test_sixteen_bits_are_read_with_the_models_levels(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((8, 8), 300, np.uint16))
    looker = Looker(preprocess=Preprocess((4, 4), crop_pct=1.0, levels=(200.0, 400.0)))
    at_5_25(looker, frame((tmp_path / "a.png").read_bytes()), plan_of())
    assert isinstance(looker.given[0], np.ndarray)
    assert int(looker.given[0].max()) == 128


# ---------------------------------------------------------------- black pictures

BLACK = np.full((32, 48, 3), 16, np.uint8)


def test_black_picture_of_a_camera_is_shown_told_and_not_classified() -> None:
    shown: list[int] = []
    black: list[int] = []
    looker = Looker()
    results = at_5_25(
        looker,
        frame(BLACK, 3),
        plan_of(),
        picture=lambda image, moment: shown.append(moment.sequence),
        black=lambda moment: black.append(moment.sequence),
    )
    assert (results, looker.given, shown, black) == ([], [], [3], [3])
    assert at_5_25(looker, frame(BLACK), plan_of()) == []


def test_black_picture_of_a_video_file_is_classified() -> None:
    looker = Looker()
    assert len(at_5_25(looker, frame(BLACK, live=False), plan_of("night.mp4"))) == 1
    assert looker.sizes == [(32, 48)]


@dataclass
class Told:
    """What the loop told, in order, and the clock that it ran by."""

    events: list[Event] = field(default_factory=list)
    errors: list[EdgevitError] = field(default_factory=list)
    now_s: float = 0.0

    def callbacks(self, picture: Callable[[RGBImage, Moment], None] | None = None) -> StreamCallbacks:
        return StreamCallbacks(event=self.events.append, error=self.errors.append, picture=picture)

    def run(
        self,
        items: Sequence[Item],
        plan: StreamPlan,
        stop: Stop | None = None,
        looker: Looker | None = None,
        picture: Callable[[RGBImage, Moment], None] | None = None,
    ) -> list[Result]:
        """Run items through the loop; the clock shows each frame's own time."""

        def timed() -> Iterator[Item]:
            for item in items:
                if isinstance(item, Frame):
                    self.now_s = item.moment.monotonic_s
                yield item

        clock = Clock(lambda: 1e9, lambda: self.now_s)
        return list(predictions(looker or Looker(), timed(), plan, self.callbacks(picture), stop or Stop(), clock))


def test_blackout_of_a_camera_is_told_after_its_stall_time_and_when_it_is_over(picture: RGBImage) -> None:
    told = Told()
    pictures: list[tuple[float, Picture]] = [
        (0.0, picture),
        (1.0, BLACK),
        (3.9, BLACK),
        (4.0, BLACK),
        (9.0, BLACK),
        (9.5, picture),
    ]
    told.run([frame(seen, k, at_s) for k, (at_s, seen) in enumerate(pictures)], plan_of(stall_timeout="3s"))
    assert [(event.kind, event.moment.sequence, event.facts) for event in told.events] == [
        ("too_dark", 3, {"active": True, "black": True}),
        ("too_dark", 5, {"active": False, "black": True}),
    ]


def test_blackouts_of_two_cameras_are_told_apart(picture: RGBImage) -> None:
    told = Told()
    plan = plan_stream(["camera:0", "camera:1"], StreamOptions(stall_timeout="3s"))
    items = [
        frame(seen, k, at_s, source=source)
        for k, at_s in enumerate((0.0, 2.0, 3.0))
        for source, seen in (("camera:0", BLACK), ("camera:1", picture))
    ]
    told.run(items, plan)
    assert [(event.moment.source, event.moment.sequence) for event in told.events] == [("camera:0", 2)]


def test_blackout_is_told_whoever_is_shown_the_pictures_but_not_beside_rules_of_their_health() -> None:
    items: list[Item] = [frame(BLACK, k, float(k)) for k in range(9)]
    told = Told()
    told.run(items, plan_of(stall_timeout="3s"), picture=lambda image, moment: None)
    assert [(event.kind, event.moment.sequence) for event in told.events] == [("too_dark", 3)]
    heard: list[Event] = []
    callbacks = StreamCallbacks(event=heard.append, health=True)
    assert list(predictions(Looker(), items, plan_of(stall_timeout="3s"), callbacks, Stop(), clock_at(9.0))) == []
    assert heard == []


# ---------------------------------------------------------------- what is no frame


def test_events_and_errors_among_the_items_are_told_and_are_no_frames(picture: RGBImage) -> None:
    told = Told()
    back = Event("source_back", Moment("camera:0", 0, 0.0, 1e9), {"away_s": 1.5})
    gone = SourceLostError("camera:1 is lost: gone")
    results = told.run([back, gone, frame(picture)], plan_of(max_frames=1))
    assert (told.events, told.errors, len(results)) == ([back], [gone], 1)


def test_what_nobody_hears_is_logged(picture: RGBImage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    back = Event("source_back", Moment("camera:0", 0, 0.0, 1e9), {"away_s": 1.5})
    items: list[Item] = [back, SourceLostError("camera:1 is lost: gone")]
    assert list(predictions(Looker(), items, plan_of(), StreamCallbacks(), Stop(), clock_at(0.0))) == []
    assert caplog.messages == [back.to_json(), "camera:1 is lost: gone"]


# ---------------------------------------------------------------- the end


def test_frames_are_counted_and_not_their_regions(picture: RGBImage) -> None:
    items: list[Item] = [frame(b"rubbish", 0), *(frame(picture, k) for k in range(1, 9))]
    results = Told().run(items, plan_of(roi=[LEFT, LOW], max_frames=2))
    assert [(result.moment and (result.moment.sequence, result.moment.roi)) for result in results] == [
        (1, "left"),
        (1, "low"),
        (2, "left"),
        (2, "low"),
    ]


def test_without_a_number_all_frames_are_taken(picture: RGBImage) -> None:
    assert len(Told().run([frame(picture, k) for k in range(5)], plan_of())) == 5


def test_stop_ends_after_the_frame_in_hand(picture: RGBImage) -> None:
    stop = Stop()
    items: list[Item] = [frame(picture, k) for k in range(3)]
    results = predictions(Looker(), items, plan_of(roi=[LEFT, LOW]), StreamCallbacks(), stop, clock_at(0.0))
    first = next(results)
    stop.ask()
    assert [result.moment and result.moment.roi for result in (first, *results)] == ["left", "low"]


# ---------------------------------------------------------------- a detector


def test_detector_looks_at_the_whole_picture_once_whatever_regions_are_named(picture: RGBImage) -> None:
    looker = Looker(task="detect", whole_pictures=True)
    plan = dataclasses.replace(plan_of(), regions=(Region("left", 0, 0, 0.25, 1),))
    assert len(at_5_25(looker, frame(picture), plan)) == 1
    assert looker.sizes == [(320, 640)]


def test_tiles_of_a_classifier_are_its_regions(picture: RGBImage) -> None:
    looker = Looker()
    at_5_25(looker, frame(picture), plan_of(tiles="2x1"))
    assert looker.sizes == [(320, 320), (320, 320)]


class Detecting(Looker):
    """Finds nothing in any picture."""

    def __call__(self, source: list[Any], *, speed: Speed | None = None) -> list[Result]:
        self.given += source
        self.speeds.append(speed)
        names = ("cat", "dog")
        return [
            Detections(np.zeros(2, np.float32), names, image=each) for each in source if isinstance(each, np.ndarray)
        ]


def test_detector_looks_at_the_whole_picture_and_its_tiles_and_gives_one_answer(picture: RGBImage) -> None:
    detecting = Detecting(task="detect", whole_pictures=True)
    (result,) = at_5_25(detecting, frame(picture), plan_of(tiles="2x1"))
    # two tiles that share a fifth are each 640 / 1.8 pixels wide
    assert detecting.sizes == [(320, 640), (320, 356), (320, 356)]
    assert result.moment == Moment("camera:0", 0, 5.0, 1e9 + 5.0, roi=None)
