"""Finite sources: read whole and in order, through Classifier.stream."""

import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.errors import EdgevitError, ImageError, OptionError
from edgevit.runtime.classifier import Classifier
from edgevit.runtime.loading import load
from edgevit.runtime.results import Result

SaveImage = Callable[[str, NDArray[np.uint8]], Path]
COLORS = {"red": (200, 50, 25), "green": (25, 200, 50), "blue": (50, 25, 200)}


@pytest.fixture
def classifier(tiny_model: Path) -> Classifier:
    return load(tiny_model)


def plain(name: str, size: tuple[int, int] = (48, 64)) -> NDArray[np.uint8]:
    return np.full((*size, 3), COLORS[name], np.uint8)


def write_video(path: Path, names: list[str], fps: float = 10.0, code: str = "MJPG") -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), fps, (64, 48))
    assert writer.isOpened()
    for name in names:
        writer.write(plain(name)[:, :, ::-1])
    writer.release()
    return path


def answers(results: list[Result]) -> list[str]:
    return [result.top1 for result in results]


def test_video_is_read_whole_and_in_order(classifier: Classifier, tmp_path: Path) -> None:
    names = ["red", "red", "green", "blue", "green", "red"] * 3
    path = write_video(tmp_path / "clip.avi", names)
    results = list(classifier.stream(path))
    assert answers(results) == names
    assert [result.moment.sequence for result in results if result.moment] == list(range(18))
    assert [result.position_s for result in results] == pytest.approx([number / 10 for number in range(18)])
    assert {(result.source, result.age_ms, result.dropped) for result in results} == {(str(path), None, None)}


def test_mp4_is_read_too(classifier: Classifier, tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", ["blue", "red"], code="mp4v")
    assert answers(list(classifier.stream(path))) == ["blue", "red"]


def test_pace_of_a_video_is_its_own_time(classifier: Classifier, tmp_path: Path) -> None:
    """Ten frames a second, one wanted each half second: frames 0, 5, 10 and 15 of 18."""
    path = write_video(tmp_path / "clip.avi", ["red"] * 18)
    for options in ({"every": "500ms"}, {"fps": 2.0}):
        results = list(classifier.stream(path, **options))
        assert [result.moment.sequence for result in results if result.moment] == [0, 5, 10, 15]


def test_truncated_video_is_named_after_what_it_gave(classifier: Classifier, tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.avi", ["red"] * 40)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    errors: list[EdgevitError] = []
    results = list(classifier.stream(path, on_error=errors.append))
    assert 0 < len(results) < 40
    assert [str(error) for error in errors] == [
        f"{path} broke off after {len(results)} of 40 frames; copy or record it again"
    ]


def test_file_that_is_no_video_is_one_line(classifier: Classifier, tmp_path: Path) -> None:
    (tmp_path / "page.mp4").write_text("<html>")
    errors: list[EdgevitError] = []
    assert list(classifier.stream(tmp_path / "page.mp4", on_error=errors.append)) == []
    assert [str(error) for error in errors] == [f"{tmp_path}/page.mp4 is not a video that OpenCV can read"]
    with pytest.raises(ImageError, match=r"none\.mp4 does not exist"):
        list(classifier.stream(tmp_path / "none.mp4"))


def test_pattern_may_match_videos_among_images(classifier: Classifier, tmp_path: Path, save_image: SaveImage) -> None:
    save_image("mixed/a.png", plain("green"))
    write_video(tmp_path / "mixed/b.avi", ["red", "blue"])
    save_image("mixed/c.png", plain("green"))
    results = list(classifier.stream(f"{tmp_path}/mixed/*"))
    assert answers(results) == ["green", "red", "blue", "green"]
    assert [result.moment.sequence for result in results if result.moment] == [0, 1, 2, 3]


def test_image_sequence_is_in_the_order_of_its_numbers(classifier: Classifier, save_image: SaveImage) -> None:
    numbers = {"9997": "red", "9998": "green", "10000": "blue", "0003": "blue", "003": "red", "00010000": "red"}
    for number, name in numbers.items():
        pattern = save_image(f"seq/img_{number}.png", plain(name)).parent / "img_%04d.png"
    results = list(classifier.stream(pattern))
    assert answers(results) == ["blue", "red", "green", "blue"]
    with pytest.raises(ImageError, match=r"no file matches .*/img_%04d.jpg; %04d stands for a number of four digits"):
        list(classifier.stream(pattern.with_suffix(".jpg")))


def test_file_whose_name_looks_like_a_pattern_is_a_file(classifier: Classifier, save_image: SaveImage) -> None:
    path = save_image("50%d.png", plain("green"))
    assert answers(list(classifier.stream(path))) == ["green"]


def test_unreadable_file_is_told_and_the_others_are_read(
    classifier: Classifier, save_image: SaveImage, caplog: pytest.LogCaptureFixture
) -> None:
    folder = save_image("photos/a.png", plain("green")).parent
    (folder / "b.jpg").write_bytes(b"\xff\xd8\xff no picture")
    save_image("photos/c.png", plain("red"))
    assert answers(list(classifier.stream(folder))) == ["green", "red"]
    assert caplog.messages == [f"{folder}/b.jpg is a truncated JPEG; copy or record it again"]


def test_max_frames_and_once_end_a_stream(classifier: Classifier, tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.avi", ["red", "green", "blue"])
    assert answers(list(classifier.stream(path, max_frames=2))) == ["red", "green"]
    assert answers(list(classifier.stream(path, once=True))) == ["red"]


def test_regions_and_tiles_are_answered_one_by_one(classifier: Classifier, save_image: SaveImage) -> None:
    halves = np.concatenate([plain("red"), plain("blue")], axis=1)
    path = save_image("halves.png", halves)
    results = list(classifier.stream(path, roi=["left=0,0,0.5,1", "right=64,0,64,48"], tiles="2x1"))
    seen = [(result.moment.roi, result.top1) for result in results if result.moment]
    assert seen == [("left", "red"), ("right", "blue"), ("r1c1", "red"), ("r1c2", "blue")]
    assert results[0].to_dict()["roi"] == "left"


def test_regions_are_of_the_turned_picture(classifier: Classifier, save_image: SaveImage) -> None:
    """Red left, blue right: turned by 90 degrees clockwise, red is on top."""
    path = save_image("halves.png", np.concatenate([plain("red"), plain("blue")], axis=1))
    results = list(classifier.stream(path, rotate=90, roi=["top=0,0,1,0.5", "bottom=0,0.5,1,0.5"]))
    assert answers(results) == ["red", "blue"]


def test_black_file_is_classified_as_it_was_asked_for(classifier: Classifier, save_image: SaveImage) -> None:
    path = save_image("black.png", np.zeros((48, 64, 3), np.uint8))
    assert len(list(classifier.stream(path))) == 1


def test_stream_gives_what_a_call_gives(classifier: Classifier, save_image: SaveImage) -> None:
    big = cv2.resize(plain("green"), (1600, 1200))
    path = save_image("big.jpg", np.asarray(big, np.uint8))
    (streamed,) = classifier.stream(path, rotate=180)
    called = classifier(path)
    assert streamed.probs == pytest.approx(called.probs, abs=1e-6)
    assert set(streamed.to_dict()) - set(called.to_dict()) == {"time", "frame"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": "5s"}, "is one image and has no time; leave out every= and fps="),
        ({"every": "5s", "fps": 1}, "give one of them"),
        ({"rotate": 45}, "rotate= is 45, expected one of 0, 90, 180, 270"),
        ({"max_frames": 0}, "max_frames= is 0, expected a whole number, 1 or more"),
        ({"max_frames": 3, "once": True}, "once= means max_frames=1"),
        ({"raw": "4x4"}, "raw= describes frames on stdin, tcp:// or picam"),
        ({"capture": "640x480"}, "capture= is for cameras"),
        ({"capture": "640"}, "capture= is '640', expected width x height such as 1280x720"),
        ({"stall_timeout": 0}, "stall_timeout= is 0.0, expected a time such as 5s"),
        ({"roi": ["a=0,0,1,1", "a=0,0,1,1"]}, "two regions are named 'a'"),
    ],
)
def test_wrong_option_is_one_line(
    classifier: Classifier, save_image: SaveImage, options: dict[str, object], message: str
) -> None:
    path = save_image("a.png", plain("red"))
    with pytest.raises(OptionError) as caught:
        list(classifier.stream(path, **options))  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_wrong_source_is_an_error_before_the_first_frame(classifier: Classifier) -> None:
    with pytest.raises(OptionError):
        classifier.stream("camera:front")
    with pytest.raises(OptionError):
        classifier.stream("a.jpg", rotate=1)


def test_closing_the_classifier_ends_its_streams(classifier: Classifier, tmp_path: Path) -> None:
    results = classifier.stream(write_video(tmp_path / "clip.avi", ["red"] * 5))
    assert next(results).top1 == "red"
    classifier.close()
    assert list(results) == []


def test_stdin_that_is_closed_is_one_line(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.TextIOWrapper(io.BytesIO())
    closed.close()
    for stdin in (None, closed):
        monkeypatch.setattr("sys.stdin", stdin)
        with pytest.raises(OptionError, match=r"^the source is stdin \(-\), which is closed; give files"):
            list(classifier.stream("-"))


def test_text_in_the_place_of_stdin_is_a_list_of_paths(
    classifier: Classifier, save_image: SaveImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_image("red.png", plain("red"))
    for stdin in (io.StringIO(f"{path}\n"), io.TextIOWrapper(io.BytesIO(f"{path}\n".encode()))):
        monkeypatch.setattr("sys.stdin", stdin)
        assert [result.top1 for result in classifier.stream("-")] == ["red"]
