"""systemd's notify protocol over a real datagram socket, and a model that is renewed only if it proves itself."""

import contextlib
import os
import random
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from edgevit.artifact.cases import SelfTest
from edgevit.artifact.manifest import read_manifest
from edgevit.errors import EdgevitError
from edgevit.runtime.backends.session import open_session
from edgevit.runtime.events.event import Event
from edgevit.runtime.loading import load
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import Record, event_record, result_record
from edgevit.runtime.results import Result
from edgevit.runtime.run.heartbeat import Heartbeat
from edgevit.runtime.run.model_reload import ReloadableModel
from edgevit.runtime.run.sd_notify import Notifier
from edgevit.runtime.selftest import record_cases
from edgevit.runtime.sources.frames import Clock
from tests.waiting import GENEROUS_S, no_thread_left

MakeModel = Callable[..., Path]


class Manager:
    """A service manager's end of the socket."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.settimeout(GENEROUS_S)

    def next(self) -> list[str]:
        """Return the lines of the next message."""
        return self._socket.recv(4096).decode().split("\n")

    def waiting(self) -> list[list[str]]:
        """Return all messages that are there."""
        found = []
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self.next())
        return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify"))
    yield made
    made.close()


@pytest.fixture
def address(tmp_path: Path) -> str:
    return str(tmp_path / "notify")


def answer(now_s: float = 0.0) -> Record:
    moment = Moment("camera:0", 1, now_s, 0.0)
    return result_record(Result(np.array([0.25, 0.75], np.float32), ("cat", "fox"), moment=moment), moment)


def lost() -> Record:
    return event_record(Event("source_lost", Moment("camera:0", 2, 0.0, 0.0), {"reason": "unplugged"}))


# ------------------------------------------------------------------ the protocol


def test_address_and_watchdog_come_from_the_environment() -> None:
    mine = str(os.getpid())
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": "/run/n", "WATCHDOG_USEC": "90000000", "WATCHDOG_PID": mine})
    assert notifier.watchdog_s == 90.0
    for environment in (
        {},
        {"NOTIFY_SOCKET": "vsock:2:3", "WATCHDOG_USEC": "soon"},
        {"NOTIFY_SOCKET": "", "WATCHDOG_USEC": "90", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "٣"},
    ):
        notifier = Notifier.from_environment(environment)
        assert notifier.watchdog_s is None
        notifier.ready("there is nobody to tell")


def test_abstract_socket_is_reached() -> None:
    name = f"edgevit-test-{os.getpid()}"
    manager = Manager(f"\0{name}")
    Notifier(f"@{name}").stopping()
    assert manager.next() == ["STOPPING=1", "STATUS=finishing"]
    manager.close()


def test_reloading_carries_the_time_that_systemd_asks_for(manager: Manager, address: str) -> None:
    Notifier(address).reloading("opening")
    first, second, third = manager.next()
    assert (first, third) == ("RELOADING=1", "STATUS=opening")
    name, _, value = second.partition("=")
    assert name == "MONOTONIC_USEC"
    assert int(value) > 0


def test_text_cannot_add_an_assignment(manager: Manager, address: str) -> None:
    Notifier(address).status("fox\nREADY=1\0\r\x1b[31m\ud800")
    assert manager.waiting() == [["STATUS=fox READY=1   [31m "]]


def test_manager_that_is_gone_is_one_line_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    notifier = Notifier(str(tmp_path / "nobody"))
    for _ in range(3):
        notifier.alive("x")
    assert [record.getMessage() for record in caplog.records] == [
        f"the service manager cannot be told at {tmp_path}/nobody: No such file or directory"
    ]


def test_manager_that_does_not_read_holds_nothing_up(manager: Manager, address: str) -> None:
    notifier = Notifier(address)
    for _ in range(2000):
        notifier.alive("x" * 500)
    assert 0 < len(manager.waiting()) < 2000


# ------------------------------------------------------------------ the heart


def test_readiness_comes_with_the_first_result(manager: Manager, address: str) -> None:
    heart = Heartbeat(Notifier(address))
    heart.write(lost())
    assert manager.waiting() == [["STATUS=camera:0: source lost: unplugged"]]
    heart.write(answer())
    assert manager.waiting() == [
        ["READY=1", "STATUS=camera:0: fox 0.75"],
        ["WATCHDOG=1", "STATUS=camera:0: fox 0.75"],
    ]


def test_watchdog_is_fed_by_results_alone_four_times_a_period(manager: Manager, address: str) -> None:
    """A period of 8 s: at 0, 2, 4 ... s. Without results there is silence, whatever else is told."""
    now_s = 0.0
    heart = Heartbeat(Notifier(address, watchdog_s=8.0), Clock(monotonic_s=lambda: now_s))
    beats = []
    for tick in range(40):
        now_s = tick / 2
        if now_s < 10:
            heart.write(answer())
        elif tick == 20:
            heart.write(lost())
        beats += [now_s for lines in manager.waiting() if "WATCHDOG=1" in lines]
    assert beats == [0, 2, 4, 6, 8]


def test_darkness_feeds_the_watchdog_as_a_new_start_brings_no_light(manager: Manager, address: str) -> None:
    heart = Heartbeat(Notifier(address, watchdog_s=8.0))
    heart.black(Moment("camera:0", 1, 0.0, 0.0))
    assert manager.waiting()[1] == ["WATCHDOG=1", "STATUS=camera:0: the pictures are black"]


def test_renewal_does_not_claim_readiness_before_the_first_result(manager: Manager, address: str) -> None:
    heart = Heartbeat(Notifier(address))
    heart.renewal(None)
    heart.renewal("done")
    assert manager.waiting() == [["STATUS=opening the newer model"], ["STATUS=done"]]
    heart.write(answer())
    manager.waiting()
    heart.renewal(None)
    heart.renewal("done")
    assert [lines[0] for lines in manager.waiting()] == ["RELOADING=1", "READY=1"]


# ------------------------------------------------------------------ the model


class Notified:
    """Waits for a renewal's outcome."""

    def __init__(self) -> None:
        self.texts: list[str | None] = []
        self._ended = threading.Semaphore(0)

    def __call__(self, text: str | None) -> None:
        self.texts.append(text)
        if text is not None:
            self._ended.release()

    def wait(self) -> str:
        assert self._ended.acquire(timeout=GENEROUS_S)
        return [text for text in self.texts if text is not None][-1]


@pytest.fixture
def told() -> Notified:
    return Notified()


@pytest.fixture
def reloadable(tiny_model: Path, told: Notified) -> Iterator[ReloadableModel]:
    made = ReloadableModel(load(tiny_model), lambda: load(tiny_model), told)
    yield made
    made.close()


def test_newer_model_answers_after_its_selftest_passed(
    reloadable: ReloadableModel,
    told: Notified,
    make_graph: Callable[..., onnx.ModelProto],
    make_model: MakeModel,
    red_image: NDArray[np.uint8],
) -> None:
    """The newer model's rows are exchanged: it calls red blue."""
    assert reloadable([red_image])[0].top1 == "red"
    graph = make_graph(weights=4 * np.eye(3, dtype=np.float32)[::-1])
    path = make_model("newer.onnx", graph)
    session = open_session(path)
    tests = record_cases(session, reloadable.preprocess, "fp32")
    session.close()
    make_model(graph=graph, selftest=tests)
    reloadable.ask()
    assert told.wait() == "the model was renewed; its self-test passed, 3 pictures"
    assert told.texts[0] is None
    assert reloadable([red_image])[0].top1 == "blue"


@pytest.mark.parametrize("problem", ["missing", "damaged", "wrong", "other classes", "without self-test"])
def test_old_model_stays_if_the_newer_one_is_not_sound(
    reloadable: ReloadableModel,
    told: Notified,
    tiny_model: Path,
    make_model: MakeModel,
    red_image: NDArray[np.uint8],
    problem: str,
) -> None:
    whole = tiny_model.read_bytes()
    manifest = read_manifest(tiny_model)
    assert manifest is not None
    tests = manifest.selftest
    assert tests is not None
    wrong = [SelfTest(case.png, case.input_indices, case.input_values, (9.0, 9.0, 9.0)) for case in tests.cases]
    changes: dict[str, Callable[[], object]] = {
        "missing": tiny_model.unlink,
        "damaged": lambda: tiny_model.write_bytes(whole[:-100]),
        "wrong": lambda: make_model(selftest=type(tests)(tuple(wrong), tests.input_tolerance, tests.logit_tolerance)),
        "other classes": lambda: make_model(selftest=tests, labels=("red", "green", "indigo")),
        "without self-test": lambda: make_model(selftest=None),
    }
    changes[problem]()
    reloadable.ask()
    expected = {
        "missing": "does not exist",
        "damaged": "is not an ONNX model, or is truncated",
        "wrong": "self-test failed, case 1 of 3: logit 0",
        "other classes": "classes are not those of the running model; restart the service to use it",
        "without self-test": "holds no self-test; export it with edgevit",
    }
    text = told.wait()
    assert text.startswith("the old model stays: ")
    assert expected[problem] in text
    assert reloadable([red_image])[0].top1 == "red"


def test_many_requests_in_a_row_end_with_a_sound_model(
    reloadable: ReloadableModel, told: Notified, red_image: NDArray[np.uint8]
) -> None:
    draw = random.Random(1)
    for _ in range(20):
        if draw.random() < 0.5:
            reloadable.ask()
        assert reloadable([red_image])[0].top1 == "red"
    reloadable.ask()
    told.wait()
    assert reloadable([red_image])[0].top1 == "red"


def test_closing_ends_the_thread_and_the_models(tiny_model: Path, red_image: NDArray[np.uint8]) -> None:
    # the self-test may end later, in a thread of its own
    with no_thread_left():
        reloadable = ReloadableModel(load(tiny_model), lambda: load(tiny_model))
        reloadable.ask()
        reloadable.close()
    with pytest.raises((ValueError, EdgevitError)):
        reloadable([red_image])
