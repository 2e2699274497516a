"""SIGTERM ends a run whatever its source or its model does; what hangs is named."""

import contextlib
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgevit.runtime.run import hang_guard
from edgevit.runtime.run.hang_guard import HangGuard, answer_limit_s
from edgevit.runtime.sources.stop import Stop
from tests.places import ROOT, SHARED
from tests.processes import wait_for_delivery, wait_for_handler
from tests.waiting import GENEROUS_S, wait_for

LOOP = SHARED / "cases" / "models" / "loop.onnx"
LONG = ("--stall-timeout", "600s")
WATCHDOG = "10000000"
"""Microseconds that a service manager waits: a model has half of that, also to be opened on a busy machine."""
JPEG = cv2.imencode(".jpg", np.full((48, 64, 3), (25, 50, 200), np.uint8))[1].tobytes()
HANGS = "the run was asked to end, but the model has not"
Start = Callable[..., "subprocess.Popen[bytes]"]
MARKING = """
import os, pathlib
import cv2, onnxruntime
import edgevit.runtime.loading
from edgevit.cli import main
from edgevit.runtime.run import hang_guard
from edgevit.runtime.run.hang_guard import HangGuard

answer = onnxruntime.InferenceSession.run

def marking(*given, **more):
    pathlib.Path(os.environ["EDGEVIT_TEST_ASKED"]).touch()
    return answer(*given, **more)

onnxruntime.InferenceSession.run = marking
if "EDGEVIT_TEST_STOP_S" in os.environ:
    HangGuard.__init__.__defaults__ = (None, float(os.environ["EDGEVIT_TEST_STOP_S"]))
main()
"""
"""`edgevit` with all that it imports, so that a busy machine opens a model soon; makes a file when a model is asked."""


@pytest.fixture
def start(tiny_model: Path, tmp_path: Path) -> Iterator[Start]:
    """Start `edgevit run` in a process; all are gone at the end."""
    opened: list[subprocess.Popen[bytes]] = []

    def make(*arguments: object, model: Path = tiny_model, **environment: str) -> "subprocess.Popen[bytes]":
        program = ("-m", "edgevit") if model == tiny_model else ("-c", MARKING)
        command = [sys.executable, *program, "run", *map(str, (model, *arguments)), "--to", "json"]
        opened.append(
            subprocess.Popen(
                command,
                cwd=ROOT,
                env=os.environ | {"EDGEVIT_TEST_ASKED": str(tmp_path / "asked")} | environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        )
        return opened[-1]

    yield make
    for process in opened:
        process.kill()
        process.communicate()


class Server:
    """Sends something to whoever comes, and then a byte now and then or nothing more."""

    def __init__(self, sent: bytes, drip: bytes = b"") -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.reached, self._over = threading.Event(), threading.Event()
        self._sent, self._drip = sent, drip
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while not self._over.is_set():
                connected, _ = self._listener.accept()
                with contextlib.suppress(OSError), connected:
                    connected.sendall(self._sent)
                    self.reached.set()
                    while not self._over.wait(0.1):
                        connected.sendall(self._drip)

    def close(self) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def make(sent: bytes, drip: bytes = b"") -> Server:
        made.append(Server(sent, drip))
        return made[-1]

    yield make
    for server in made:
        server.close()


def end(process: "subprocess.Popen[bytes]") -> tuple[int, bytes, str]:
    """Send SIGTERM; return exit code, stdout and stderr. The sources would wait ten minutes."""
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=GENEROUS_S)
    return process.returncode, out, err.decode()


@pytest.mark.parametrize(
    ("scheme", "sent", "drip"),
    [
        ("http", b"HTTP/1.1 200 OK\r\nX-", b"a"),
        ("http", b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace\r\n\r\n", b""),
        ("http", b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8\xff\xe0", b"a"),
        ("tcp", b"", b""),
        ("rtsp", b"", b""),
    ],
)
def test_network_source_lets_go(
    start: Start, serve: Callable[..., Server], scheme: str, sent: bytes, drip: bytes
) -> None:
    server = serve(sent, drip)
    process = start(f"{scheme}://{server.address}/", *LONG)
    assert server.reached.wait(GENEROUS_S)
    assert end(process) == (0, b"", "")


@pytest.mark.parametrize(("first", "options"), [(b"", LONG), (b"red.jpg\nred", ()), (JPEG, LONG)])
def test_silent_pipe_lets_go(start: Start, tmp_path: Path, first: bytes, options: Sequence[str]) -> None:
    """Nothing, a list of paths whose second line never ends, and one picture."""
    (tmp_path / "red.jpg").write_bytes(JPEG)
    process = start("-", *options)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(first.replace(b"red.jpg", os.fsencode(tmp_path / "red.jpg")) if first != JPEG else first)
    process.stdin.flush()
    if first:
        assert b'"top1": "red"' in process.stdout.readline()
    else:
        wait_for_handler(process)
    process.send_signal(signal.SIGTERM)
    assert (process.wait(GENEROUS_S), process.stdout.read()) == (0, b"")


def test_files_and_videos_let_go(start: Start, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "0.jpg").write_bytes(JPEG)
    for number in range(1, 5000):
        (tmp_path / "photos" / f"{number}.jpg").hardlink_to(tmp_path / "photos" / "0.jpg")
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for _ in range(5000):
        writer.write(np.full((48, 64, 3), (25, 50, 200), np.uint8))
    writer.release()
    for source in (tmp_path / "photos", clip):
        process = start(source)
        assert process.stdout is not None
        process.stdout.readline()
        code, out, err = end(process)
        assert code == 0
        # one frame needs no summary
        summary = re.fullmatch(r"(?:edgevit: (\d+) frames, 0 events; \1 lines on stdout\n)?", err)
        assert summary, err
        # what `readline` read ahead is not in `out`
        assert len(out.splitlines()) < int(summary[1] or 1) < 5000


@pytest.mark.parametrize("left_behind", [False, True])
def test_camera_program_that_is_deaf_to_signals_goes(start: Start, tmp_path: Path, left_behind: bool) -> None:
    """Also one whose own child has the pipe open and goes on."""
    folder, pids = tmp_path / "bin", tmp_path / "pids"
    folder.mkdir()
    program = folder / "rpicam-vid"
    sleep = (
        "import os, signal, time\nsignal.signal(15, signal.SIG_IGN)\n"
        f"open({str(pids)!r}, 'a').write(f'{{os.getpid()}} ')\ntime.sleep(600)"
    )
    more = f"subprocess.Popen([sys.executable, '-c', {sleep!r}], stdin=subprocess.DEVNULL)\n" if left_behind else ""
    program.write_text(f"#!{sys.executable}\nimport subprocess, sys\n{more}{sleep}\n")
    program.chmod(0o755)
    process = start("picam", *LONG, PATH=f"{folder}:{os.environ['PATH']}")
    wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 1 + left_behind)
    assert end(process) == (0, b"", "")
    # killed, and gone as soon as the system comes to it
    wait_for(lambda: [number for number in pids.read_text().split() if alive(number)] == [])


def alive(number: str) -> bool:
    """Tell whether a process runs; what waits for its parent to look is dead."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


# ------------------------------------------------------------------ a model that hangs


def endless_graph() -> onnx.ModelProto:
    """Return the mean of each channel, copied 2^62 times."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["x"], ["y"])],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3)),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 3)),
        ],
    )
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["channels"]),
        helper.make_node("Loop", ["rounds", "go", "channels"], ["logits"], body=body),
    ]
    graph = helper.make_graph(
        nodes,
        "endless",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, 24, 32))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, (1, 3))],
        [numpy_helper.from_array(np.array(1 << 62), "rounds"), numpy_helper.from_array(np.array(True), "go")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


@pytest.fixture
def endless(make_model: Callable[..., Path]) -> Path:
    return make_model("endless.onnx", endless_graph())


def test_model_that_never_answers_does_not_keep_a_run_from_its_end(start: Start, endless: Path, tmp_path: Path) -> None:
    (tmp_path / "red.jpg").write_bytes(JPEG)
    process = start(tmp_path / "red.jpg", "--to", tmp_path / "kept.jsonl", model=endless)
    wait_for((tmp_path / "asked").exists)
    code, out, err = end(process)
    assert (code, out) == (5, b"")
    assert err.startswith(f"{HANGS} answered for ")
    assert len(err.splitlines()) == 1


def test_model_that_never_answers_is_named_before_the_watchdog_ends_it(
    start: Start, endless: Path, tmp_path: Path
) -> None:
    """No sign of life is given meanwhile; the service manager would have waited for twice as long."""
    (tmp_path / "red.jpg").write_bytes(JPEG)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(GENEROUS_S)
        process = start(
            tmp_path / "red.jpg", model=endless, NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC=WATCHDOG
        )
        _, err = process.communicate(timeout=GENEROUS_S)
        assert process.returncode == 5
        assert err.startswith(b"the model has not answered for ")
        manager.setblocking(False)
        told = []
        with contextlib.suppress(BlockingIOError):
            while True:
                told.append(manager.recv(4096).decode())
    assert not any("WATCHDOG=1" in each or "READY=1" in each for each in told)
    assert any(each.startswith("STATUS=the model has not answered for ") for each in told)


@pytest.mark.skipif(not LOOP.exists(), reason="the cases are not beside this checkout")
def test_endless_loop_of_the_cases_is_ended_and_named(start: Start, tmp_path: Path) -> None:
    (tmp_path / "red.jpg").write_bytes(JPEG)
    process = start(tmp_path / "red.jpg", model=LOOP, WATCHDOG_USEC=WATCHDOG)
    _, err = process.communicate(timeout=GENEROUS_S)
    assert process.returncode == 5
    assert err.startswith(b"the model has not answered for ")


def test_second_signal_acts_at_once_while_a_model_hangs(start: Start, endless: Path, tmp_path: Path) -> None:
    (tmp_path / "red.jpg").write_bytes(JPEG)
    process = start(tmp_path / "red.jpg", model=endless, EDGEVIT_TEST_STOP_S="600")
    wait_for((tmp_path / "asked").exists)
    process.send_signal(signal.SIGTERM)
    wait_for_delivery(process, signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    assert process.wait(GENEROUS_S) in (128 + signal.SIGTERM, -signal.SIGTERM)


def test_limit_is_half_of_what_the_service_manager_waits() -> None:
    assert answer_limit_s(None) == 300
    assert answer_limit_s(120) == 60
    assert answer_limit_s(3600) == 300
    # a picture in twenty tiles
    assert (answer_limit_s(None, 20), answer_limit_s(1200, 20)) == (6000, 600)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the guard, in seconds, which stands still unless it is changed."""
    now = [100.0]
    monkeypatch.setattr(hang_guard, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_slow_model_may_finish_what_it_has_in_hand(now: list[float]) -> None:
    guard = HangGuard(Stop(), lambda text: None, stop_s=0.1)
    with guard.working("the model has not answered"):
        now[0] += 1.5
    guard.ending()
    with guard.working("the model has not answered"):
        # twice as long as it took before
        assert guard._trouble(now[0] + 2.9) is None
        assert guard._trouble(now[0] + 3.1) == f"{HANGS} answered for 3 s; ending it"
    guard.close()


def test_model_that_is_being_opened_may_take_longer_to_end(now: list[float]) -> None:
    guard = HangGuard(Stop(), lambda text: None, stop_s=0.1)
    guard.ending()
    with guard.working("the model has not been opened", stop_s=60.0):
        assert guard._trouble(now[0] + 59) is None
        assert guard._trouble(now[0] + 61) == f"{HANGS} been opened for 61 s; ending it"
    guard.close()


def test_run_that_was_asked_to_end_is_watched(now: list[float]) -> None:
    told: queue.SimpleQueue[str] = queue.SimpleQueue()
    stop = Stop()
    guard = HangGuard(stop, told.put, stop_s=0.1)
    stop.ask()
    with guard.working("the model has not answered"):
        now_s = now[0]
        wait_for(lambda: guard._ending_s == now_s)
        now[0] += 1.0
        assert told.get(timeout=GENEROUS_S) == f"{HANGS} answered for 1 s; ending it"
    guard.close()
