"""Times of a video's frames by its own time stamps, and whether it is whole; played, and from the cases."""

from pathlib import Path

import cv2
import pytest

from edgevit.errors import EdgevitError
from edgevit.runtime.classifier import Classifier
from edgevit.runtime.sources.video_times import VideoTimes
from tests.places import SHARED

CASES = SHARED / "cases" / "pictures"
UNEVEN_S = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]


class PlayedVideo:
    """An open video of which only the numbers matter."""

    def __init__(self, stamps_s: list[float], rate: float, promised: float, codec: str = "H264") -> None:
        self._stamps_s, self._at = stamps_s, -1
        self._facts = {
            cv2.CAP_PROP_FPS: rate,
            cv2.CAP_PROP_FRAME_COUNT: promised,
            cv2.CAP_PROP_FOURCC: float(int.from_bytes(codec.encode().ljust(4, b"\0"), "little")),
        }

    def grab(self) -> bool:
        self._at += 1
        return self._at < len(self._stamps_s)

    def get(self, fact: int) -> float:
        return 1e3 * self._stamps_s[self._at] if fact == cv2.CAP_PROP_POS_MSEC else self._facts[fact]


def play(video: PlayedVideo) -> tuple[list[float | None], str | None]:
    times, found = VideoTimes(video), []
    while video.grab():
        found.append(times.next())
    return found, times.trouble()


def test_frames_that_come_unevenly_have_their_own_times_and_are_all_there() -> None:
    """36 frames of a tenth of a second are what the container's length of 3.6 s would hold."""
    found, trouble = play(PlayedVideo(UNEVEN_S, 10, 36))
    assert found == pytest.approx(UNEVEN_S)
    assert trouble is None


def test_uneven_video_that_ends_too_early_is_told() -> None:
    _, trouble = play(PlayedVideo(UNEVEN_S[:12], 10, 36))
    assert trouble == "broke off after 12 of 36 frames; copy or record it again"


def test_container_without_time_stamps_is_timed_by_its_rate() -> None:
    found, trouble = play(PlayedVideo([0.0] * 5, 4, 5))
    assert found == pytest.approx([0, 0.25, 0.5, 0.75, 1.0])
    assert trouble is None
    assert play(PlayedVideo([0.0] * 5, 4, 20))[1] == "broke off after 5 of 20 frames; copy or record it again"


def test_video_without_rate_and_stamps_has_no_times() -> None:
    assert play(PlayedVideo([0.0, 0.0], 0, 0)) == ([None, None], None)


@pytest.mark.parametrize(("codec", "name"), [("AV01", "AV1"), ("av01", "AV1"), ("hvc1", "H.265"), ("PRO9", "PRO9")])
def test_codec_of_which_nothing_is_decoded_is_named(codec: str, name: str) -> None:
    trouble = play(PlayedVideo([], 10, 40, codec))[1]
    assert trouble is not None
    assert trouble.startswith(f"has no decoder for {name} here: convert it")


@pytest.mark.skipif(not (CASES / "vfr.mkv").exists(), reason="the cases are not beside this checkout")
def test_uneven_video_of_the_cases_is_read_whole(classifier: Classifier) -> None:
    errors: list[EdgevitError] = []
    results = list(classifier.stream(CASES / "vfr.mkv", on_error=errors.append))
    assert [result.position_s for result in results] == pytest.approx(UNEVEN_S)
    results = list(classifier.stream(CASES / "vfr.mkv", every="1s", on_error=errors.append))
    assert [result.position_s for result in results] == pytest.approx([0, 1, 2, 3])
    assert errors == []


@pytest.mark.skipif(not (CASES / "av1.mp4").exists(), reason="the cases are not beside this checkout")
def test_video_of_the_cases_without_decoder_is_named(classifier: Classifier) -> None:
    errors: list[EdgevitError] = []
    path: Path = CASES / "av1.mp4"
    if list(classifier.stream(path, on_error=errors.append)):
        pytest.skip("this OpenCV decodes AV1")
    (error,) = errors
    assert str(error).startswith(f"{path} has no decoder for AV1 here: convert it")
