"""A Raspberry Pi's CSI camera: MJPEG and raw frames from the system's program, or picamera2; stand-ins play them."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.errors import MissingProgramError, OptionError, SourceLostError
from edgevit.runtime.classifier import Classifier
from edgevit.runtime.sources import picam
from edgevit.runtime.sources.raw import RawForm

COLORS = {"red": (200, 50, 25), "green": (25, 200, 50), "blue": (50, 25, 200)}

PICAMERA2 = """
import json, os, time
import numpy as np

class Request:
    def __init__(self, number):
        self.number = number

    def make_array(self, name):
        pixels = np.full((48, 128, 3), ({blue}), np.uint8)
        pixels[0, 0] = self.number % 250
        return pixels[:, :64]  # rows are padded, so that the array is not contiguous

    def release(self):
        pass

class Picamera2:
    def __init__(self, camera_num):
        if camera_num:
            raise RuntimeError("Camera in Running state trying acquire()")
        print("a library that talks on stdout")
        self.taken = 0

    def create_video_configuration(self, **options):
        return options

    def configure(self, options):
        open({note!r}, "w").write(json.dumps(options))

    def start(self):
        pass

    def capture_request(self):
        time.sleep(0.01)
        self.taken += 1
        return Request(self.taken)
"""
"""As much of the real module as is used; it shows plain blue."""


def jpeg(name: str) -> bytes:
    image: NDArray[np.uint8] = np.full((48, 64, 3), COLORS[name][::-1], np.uint8)
    return bytes(cv2.imencode(".jpg", image)[1].tobytes())


@pytest.fixture(autouse=True)
def no_picamera2(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no Python of this machine have picamera2, but for what a test puts there."""
    monkeypatch.setattr(picam, "PYTHONS", (sys.executable,))


@pytest.fixture
def make_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Put a program on PATH, and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def make(name: str, body: str) -> Path:
        path = folder / name
        path.write_text(f"#!{sys.executable}\nimport json, os, sys, time\n{body}")
        path.chmod(0o755)
        return path

    return make


@pytest.mark.parametrize("name", ["rpicam-vid", "libcamera-vid"])
def test_picam_is_read_from_the_systems_program(
    classifier: Classifier, make_program: Callable[[str, str], Path], tmp_path: Path, name: str
) -> None:
    (tmp_path / "green.jpg").write_bytes(jpeg("green"))
    make_program(name, f"""
open({str(tmp_path / "called")!r}, "w").write(json.dumps(sys.argv[1:]))
os.write(1, open({str(tmp_path / "green.jpg")!r}, "rb").read())
time.sleep(600)
""")  # fmt: skip
    results = classifier.stream("picam:1", warmup=0, capture="640x480")
    assert next(results).top1 == "green"
    results.close()
    called = json.loads((tmp_path / "called").read_text())
    assert called[:2] == ["--camera", "1"]
    assert {"--codec", "mjpeg", "--nopreview", "640", "480"} <= set(called)
    assert called[-2:] == ["--output", "-"]
    assert "--framerate" not in called


def test_program_compresses_few_pictures_where_few_are_wanted(
    classifier: Classifier, make_program: Callable[[str, str], Path], tmp_path: Path
) -> None:
    (tmp_path / "green.jpg").write_bytes(jpeg("green"))
    make_program("rpicam-vid", f"""
open({str(tmp_path / "called")!r}, "w").write(json.dumps(sys.argv[1:]))
os.write(1, open({str(tmp_path / "green.jpg")!r}, "rb").read())
time.sleep(600)
""")  # fmt: skip
    results = classifier.stream("picam", warmup=0, every="5s")
    assert next(results).top1 == "green"
    results.close()
    called = json.loads((tmp_path / "called").read_text())
    assert called[called.index("--framerate") + 1] == "5"


def test_camera_program_that_fails_gives_its_reason(
    classifier: Classifier, make_program: Callable[[str, str], Path]
) -> None:
    make_program("rpicam-vid", "sys.exit('started\\nERROR: *** no cameras available ***')")
    with pytest.raises(SourceLostError, match=r"picam is lost: ERROR: \*\*\* no cameras available"):
        list(classifier.stream("picam", once=True, on_event=lambda event: None))
    make_program("rpicam-vid", "sys.exit(3)")
    with pytest.raises(SourceLostError, match="rpicam-vid ended with code 3"):
        list(classifier.stream("picam", once=True, on_event=lambda event: None))


def test_program_that_only_complains_is_a_stall(
    classifier: Classifier, make_program: Callable[[str, str], Path]
) -> None:
    make_program("rpicam-vid", "while True: print('frame dropped', file=sys.stderr, flush=True); time.sleep(0.01)")
    with pytest.raises(SourceLostError, match="picam is lost: no picture for 0.5 s"):
        list(classifier.stream("picam", once=True, stall_timeout=0.5, on_event=lambda event: None))


def test_missing_camera_program_names_its_package(
    classifier: Classifier, make_program: Callable[[str, str], Path]
) -> None:
    with pytest.raises(
        MissingProgramError, match="or picamera2, and none of them is installed; run: sudo apt install rpicam-apps"
    ):
        list(classifier.stream("picam"))


@pytest.mark.parametrize("name", ["rpicam-vid", "libcamera-vid"])
def test_raw_frames_are_asked_for_and_cut(
    classifier: Classifier, make_program: Callable[[str, str], Path], tmp_path: Path, name: str
) -> None:
    """Y, Cb and Cr of green (25, 200, 50) by ITU-T T.871: 131, 82, 53; two frames and a half in one go."""
    make_program(name, f"""
open({str(tmp_path / "called")!r}, "w").write(json.dumps(sys.argv[1:]))
frame = bytes([131]) * (64 * 48) + bytes([82]) * (32 * 24) + bytes([53]) * (32 * 24)
other = bytes([132]) + frame[1:]
os.write(1, frame + other + frame[:2000])
time.sleep(600)
""")  # fmt: skip
    results = classifier.stream("picam", warmup=0, raw="64x48:yuvj420")
    assert next(results).top1 == "green"
    results.close()
    called = json.loads((tmp_path / "called").read_text())
    assert called[called.index("--codec") + 1] == "yuv420"
    assert (called[called.index("--width") + 1], called[called.index("--height") + 1]) == ("64", "48")


def test_raw_frames_have_the_colours_of_the_same_picture_as_jpeg() -> None:
    """The scene is encoded as JPEG, and by OpenCV's own YCrCb arithmetic as planes; both decode alike."""
    y, x = np.mgrid[:64, :128] / 20
    waves = np.stack([np.sin(x + y), np.cos(y - x / 2), np.sin(x - y / 3)], axis=-1)
    scene = np.clip(127 + 100 * waves, 0, 255).astype(np.uint8)
    planes = cv2.split(cv2.cvtColor(scene, cv2.COLOR_RGB2YCrCb))
    halves = [cv2.resize(plane, (64, 32), interpolation=cv2.INTER_AREA) for plane in (planes[2], planes[1])]
    data = b"".join(plane.tobytes() for plane in (planes[0], *halves))
    raw = RawForm(64, 128, "yuvj420").to_rgb(data)
    encoded = cv2.imencode(".jpg", scene[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])[1]
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert decoded is not None
    assert np.abs(raw.astype(int) - scene).mean() < 1.5
    assert np.abs(raw.astype(int) - decoded[:, :, ::-1]).mean() < 1.5


def test_black_and_white_use_the_whole_range() -> None:
    for level in (0, 128, 255):
        frame = bytes([level]) * 64 + bytes([128]) * 32
        assert (RawForm(8, 8, "yuvj420").to_rgb(frame) == level).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"raw": "1280x720:yuv420"}, "picam gives raw frames as yuvj420, not yuv420; write raw=1280x720:yuvj420"),
        ({"raw": "800x600:yuvj420"}, "raw= is 800 pixels wide, but picam pads rows that are no multiple of 64; try"),
        ({"raw": "640x480:yuvj420", "capture": "640x480"}, "raw= and capture= both give picam a size"),
    ],
)
def test_raw_frames_that_picam_does_not_give_are_refused(
    classifier: Classifier, options: dict[str, str], message: str
) -> None:
    with pytest.raises(OptionError) as caught:
        classifier.stream("picam", **options)  # type: ignore[arg-type]
    assert message in str(caught.value)


@pytest.fixture
def picamera2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_program: Callable[[str, str], Path]) -> Path:
    """Put picamera2 where every Python finds it, and no program beside it; return where it notes its settings."""
    note, modules = tmp_path / "settings", tmp_path / "modules"
    modules.mkdir()
    blue = ", ".join(map(str, COLORS["blue"][::-1]))
    (modules / "picamera2.py").write_text(PICAMERA2.replace("{blue}", blue).replace("{note!r}", repr(str(note))))
    monkeypatch.setenv("PYTHONPATH", str(modules))
    return note


@pytest.mark.parametrize("every", [None, "1s"])
def test_picamera2_is_read_where_no_program_is(classifier: Classifier, picamera2: Path, every: str | None) -> None:
    """Its arrays are blue, green, red, their rows padded; what it prints does not get between the frames."""
    results = classifier.stream("picam", warmup=0, capture="64x48", every=every)
    found = [next(results), next(results)]
    results.close()
    assert [result.top1 for result in found] == ["blue", "blue"]
    assert all(result.age_ms is not None for result in found)
    assert json.loads(picamera2.read_text()) == {"main": {"format": "RGB888", "size": [64, 48]}}


def test_picamera2_takes_720p_unless_told_otherwise(classifier: Classifier, picamera2: Path) -> None:
    assert next(classifier.stream("picam", warmup=0, once=True)).top1 == "blue"
    assert json.loads(picamera2.read_text())["main"]["size"] == [1280, 720]


def test_picamera2_has_the_size_of_raw_frames(classifier: Classifier, picamera2: Path) -> None:
    assert next(classifier.stream("picam", raw="640x480:yuvj420", warmup=0, once=True)).top1 == "blue"
    assert json.loads(picamera2.read_text())["main"]["size"] == [640, 480]


def test_picamera2_that_fails_gives_its_reason(classifier: Classifier, picamera2: Path) -> None:
    reason = r"picam:1 is lost: it cannot be opened: Camera in Running state trying acquire\(\)"
    with pytest.raises(SourceLostError, match=reason):
        list(classifier.stream("picam:1", once=True, on_event=lambda event: None))


def test_program_is_preferred_to_picamera2(
    classifier: Classifier, picamera2: Path, make_program: Callable[[str, str], Path], tmp_path: Path
) -> None:
    (tmp_path / "red.jpg").write_bytes(jpeg("red"))
    make_program("rpicam-vid", f"os.write(1, open({str(tmp_path / 'red.jpg')!r}, 'rb').read()); time.sleep(600)")
    assert next(classifier.stream("picam", warmup=0, once=True)).top1 == "red"
    assert not picamera2.exists()
