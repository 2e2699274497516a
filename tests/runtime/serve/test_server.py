"""The page: who may see it, what it says, and that no reader can hold the loop back."""

import base64
import contextlib
import http.client
import json
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.errors import OutputError
from edgevit.runtime.events.event import Event
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import event_record, result_record
from edgevit.runtime.results import Result
from edgevit.runtime.serve.address import Access
from edgevit.runtime.serve.answers import PageState
from edgevit.runtime.serve.page import duration
from edgevit.runtime.serve.server import MOST_STREAMS, Handler, Server
from edgevit.runtime.serve.status import RunStatus
from edgevit.runtime.serve.view import View
from tests.waiting import GENEROUS_S

TOKEN = "0123456789abcdef"
NAMES = ("fox", "<script>alert(1)</script>")


class Run:
    """A loop's part, played: it shows frames to a page on loopback."""

    def __init__(self, token: str | None = None, limit_s: float = 3600.0) -> None:
        self.view, self.status = View(), RunStatus(limit_s)
        about = {"version": "1", "model": "m.onnx", "source": "<b>camera:0</b>"}
        self.server = Server(Access("127.0.0.1", 0, token), PageState(self.view, self.status, about))
        self.port = int(self.server.server_address[1])
        self._frame = 0

    def frame(self, level: int, confidence: float = 0.75, roi: str | None = None) -> None:
        """Show a plain picture of 60 x 80 pixels, and the answer for it."""
        self._frame += 1
        moment = Moment("camera:0", self._frame, time.monotonic(), time.time(), roi)
        probs = np.array([confidence, 1 - confidence], np.float32)
        self.view.picture(picture(level), moment)
        record = result_record(Result(probs, NAMES, inference_ms=5.0, moment=moment, age_ms=30.0, dropped=2), moment)
        self.status.write(record)
        self.view.write(record)

    def event(self, kind: str, **facts: object) -> None:
        record = event_record(Event(kind, Moment("camera:0", self._frame, 0.0, time.time()), facts))
        self.status.write(record)
        self.view.write(record)

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=GENEROUS_S)
        with contextlib.closing(connection):
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.msg, answer.read()

    def connect(self, text: bytes = b"") -> socket.socket:
        connected = socket.create_connection(("127.0.0.1", self.port), timeout=GENEROUS_S)
        connected.sendall(text)
        return connected


def picture(level: int) -> RGBImage:
    return np.full((60, 80, 3), level, np.uint8)


def mean_level(jpeg: bytes) -> float:
    image: NDArray[np.uint8] | None = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)  # type: ignore[assignment]
    assert image is not None
    assert image.shape == (60, 80, 3)
    return float(image.mean())


@pytest.fixture
def start() -> Iterator[Callable[..., Run]]:
    """Start pages; all are closed, and all their threads gone, at the end."""
    opened: list[Run] = []
    before = set(threading.enumerate())

    def make(token: str | None = None, limit_s: float = 3600.0) -> Run:
        opened.append(Run(token, limit_s))
        return opened[-1]

    yield make
    for run in opened:
        run.server.close()
    assert set(threading.enumerate()) <= before


# ------------------------------------------------------------------ where, and for whom


def test_port_that_is_taken_is_one_line(start: Callable[..., Run]) -> None:
    port = start().port
    with pytest.raises(OutputError, match=rf"cannot be served at 127.0.0.1:{port}: Address already in use; choose"):
        Server(Access("127.0.0.1", port), PageState(View(), RunStatus(1), {}))


def test_only_who_has_the_token_may_look(start: Callable[..., Run]) -> None:
    run = start(TOKEN)
    run.frame(100)
    for path in ("/", "/panel", "/picture.jpg", "/stream.mjpg", "/healthz", "/metrics", "/state.json", "/nothing"):
        status, headers, body = run.get(path)
        assert (status, headers["WWW-Authenticate"]) == (401, 'Basic realm="edgevit", charset="UTF-8"')
        assert TOKEN.encode() not in body
    basic = base64.b64encode(f"anyone:{TOKEN}".encode()).decode()
    assert run.get("/", Authorization=f"Bearer {TOKEN}")[0] == 200
    assert run.get("/", Authorization=f"Basic {basic}")[0] == 200
    for wrong in ("Bearer x", "Bearer", f"Basic {TOKEN}", "Basic !!", f"Digest {TOKEN}", f"Bearer {TOKEN[:-1]}"):
        assert run.get("/", Authorization=wrong)[0] == 401


# ------------------------------------------------------------------ what it says


def test_page_shows_answers_events_and_counters_and_escapes_all_text(start: Callable[..., Run]) -> None:
    run = start()
    run.frame(100, 0.25)
    run.event("label", label="<i>fox</i>", previous=None, conf=0.8)
    status, headers, body = run.get("/")
    page = body.decode()
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert "&lt;script&gt;alert(1)&lt;/script&gt; 0.75" in page
    assert "now &lt;i&gt;fox&lt;/i&gt; 0.80" in page
    assert "&lt;b&gt;camera:0&lt;/b&gt;" in page
    assert not re.search("<script>alert|<i>|<b>", page)
    assert '<th>frames dropped</th><td class="number">2</td>' in page
    assert '<th>inference, mean</th><td class="number">5.0 ms</td>' in page


def test_page_needs_nothing_but_its_own_server(start: Callable[..., Run]) -> None:
    _, headers, body = start().get("/")
    assert not re.search(r"https?://|//[a-z]", body.decode())
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src 'self'")
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Server"] == "edgevit"


def test_regions_are_shown_side_by_side(start: Callable[..., Run]) -> None:
    run = start()
    for sequence in (1, 2):
        for roi in ("gate", "pen"):
            moment = Moment("camera:0", sequence, 0.0, 0.0, roi)
            run.view.write(result_record(Result(np.array([1.0], np.float32), ("fox",), moment=moment), moment))
    state = json.loads(run.get("/state.json")[2])
    assert [(answer["roi"], answer["frame"]) for answer in state["answers"]] == [("gate", 2), ("pen", 2)]
    assert b'<h2 class="place">gate</h2>' in run.get("/panel")[2]


def test_healthz_is_200_only_while_results_are_produced(start: Callable[..., Run]) -> None:
    run = start()

    def health() -> tuple[int, bytes]:
        status, _, body = run.get("/healthz")
        return status, body

    assert health() == (503, b"starting: no result yet\n")
    run.frame(100)
    assert health() == (200, b"running: results are being produced\n")
    run.event("source_lost", reason="unplugged")
    assert health() == (503, b"lost: camera:0 is lost: unplugged\n")
    run.event("source_back", away_s=3.0)
    assert health()[0] == 503
    run.frame(101)
    assert health()[0] == 200
    run.status.black(Moment("camera:0", 9, 0.0, 0.0))
    assert health() == (503, b"dark: the pictures are black\n")
    run.frame(102)
    run.event("frozen", active=True, repeated=True)
    assert health() == (503, b"lost: camera:0 keeps repeating the same picture\n")


def test_run_that_gives_no_result_in_time_is_not_healthy(start: Callable[..., Run]) -> None:
    run = start(limit_s=1e-9)
    assert re.match(rb"late: no result for \d+ s, expected one within 1e-09 s", run.get("/healthz")[2])
    run.frame(100)
    assert run.get("/healthz")[0] == 503


def test_metrics_are_what_prometheus_reads(start: Callable[..., Run]) -> None:
    parser = pytest.importorskip("prometheus_client.parser", reason="prometheus_client is not installed")
    run = start()
    for _ in range(3):
        run.frame(100, 0.9)
    run.frame(100, 0.1)
    run.event("source_lost", reason="x")
    run.status.damaged()
    status, headers, body = run.get("/metrics")
    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in parser.text_string_to_metric_families(body.decode())
        for sample in family.samples
    }
    assert found["edgevit_results_total", "fox"] == 3
    assert found["edgevit_results_total", NAMES[1]] == 1
    assert found["edgevit_events_total", "source_lost"] == 1
    assert found[("edgevit_healthy",)] == 0
    assert found[("edgevit_source_lost",)] == 1
    assert found[("edgevit_frames_dropped_total",)] == 2
    assert found[("edgevit_pictures_damaged_total",)] == 1
    assert found[("edgevit_inference_seconds_count",)] == 4
    assert found[("edgevit_inference_seconds_sum",)] == pytest.approx(0.02)
    assert found[("edgevit_frame_age_seconds",)] == pytest.approx(0.03)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.25, "3.2 s"), (59.9, "59.9 s"), (250, "4 min 10 s"), (18_120, "5 h 2 min"), (1_047_600, "12 d 3 h")],
)
def test_durations_are_read_by_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


# ------------------------------------------------------------------ the picture


def test_picture_is_the_newest_with_an_answer(start: Callable[..., Run]) -> None:
    run = start()
    assert run.get("/picture.jpg")[0] == 404
    run.frame(100)
    run.frame(180)
    assert mean_level(run.get("/picture.jpg")[2]) == pytest.approx(180, abs=2)
    # this one has no answer yet
    run.view.picture(picture(20), Moment("camera:0", 99, 0.0, 0.0))
    assert mean_level(run.get("/picture.jpg")[2]) == pytest.approx(180, abs=2)


def test_large_picture_is_sent_small() -> None:
    view, moment = View(), Moment("camera:0", 1, 0.0, 0.0)
    view.picture(np.zeros((1080, 1920, 3), np.uint8), moment)
    view.black(moment)
    found = view.next_jpeg(0, 0)
    assert found is not None
    image = cv2.imdecode(np.frombuffer(found[1], np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (540, 960, 3)


def read_part(stream: socket.SocketIO | object) -> bytes:
    """Return the next picture of a stream of parts."""
    file = stream
    assert hasattr(file, "readline")
    length = 0
    while (line := file.readline()) != b"\r\n":
        assert line
        if line.lower().startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    data: bytes = file.read(length)  # type: ignore[attr-defined]
    assert file.readline() == b"\r\n"
    return data


def test_stream_sends_each_new_picture(start: Callable[..., Run]) -> None:
    run = start()
    with run.connect(b"GET /stream.mjpg HTTP/1.0\r\n\r\n") as connected, connected.makefile("rb") as file:
        while file.readline() != b"\r\n":
            pass
        for level in (60, 120, 180):
            run.frame(level)
            assert file.readline() == b"--edgevit-picture\r\n"
            assert mean_level(read_part(file)) == pytest.approx(level, abs=2)


# ------------------------------------------------------------------ who is slow, or rude


def test_slow_reader_never_holds_the_loop_back(start: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """A watcher reads nothing, and the server's thread waits ten minutes for it; nothing that the loop calls does."""
    monkeypatch.setattr("edgevit.runtime.serve.server.READ_S", 600.0)
    monkeypatch.setattr(Handler, "timeout", 600.0)
    run = start()
    with run.connect(b"GET /stream.mjpg HTTP/1.0\r\n\r\n"):
        noise = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
        took_s: list[float] = []
        for number in range(100):
            run.view.picture(noise, Moment("camera:0", number, 0.0, 0.0))
            before_s = time.monotonic()
            run.view.black(Moment("camera:0", number, 0.0, 0.0))
            took_s.append(time.monotonic() - before_s)
            time.sleep(0.01)
    assert max(took_s) < 300


def test_watchers_are_few(start: Callable[..., Run]) -> None:
    run = start()
    run.frame(100)
    with contextlib.ExitStack() as leaving:
        for _ in range(MOST_STREAMS):
            watcher = leaving.enter_context(run.connect(b"GET /stream.mjpg HTTP/1.0\r\n\r\n"))
            assert watcher.recv(12) == b"HTTP/1.0 200"
        status, _, body = run.get("/stream.mjpg")
        assert (status, body) == (503, b"too many watch already; come again later\n")


@pytest.mark.parametrize("begun", [b"", b"GET /", b"GET / HTTP/1.0\r\nHost: 127.0.0.1\r\n"])
def test_forty_half_open_requests_do_not_starve_who_asks_for_health(
    start: Callable[..., Run], begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest of them go; watchers stay, and the threads are as few as the connections."""
    monkeypatch.setattr("edgevit.runtime.serve.server.REQUEST_S", 3600.0)
    monkeypatch.setattr(Handler, "timeout", 3600.0)
    run = start()
    run.frame(100)
    before = threading.active_count()
    with contextlib.ExitStack() as leaving:
        watcher = leaving.enter_context(run.connect(b"GET /stream.mjpg HTTP/1.0\r\n\r\n"))
        assert watcher.recv(12) == b"HTTP/1.0 200"
        half_open = [leaving.enter_context(run.connect(begun)) for _ in range(40)]
        for _ in range(20):
            assert run.get("/healthz")[0] == 200
        # the first was sent away, the last was not
        half_open[0].settimeout(GENEROUS_S)
        with contextlib.suppress(ConnectionError):
            assert half_open[0].recv(1) == b""
        half_open[-1].setblocking(False)
        with pytest.raises(BlockingIOError):
            half_open[-1].recv(1)
        assert threading.active_count() - before <= 24 + 2
        run.frame(200)
        watcher.settimeout(GENEROUS_S)
        assert watcher.recv(1000)


def test_request_that_drips_is_ended(start: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgevit.runtime.serve.server.REQUEST_S", 0.5)
    run = start()
    with run.connect(b"GET / HTTP/1.0\r\n") as connected, contextlib.suppress(OSError):
        for _ in range(600):
            connected.sendall(b"a: b\r\n")
            time.sleep(0.05)
        pytest.fail("the server waited for a request that never ends")


def test_random_bytes_do_no_harm(start: Callable[..., Run]) -> None:
    run, draw = start(), random.Random(5)
    run.frame(100)
    for number in range(200):
        rubbish = draw.randbytes(draw.randrange(1, 200))
        begun = (b"", b"GET ", b"GET / HTTP/1.0\r\nAuthorization: ", b"GET /")[number % 4]
        with run.connect(begun + rubbish + b"\r\n\r\n") as connected, contextlib.suppress(ConnectionError):
            connected.shutdown(socket.SHUT_WR)
            while connected.recv(4096):
                pass
    assert run.get("/healthz")[0] == 200


def test_only_reading_is_possible(start: Callable[..., Run]) -> None:
    run = start()
    assert run.get("/", method="PUT")[0] == 501
    assert run.get("/", method="POST")[0] in (404, 411)
    run.frame(100)
    for path in ("/", "/picture.jpg", "/healthz", "/state.json", "/stream.mjpg"):
        status, _, body = run.get(path, method="HEAD")
        assert (status, body) == (200, b"")
    assert run.get("/nothing")[0] == 404
    assert run.get("/../../etc/passwd")[0] == 404


def test_closing_ends_watchers_and_threads() -> None:
    before = set(threading.enumerate())
    run = Run()
    run.frame(100)
    with run.connect(b"GET /stream.mjpg HTTP/1.0\r\n\r\n") as connected:
        assert connected.recv(12) == b"HTTP/1.0 200"
        run.server.close()
        assert set(threading.enumerate()) <= before
        while connected.recv(65536):
            pass
