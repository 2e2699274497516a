"""What the loop costs: overhead a frame, and frames a second from 720p MJPEG against what the model allows.

Overhead: a source that has a new 720p JPEG whenever it is asked, and a classifier that answers at once; the time
between two results less that of decoding. Streaming: a server process on loopback sends 720p MJPEG at --fps;
classifying its pictures from the stream is compared with classifying the same bytes in a plain loop, interleaved in one
run. Let --fps be well above what the plain loop manages, or the wait for the next picture is measured too. The plain
loop has one core to itself, the stream shares the machine with the server: on a machine without a core to spare the
ratio says how busy it is. The processor time that each takes for a frame, without the server's, is printed too: what
the ratio would be on one core.

    python benchmarks/stream.py MODEL.onnx [--rounds N] [--frames N] [--fps N] [--threads N]
"""

import contextlib
import itertools
import multiprocessing
import random
import socket
import statistics
import time
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

import click
import cv2
import numpy as np

from edgevit.artifact.manifest import Preprocess
from edgevit.runtime.loading import load
from edgevit.runtime.results import Result
from edgevit.runtime.sources.connections import LivePicture
from edgevit.runtime.sources.frames import Clock
from edgevit.runtime.sources.grammar import parse_source
from edgevit.runtime.sources.live import Live
from edgevit.runtime.sources.options import SourceOptions
from edgevit.runtime.sources.stop import Stop
from edgevit.runtime.stream.loop import StreamCallbacks, predictions
from edgevit.runtime.stream.plan import StreamPlan
from edgevit.system.program import Program

SIZE = (720, 1280)
PICTURES = 30
HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"


def pictures() -> list[bytes]:
    """Return 720p JPEGs of about 150 kB, each another one: waves, edges and the noise of a sensor."""
    draw = np.random.default_rng(0)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] / 90
    made = []
    for number in range(PICTURES):
        waves = np.stack([np.sin(3 * x + y + number), np.cos(5 * y - x), np.sign(np.sin(x * y / 3))], axis=-1)
        image = np.clip(127 + 70 * waves + draw.normal(0, 4, waves.shape), 0, 255).astype(np.uint8)
        made.append(bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()))
    return made


def serve(fps: float, port: "Pipe[int, None]", made: list[bytes]) -> None:
    """Send MJPEG to one connection after the other, for ever."""
    listener = socket.create_server(("127.0.0.1", 0))
    port.send(listener.getsockname()[1])
    while True:
        connected, _ = listener.accept()
        with contextlib.suppress(OSError), connected:
            connected.recv(4096)
            connected.sendall(HEAD)
            due_s = time.monotonic()
            for picture in itertools.cycle(made):
                connected.sendall(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + picture + b"\r\n")
                due_s = max(due_s + 1 / fps, time.monotonic() - 0.5)
                time.sleep(max(0.0, due_s - time.monotonic()))


class Ready:
    """A source that always has a new picture."""

    on_demand = True

    def __init__(self, made: list[bytes]) -> None:
        self._pictures = itertools.cycle(made)

    def read(self, timeout_s: float) -> list[LivePicture] | None:
        return [next(self._pictures)]

    def interrupt(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""


class AtOnce:
    """A classifier that costs nothing."""

    task = "classify"
    preprocess = Preprocess(size=(224, 224))
    whole_pictures = False

    def __call__(self, source: object, *, speed: str | None = None) -> list[Result]:
        return [Result(np.array([1.0], np.float32), ("only",))]


def overheads_ms(frames: int, made: list[bytes]) -> list[float]:
    """Return for each frame the time from result to result, less that of decoding, in milliseconds."""
    source, stop, clock = parse_source("camera:0"), Stop(), Clock()
    plan = StreamPlan((source,), SourceOptions(), frames)
    ready = Ready(made)
    live = Live(source, lambda source, source_options: ready, plan.source_options, stop, clock, random.Random(0))
    spent, before = [], time.perf_counter()
    try:
        for result in predictions(AtOnce(), live, plan, StreamCallbacks(), stop, clock):
            now = time.perf_counter()
            spent.append(1e3 * (now - before) - result.preprocess_ms)
            before = now
    finally:
        live.close()
    return spent


@click.command(cls=Program, help=__doc__)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--rounds", default=7, show_default=True, help="Rounds of a plain loop and of a stream each.")
@click.option("--frames", default=60, show_default=True, help="Frames in each round.")
@click.option("--fps", default=120.0, show_default=True, help="Frames a second that the server sends.")
@click.option("--threads", default=1, show_default=True, help="Threads of the model.")
def main(model: Path, rounds: int, frames: int, fps: float, threads: int) -> None:
    made = pictures()
    click.echo(f"pictures  {SIZE[1]}x{SIZE[0]}, {sum(map(len, made)) / len(made) / 1000:.0f} kB")
    spent = overheads_ms(1000, made)[100:]
    quarters = statistics.quantiles(spent, n=4)
    click.echo(f"overhead  {quarters[1]:.3f} ms a frame (middle half {quarters[0]:.3f}-{quarters[2]:.3f})")
    mine, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=[fps, theirs, made], daemon=True)
    server.start()
    source = f"http://127.0.0.1:{mine.recv()}/"
    plain_fps, stream_fps = [], []
    plain_cpu_ms, stream_cpu_ms = [], []
    with load(model, threads) as classifier:
        for _ in range(rounds):
            begun, cpu = time.perf_counter(), time.process_time()
            for picture in itertools.islice(itertools.cycle(made), frames):
                classifier(picture)
            plain_fps.append(frames / (time.perf_counter() - begun))
            plain_cpu_ms.append(1e3 * (time.process_time() - cpu) / frames)
            results = classifier.stream(source, max_frames=frames + 1)
            next(results)
            begun, cpu = time.perf_counter(), time.process_time()
            ages = [result.age_ms or 0.0 for result in results]
            stream_fps.append(frames / (time.perf_counter() - begun))
            stream_cpu_ms.append(1e3 * (time.process_time() - cpu) / frames)
    server.terminate()
    server.join()
    ratio = statistics.median(one / other for one, other in zip(stream_fps, plain_fps, strict=True))
    click.echo(f"plain     {statistics.median(plain_fps):.1f} frames/s (preprocessing and inference alone)")
    click.echo(f"stream    {statistics.median(stream_fps):.1f} frames/s; age {statistics.median(ages):.1f} ms")
    click.echo(f"ratio     {ratio:.3f}")
    plain_ms, stream_ms = statistics.median(plain_cpu_ms), statistics.median(stream_cpu_ms)
    click.echo(f"processor {plain_ms:.2f} and {stream_ms:.2f} ms a frame, ratio {plain_ms / stream_ms:.3f}")


if __name__ == "__main__":
    main()
