"""Cameras that are programs: the child that reads through OpenCV, rpicam-vid, and stdin; played by stand-ins."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edgevit.errors import SourceLostError
from edgevit.runtime.classifier import Classifier
from edgevit.runtime.events.event import Event
from edgevit.runtime.sources import capture
from edgevit.runtime.sources.capture import CHILD, CaptureCutter, connect
from edgevit.runtime.sources.capture_child import HEADER, MAGIC
from edgevit.runtime.sources.connections import FrameConnection
from edgevit.runtime.sources.grammar import Source
from edgevit.runtime.sources.options import SourceOptions
from edgevit.runtime.sources.raw import RawPicture
from edgevit.runtime.sources.sampling import SamplingInterval
from tests.places import ROOT
from tests.processes import wait_for_handler
from tests.runtime.sources.played_camera import CAMERA
from tests.waiting import GENEROUS_S

COLORS = {"red": (200, 50, 25), "green": (25, 200, 50), "blue": (50, 25, 200)}


def jpeg(name: str) -> bytes:
    image: NDArray[np.uint8] = np.full((48, 64, 3), COLORS[name][::-1], np.uint8)
    return bytes(cv2.imencode(".jpg", image)[1].tobytes())


@pytest.fixture
def play_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let a program play what reads cameras; `first` tells it whether it is the first one started."""

    def play(scene: str) -> None:
        started = tmp_path / "started"
        path = tmp_path / "camera.py"
        note = f"first = not os.path.exists({str(started)!r}); open({str(started)!r}, 'a').close()\n"
        path.write_text(CAMERA + note + scene)
        command = (sys.executable, str(path))
        monkeypatch.setattr(capture, "connect", lambda source, source_options: connect(source, source_options, command))

    return play


def test_camera_that_hangs_is_killed_and_read_again(
    classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a read in C does that never returns: the process sleeps for ever, deaf to SIGTERM. The first shows red."""
    for name, pixel in (("red", bytes((25, 50, 200))), ("blue", bytes((200, 25, 50)))):
        (tmp_path / name).write_bytes(HEADER.pack(MAGIC, 4, 6) + pixel * 24)
    (tmp_path / "camera.sh").write_text("""
cd "$(dirname "$0")" && read -r task && echo $$ >> started && trap "" TERM
if [ "$(wc -l < started)" -eq 1 ]; then cat red; else cat blue; fi
exec sleep 600
""")
    command = ("/bin/sh", str(tmp_path / "camera.sh"))
    monkeypatch.setattr(capture, "connect", lambda source, source_options: connect(source, source_options, command))
    events: list[Event] = []
    results = classifier.stream("camera:0", warmup=0, stall_timeout=2, on_event=events.append)
    assert next(results).top1 == "red"
    assert next(results).top1 == "blue"
    results.close()
    assert [event.kind for event in events] == ["source_lost", "source_back"]
    assert events[0].facts["reason"] == "no picture for 2 s"
    started = [int(line) for line in (tmp_path / "started").read_text().split()]
    assert len(started) >= 2
    assert not [number for number in started if Path(f"/proc/{number}").exists()]


def test_camera_that_is_unplugged_says_so_and_comes_back(
    classifier: Classifier, play_camera: Callable[[str], None], tmp_path: Path
) -> None:
    # what nobody has seen before the loss is not now
    seen = tmp_path / "seen"
    play_camera(f"""
show(25, 50, 200) if first else show(50, 200, 25)
while first and not os.path.exists({str(seen)!r}):
    time.sleep(0.01)
sys.stdin.buffer.read(1) if not first else None
sys.exit("it gives no more pictures")
""")
    events: list[Event] = []
    results = classifier.stream("/dev/video0", warmup=0, on_event=events.append)
    assert next(results).top1 == "red"
    seen.touch()
    assert next(results).top1 == "green"
    results.close()
    assert events[0].facts["reason"] == "it gives no more pictures"


def test_resolution_of_a_camera_may_change(classifier: Classifier, play_camera: Callable[[str], None]) -> None:
    play_camera("""
for side in range(2, 500):
    show(50, 200, 25, side, 2 * side)
    time.sleep(0.01)
""")
    results = list(classifier.stream("camera:0", max_frames=4, warmup=0))
    assert [result.top1 for result in results] == ["green"] * 4


def test_rubbish_from_the_camera_process_is_a_loss(classifier: Classifier, play_camera: Callable[[str], None]) -> None:
    play_camera("os.write(1, b'rubbish' * 10); time.sleep(60)")
    with pytest.raises(SourceLostError, match="its reader sent something that is no picture"):
        list(classifier.stream("camera:0", warmup=0, wait=False, on_event=lambda event: None))


def test_frames_of_the_child_are_cut_wherever_the_reads_end() -> None:
    frames = [HEADER.pack(MAGIC, 2, 1) + b"abcdef", HEADER.pack(MAGIC, 1, 1) + b"xyz"]
    stream = b"".join(frames)
    for most in (1, 5, 13, 100):
        cutter, found, at = CaptureCutter(), [], 0
        while at < len(stream):
            get_buffer = cutter.get_buffer()
            count = min(len(get_buffer), most, len(stream) - at)
            get_buffer[:count] = stream[at : at + count]
            at += count
            if (picture := cutter.buffer_updated(count)) is not None:
                found.append(picture)
        assert [(picture.data, picture.form.height, picture.form.width) for picture in found] == [
            (b"abcdef", 2, 1),
            (b"xyz", 1, 1),
        ]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A video that plays a camera for the real child: OpenCV opens both."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for name in ("red", "green", "blue"):
        writer.write(np.full((48, 64, 3), COLORS[name][::-1], np.uint8))
    writer.release()
    return path


def child_pictures(clip: Path, source_options: SourceOptions, reads: int) -> list[RawPicture]:
    connection = connect(Source("camera", str(clip), "the clip"), source_options)
    try:
        return [
            picture for _ in range(reads) for picture in connection.read(60) or [] if isinstance(picture, RawPicture)
        ]
    finally:
        connection.close()


def test_child_reads_through_opencv(clip: Path) -> None:
    pictures = child_pictures(clip, SourceOptions(), 1)
    assert (pictures[0].form.height, pictures[0].form.width) == (48, 64)
    assert np.abs(pictures[0].form.to_rgb(pictures[0].data).astype(int) - COLORS["red"]).max() <= 3


def test_child_sends_one_picture_for_each_request(clip: Path) -> None:
    """The first request is in the pipe before the child has imported OpenCV; without another, none follows."""
    connection = connect(Source("camera", str(clip), "the clip"), SourceOptions(pace=SamplingInterval(60.0)))
    assert connection.on_demand
    try:
        assert len(connection.read(60) or []) == 1
        with pytest.raises(SourceLostError, match="it gives no more pictures"):
            FrameConnection.read(connection, 60)
    finally:
        connection.close()


def test_child_says_why_it_ends(clip: Path) -> None:
    with pytest.raises(SourceLostError, match="^it gives no more pictures$"):
        child_pictures(clip, SourceOptions(), 4)
    with pytest.raises(SourceLostError, match="^it cannot be opened$"):
        child_pictures(clip.with_name("none.avi"), SourceOptions(), 1)
    with pytest.raises(SourceLostError, match="^it cannot be opened$"):
        child_pictures(Path("9"), SourceOptions(), 1)


def test_device_that_opens_and_gives_nothing_is_told_from_one_that_is_gone(tmp_path: Path) -> None:
    """As the V4L2 device of a CSI camera does; here an AVI whose frames are gone."""
    path = tmp_path / "empty.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    writer.release()
    connection = connect(Source("camera", str(path), "the clip"), SourceOptions())
    with pytest.raises(SourceLostError, match="^it opens, but gives no picture; a Raspberry Pi's CSI camera is picam$"):
        connection.read(60)
    connection.close()


def test_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """Stdin closes with the parent, whatever killed it; a device must not stay taken."""
    fifo = tmp_path / "hangs.avi"
    os.mkfifo(fifo)
    task = {"address": str(fifo), "height": 0, "width": 0, "timeout_ms": 1000, "on_demand": False, "kind": "camera"}
    child = subprocess.Popen(CHILD, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert child.stdin is not None
    child.stdin.write(json.dumps(task).encode() + b"\n")
    child.stdin.flush()
    time.sleep(0.2)
    assert child.poll() is None
    child.stdin.close()
    assert child.wait(GENEROUS_S) == 0


def edgevit(arguments: Sequence[object], **options: object) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "edgevit", *map(str, arguments)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": ROOT}
    return subprocess.Popen(command, **{**pipes, **options})  # type: ignore[call-overload, no-any-return]


def test_stdin_carries_mjpeg_and_its_end_is_the_end(tiny_model: Path) -> None:
    process = edgevit(["run", tiny_model, "-", "--json"])
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(jpeg("red") + b"garbage")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["top1"] == "red"
    process.stdin.write(jpeg("blue"))
    process.stdin.flush()
    line = json.loads(process.stdout.readline())
    assert (line["top1"], line["source"], line["frame"], line["dropped"]) == ("blue", "stdin", 1, 0)
    assert line["age_ms"] >= 0
    out, err = process.communicate()
    assert (process.returncode, out, err) == (0, b"", b"edgevit: 2 frames, 0 events; 2 lines on stdout\n")


def test_stdin_that_is_a_file_is_read_whole(tiny_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.mjpeg"
    path.write_bytes(b"".join(jpeg(name) for name in COLORS) * 20)
    with path.open("rb") as file:
        process = edgevit(["run", tiny_model, "-"], stdin=file)
        out, err = process.communicate()
    assert (process.returncode, err) == (0, b"edgevit: 60 frames, 0 events; 60 lines on stdout\n")
    assert [line.split()[1] for line in out.decode().splitlines()] == list(COLORS) * 20


@pytest.mark.parametrize("suffix", ["png", "webp", "gif", "bmp", "tiff", "names"])
def test_stdin_that_is_no_stream_of_pictures_is_one_line(tiny_model: Path, tmp_path: Path, suffix: str) -> None:
    held = io.BytesIO(b"a.jpg\0b.jpg\0")
    if suffix != "names":
        Image.fromarray(np.full((48, 64, 3), COLORS["red"], np.uint8)).save(held := io.BytesIO(), suffix)
    out, err = edgevit(["run", tiny_model, "-"]).communicate(held.getvalue())
    assert (out, err.count(b"\n")) == (b"", 1)
    assert err.startswith(b"edgevit: stdin holds neither paths, one a line, nor JPEGs or H.264; give other pictures by")


@pytest.mark.parametrize("option", ["--no-wait", "--wait", "--warmup=2s", "--stall-timeout=10s"])
@pytest.mark.parametrize("held", ["a list of paths", "a file"])
def test_what_is_said_of_a_loss_is_refused_where_stdin_is_never_lost(
    tiny_model: Path, tmp_path: Path, option: str, held: str
) -> None:
    path = tmp_path / "stdin"
    path.write_bytes(b"a.jpg\n" if held == "a list of paths" else jpeg("red"))
    with path.open("rb") as file:
        process = edgevit(["run", tiny_model, "-", option], stdin=file)
        out, err = process.communicate()
    assert (process.returncode, out) == (2, b"")
    told = f"edgevit: {option.split('=')[0]} is for cameras and streams, but stdin "
    assert err.decode().startswith(told)
    assert err.decode().endswith(f"{held}; leave it out\n")


def test_stdin_carries_raw_frames(tiny_model: Path) -> None:
    frame = np.full((48, 64, 3), COLORS["green"], np.uint8).tobytes()
    process = edgevit(["run", tiny_model, "-", "--raw", "64x48", "--csv", "--top-k", "1"])
    out, err = process.communicate(frame)
    assert (process.returncode, err) == (0, b"edgevit: 1 frame, 0 events; 1 line on stdout\n")
    header, row = out.decode().splitlines()
    assert header == "source,label1,conf1,time,roi,frame,age_ms,id"
    assert row.startswith("stdin,green,")


def test_h264_on_stdin_is_one_line_with_the_remedy(tiny_model: Path) -> None:
    out, err = (process := edgevit(["run", tiny_model, "-"])).communicate(b"\0\0\0\1" + bytes(1000))
    assert (process.returncode, out) == (2, b"")
    assert err == b"edgevit: stdin sends H.264, not MJPEG; with rpicam-vid, add `--codec mjpeg`\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("started", [True, False])
def test_signal_ends_the_stream_with_exit_code_0(tiny_model: Path, number: int, started: bool) -> None:
    """Also if nothing ever came on stdin."""
    process = edgevit(["run", tiny_model, "-", "--json"])
    assert process.stdin is not None
    assert process.stdout is not None
    if started:
        process.stdin.write(jpeg("red"))
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["top1"] == "red"
    else:
        wait_for_handler(process)
    process.send_signal(number)
    out, err = process.communicate()
    ending = b"edgevit: 1 frame, 0 events; 1 line on stdout\n" if started else b""
    assert (process.returncode, out, err) == (0, b"", ending)


def test_lost_source_is_exit_code_4_when_not_waited_for(tiny_model: Path) -> None:
    process = edgevit(["run", tiny_model, "camera:99", "--no-wait"])
    out, err = process.communicate()
    assert (process.returncode, out) == (4, b"")
    assert err.decode().splitlines() == ["edgevit: camera:99 is lost: it cannot be opened"]
