"""The scripts in examples/ run, with stand-ins for cameras: a video, an MJPEG server, a picamera2 of three lines."""

import asyncio
import csv
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import aclosing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.errors import ImageError
from edgevit.runtime.loading import load
from edgevit.runtime.sources.stop import Stop
from tests.places import ROOT
from tests.waiting import no_thread_left

EXAMPLES = ROOT / "examples"
COLORS = {"red": (200, 50, 25), "green": (25, 200, 50), "blue": (50, 25, 200), "gray": (127, 127, 127)}

PICAMERA2 = """
import numpy as np
class Picamera2:
    def __enter__(self): return self
    def __exit__(self, *what): print("closed")
    def create_video_configuration(self, main): return main
    def configure(self, main): self.size = main["size"]; assert main["format"] == "RGB888"
    def start(self): self.started = True
    def capture_array(self):
        assert self.started
        return np.full((self.size[1], self.size[0], 3), (25, 50, 200), np.uint8)
"""


def picture(color: str) -> NDArray[np.uint8]:
    """Return a plain picture as OpenCV has it: blue, green, red."""
    return np.full((48, 64, 3), COLORS[color][::-1], np.uint8)


def make_video(path: Path, colors: Sequence[str]) -> Path:
    """Write a frame for each second."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 1.0, (64, 48))
    for color in colors:
        writer.write(picture(color))
    writer.release()
    return path


@pytest.fixture
def camera() -> Iterator[str]:
    """Return the address of a camera that shows blue, always a little different, for ever."""
    over = threading.Event()

    class Film(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            image = picture("blue")
            with suppress(OSError):
                for number in count():
                    image[:8, :8] = number % 200
                    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
                    self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + jpeg + b"\r\n")
                    if over.wait(0.05):
                        return

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Film)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/video"
    over.set()
    server.shutdown()
    server.server_close()
    thread.join()


def start(script: str, *arguments: object, path: Path | None = None) -> subprocess.Popen[str]:
    """Start a script as a user would; `path` holds modules that it imports."""
    modules = os.pathsep.join(map(str, [ROOT, *([path] if path else [])]))
    command = [sys.executable, str(EXAMPLES / script), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": modules}
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def finish(process: subprocess.Popen[str], ask: bool = False) -> tuple[str, str]:
    """Return what a script still writes, after asking it to end if it would not by itself; it must end well."""
    if ask:
        process.send_signal(signal.SIGTERM)
    out, err = process.communicate()
    assert process.returncode == 0, err
    return out, err


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_farm_counts_what_lasts_and_raises_an_alarm_for_the_unknown(tiny_model: Path, tmp_path: Path) -> None:
    # one green frame between red ones does not last; equal channels give 1/3 for each class: unknown
    colors = ["red"] * 4 + ["green"] + ["red"] * 3 + ["gray"] * 5 + ["red"] * 4
    video, counts = make_video(tmp_path / "yard.avi", colors), tmp_path / "counts.csv"
    out, err = finish(start("farm.py", tiny_model, video, "--counts", counts, "--night", "0-24"))
    assert [line.split()[1] for line in out.splitlines()] == ["red", "unknown", "red"]
    alarm = json.loads(err[err.index("{") :])
    assert "ALARM" in err
    assert (alarm["label"], alarm["previous"]) == ("unknown", "red")
    rows = list(csv.reader(counts.open()))
    # the hour may turn while the test runs
    assert sum(int(number) for _, label, number in rows if label == "red") == 2
    assert sum(int(number) for _, label, number in rows if label == "unknown") == 1


def test_farm_is_quiet_by_day_and_ends_when_asked(tiny_model: Path, tmp_path: Path, camera: str) -> None:
    counts = tmp_path / "counts.csv"
    process = start("farm.py", tiny_model, camera, "--every", "100ms", "--counts", counts, "--night", "0-0")
    assert next_line(process).split()[1] == "blue"
    _, err = finish(process, ask=True)
    assert "ALARM" not in err
    assert [row[1:] for row in csv.reader(counts.open())] == [["blue", "1"]]


@pytest.mark.parametrize(
    ("night", "hours"), [((21, 6), {21, 22, 23, 0, 1, 2, 3, 4, 5}), ((1, 4), {1, 2, 3}), ((0, 24), set(range(24)))]
)
def test_farms_night_may_last_past_midnight(night: tuple[int, int], hours: set[int]) -> None:
    is_night = example("farm").is_night
    assert {hour for hour in range(24) if is_night(hour, night)} == hours


def test_picamera2_frames_are_taken_as_blue_green_red(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "picamera2.py").write_text(PICAMERA2)
    out, _ = finish(start("picamera2_loop.py", tiny_model, "--frames", 2, path=tmp_path))
    assert [line.split()[:2] for line in out.splitlines()] == [["1", "red"], ["2", "red"], ["closed"]]


def test_asyncio_server_tells_the_newest_answer_while_the_camera_is_read(tiny_model: Path, camera: str) -> None:
    process = start("asyncio_server.py", tiny_model, camera, "--port", 0)
    port = int(next_line(process).split()[-1])
    answer: dict[str, object] = {}
    while not answer:
        with socket.create_connection(("127.0.0.1", port)) as connected, connected.makefile() as file:
            answer = json.loads(file.readline())
    assert answer["top1"] == "blue"
    finish(process, ask=True)


def test_asyncio_stream_leaves_no_thread_when_it_is_left_or_cancelled(tiny_model: Path, camera: str) -> None:
    answers = example("asyncio_server").answers

    async def leave() -> None:
        with load(tiny_model) as classifier, no_thread_left("camera"):
            async with aclosing(answers(classifier, camera)) as results:
                async for result in results:
                    assert result.top1 == "blue"
                    break

    async def cancel() -> None:
        with load(tiny_model) as classifier, no_thread_left("camera"):
            # the next frame is an hour away
            async with aclosing(answers(classifier, camera, "1h")) as results:
                await anext(results)
                waiting = asyncio.create_task(anext(results))
                await asyncio.sleep(0.1)
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting

    asyncio.run(leave())
    asyncio.run(cancel())


def test_many_cameras_are_classified_at_once_and_end_when_asked(tiny_model: Path, tmp_path: Path, camera: str) -> None:
    video = make_video(tmp_path / "gate.avi", ["red", "green"])
    process = start("many_cameras.py", tiny_model, camera, video)
    seen: set[str] = set()
    while len(seen) < 3:
        seen.add(next_line(process).rsplit(" ", 1)[0])
    assert seen == {f"{camera}: blue", f"{video}: red", f"{video}: green"}
    finish(process, ask=True)


DEADLY = """
import os, sys
if "multiprocessing.spawn" in " ".join(sys.orig_argv):
    from edgevit.runtime.classifier import Classifier
    answer = Classifier.__call__
    def call(self, source, **more):
        if os.path.basename(str(source[0])) == "poison.jpg":
            os._exit(9)
        return answer(self, source, **more)
    Classifier.__call__ = call
"""
"""Makes a picture one that kills the process that answers it, wherever that is started."""


@pytest.mark.slow
def test_archive_on_a_cluster_has_a_row_for_each_picture_and_goes_on(tiny_model: Path, tmp_path: Path) -> None:
    """The first run has no errors at all: then that column has no value that would tell its type."""
    pytest.importorskip("ray")
    parquet = pytest.importorskip("pyarrow.parquet")
    photos, out = tmp_path / "photos", tmp_path / "answers"
    photos.mkdir()
    for number, color in enumerate(["red", "green", "blue", "red", "green"]):
        cv2.imwrite(str(photos / f"{number}.jpg"), picture(color))
    call = ("archive_ray.py", tiny_model, photos, out, "--block", 2)
    assert finish(start(*call))[0].splitlines()[-1] == "5 rows, 0 of them errors"
    (photos / "broken.jpg").write_bytes(b"no picture")
    cv2.imwrite(str(photos / "poison.jpg"), picture("red"))
    (tmp_path / "sitecustomize.py").write_text(DEADLY)
    assert finish(start(*call, path=tmp_path))[0].splitlines()[-1] == "7 rows, 2 of them errors"
    rows = {
        Path(row["source"]).name: row for file in out.glob("*.parquet") for row in parquet.read_table(file).to_pylist()
    }
    assert [rows[f"{number}.jpg"]["top1"] for number in range(5)] == ["red", "green", "blue", "red", "green"]
    assert rows["0.jpg"]["conf"] > 0.99
    assert rows["broken.jpg"]["error"].startswith(f"{photos}/broken.jpg is not an image")
    assert rows["poison.jpg"]["error"].startswith(f"{photos}/poison.jpg ended the process that was to answer it, twice")


def test_many_cameras_leave_no_thread_when_one_cannot_be_read(
    tiny_model: Path, tmp_path: Path, camera: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with load(tiny_model) as classifier, no_thread_left("camera"), pytest.raises(ImageError):
        example("many_cameras").watch_all(classifier, [camera, str(tmp_path / "absent.avi")], None, Stop())
