"""Fifty boards follow one channel through 10, 50 and 100 %, while the web server and the boards are killed.

    python benchmarks/fleet_rollout.py [--boards N] [--cuts N] [--selftest] [--seed N]
    python benchmarks/fleet_rollout.py --cost

The site is made and published by `edgevit fleet`'s own functions and handed out by a web server on loopback. Each
check of a board is a process of its own, as a timer starts it. In the first two rounds of each share every board is
killed with SIGKILL as it begins one of the ten steps, each step in turn; the server is killed in the middle of a model
as often as --cuts says, and started anew. Then rounds follow until nothing changes any more.

What is not real: the boards' services are played by one small process that loads a file when it is told, counts
results and writes the status files; and any bytes pass the self-test, unless --selftest runs it (seconds for each
board). Each digest that the services load is noted: one that was never published is an unverified byte that ran.

--cost prints what one check takes where nothing is new: memory, processor time and requests. Needs the extras export,
fleet and update.
"""

import dataclasses
import hashlib
import http.server
import json
import multiprocessing
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from multiprocessing.process import BaseProcess
from pathlib import Path

import click
import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edgevit.artifact.manifest import KEY, Input, Manifest, Preprocess, Weights, mirrored_keys
from edgevit.artifact.seal import seal
from edgevit.errors import UpdateError
from edgevit.fleet.create import create_site
from edgevit.fleet.publish import promote, publish
from edgevit.fleet.site import open_site
from edgevit.runtime.board.status import BoardStatus, write_status
from edgevit.runtime.enroll.settings import enrollment_path
from edgevit.runtime.selftest import record_selftest
from edgevit.runtime.update import install
from edgevit.runtime.update.board import Patience, Step
from edgevit.runtime.update.check import check
from edgevit.runtime.update.enrollment import Enrollment, write_enrollment
from edgevit.runtime.update.fetch import Bounds
from edgevit.runtime.update.offer import takes_part
from edgevit.runtime.update.service import Condition, fresh_status
from edgevit.runtime.update.state import Release, UpdateState, read_state, write_state

PERCENTS = (10, 50, 100)
SIZE = 1_500_000
"""Bytes of a model, about."""
TOGETHER = 6
"""Boards that check at the same time."""
MOST_ROUNDS = 12
PATIENCE = Patience(results=3, results_s=120, reload_s=120, start_s=120, before_s=30, look_s=0.1)
BOUNDS = Bounds(gap_s=30, total_s=300, pause_s=0.5)
BEGUN = "2026-11-30T00:00:00Z"
TARGET = "stable/farm.onnx"

FORK = multiprocessing.get_context("fork")

COST = """
import sys, time
from edgevit.cli import main
try:
    main(["update", "--user"])
except SystemExit as end:
    assert end.code == 0
peak_mb = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1e3
print(peak_mb, time.process_time())
"""


class WebServer:
    """A static server in a process of its own, which dies in the middle of models and is started anew."""

    def __init__(self, folder: Path, cuts: int, draw: random.Random) -> None:
        self._folder, self._cuts, self._draw = folder, cuts, draw
        self.kills = -1
        self.asked = FORK.Value("i", 0)
        self._port = FORK.Value("i", 0)
        self._process: BaseProcess | None = None
        self.revive()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port.value}"

    def revive(self) -> None:
        """Start it if it is dead."""
        if self._process is not None and self._process.is_alive():
            return
        self.kills += 1
        cut = self._draw.randint(SIZE // 20, SIZE) if self.kills < self._cuts else 0
        self._process = FORK.Process(target=self._serve, args=(cut,))
        self._process.start()
        while not self._port.value:
            time.sleep(0.01)

    def _serve(self, cut: int) -> None:
        """Be the server, until so many bytes of models were sent."""
        sent, guard = [0], threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(handler) -> None:  # noqa: N805
                self._answer(handler, sent, guard, cut)

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = allow_reuse_address = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Say nothing: boards are killed."""

        with Server(("127.0.0.1", self._port.value), Handler) as server:
            self._port.value = server.server_port
            server.serve_forever()

    def _answer(
        self, handler: http.server.BaseHTTPRequestHandler, sent: list[int], guard: threading.Lock, cut: int
    ) -> None:
        with self.asked.get_lock():
            self.asked.value += 1
        path = self._folder / handler.path.lstrip("/")
        if not path.is_file():
            handler.send_error(404)
            return
        body, begin = path.read_bytes(), 0
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        handler.send_response(206 if asked else 200)
        if asked:
            begin = int(asked[1])
            handler.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        handler.send_header("Content-Length", str(len(body) - begin))
        handler.end_headers()
        for place in range(begin, len(body), 16384):
            handler.wfile.write(body[place : place + 16384])
            if handler.path.startswith("/targets/"):
                with guard:
                    sent[0] += 16384
                    if cut and sent[0] >= cut:
                        os.kill(os.getpid(), signal.SIGKILL)

    def close(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.join()


@dataclasses.dataclass(frozen=True)
class Board:
    """One board: a folder, and the edge to the process that plays its service."""

    folder: Path
    enrollment: Enrollment

    def status(self) -> BoardStatus | None:
        return fresh_status(self.folder / "status.json")

    def condition(self) -> Condition:
        return "trying"

    def reload(self) -> None:
        (self.folder / "load").touch()

    def restart(self) -> None:
        self.reload()

    def is_settled(self) -> bool:
        state = read_state(self.enrollment.into)
        return state is not None and state.error is None and state.state in ("current", "waiting")

    def runs(self) -> str | None:
        """Return the digest that the service says it runs."""
        status = self.status()
        return None if status is None else status.sha256


def play_services(boards: list[Board]) -> None:
    """Be the services of all boards."""
    running = {board: _load(board) for board in boards}
    while True:
        for board, status in running.items():
            if (board.folder / "load").exists():
                (board.folder / "load").unlink()
                status = _load(board)
            running[board] = dataclasses.replace(status, results=status.results + 1)
            write_status(board.folder / "status.json", running[board])
        time.sleep(0.1)


def _load(board: Board) -> BoardStatus:
    digest = hashlib.sha256(board.enrollment.model.read_bytes()).hexdigest()
    with (board.folder / "loaded").open("a") as file:
        file.write(f"{digest}\n")
    model, name = str(board.enrollment.model), board.folder.name
    return BoardStatus(host=name, version="0", pid=os.getpid(), model=model, sha256=digest, since=BEGUN, time=BEGUN)


def check_once(board: Board, step: Step | None, selftest: bool) -> None:
    """Be one check of a board, which kills itself as it begins a step."""

    def reached(now: Step) -> None:
        if now is step:
            os.kill(os.getpid(), signal.SIGKILL)

    if not selftest:
        vars(install)["prove"] = lambda path, bounds: None
    try:
        check(board.enrollment, board, reached=reached, patience=PATIENCE, bounds=BOUNDS)
    except UpdateError as error:
        with (board.folder / "failures").open("a") as file:
            file.write(re.sub(r"https?://\S+|/\S+/", "", f"{error}\n"))
        os._exit(1)
    os._exit(0)


def run_round(boards: list[Board], steps: dict[Board, Step], server: WebServer, selftest: bool) -> Counter[str]:
    """Check each board once, some at a time; return how many were killed, by step, and how many checks failed."""
    waiting, running, ended = list(boards), dict[Board, BaseProcess](), Counter[str]()
    while waiting or running:
        while waiting and len(running) < TOGETHER:
            board = waiting.pop()
            running[board] = FORK.Process(target=check_once, args=(board, steps.get(board), selftest))
            running[board].start()
        time.sleep(0.02)
        server.revive()
        for board in [board for board, process in running.items() if not process.is_alive()]:
            process = running.pop(board)
            process.join()
            if process.exitcode == -signal.SIGKILL:
                ended[steps[board].name] += 1
            elif process.exitcode:
                ended["failed"] += 1
    return ended


def write_model(path: Path, seed: int) -> Path:
    """Write a small classifier with a self-test and so many bytes that a transfer takes a while."""
    draw = np.random.default_rng(seed)
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["channels"]),
        helper.make_node("Gemm", ["channels", "weights"], ["logits"], transB=1),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, 32, 32))
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, (1, 3))
    weights = numpy_helper.from_array(draw.normal(size=(3, 3)).astype(np.float32), "weights")
    graph = helper.make_model(
        helper.make_graph(nodes, "tiny", [image], [logits], [weights]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    manifest = Manifest(
        model="tiny",
        task="classify",
        input=Input(name="image", shape=(1, 3, 32, 32)),
        preprocess=Preprocess(size=(32, 32), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)),
        labels=("red", "green", "blue"),
        weights=Weights(source="drawn", sha256="0" * 64, license="Apache-2.0", trained=False),
        precision="fp32",
        target="generic",
        tools={},
    )
    ballast = draw.bytes(SIZE // 2).hex()
    for tested in (manifest, None):
        document = tested or dataclasses.replace(manifest, selftest=record_selftest(path, manifest))
        helper.set_model_props(graph, {KEY: document.to_json(), "ballast": ballast, **mirrored_keys(document)})
        path.write_bytes(seal(graph.SerializeToString()))
    return path


def make_boards(folder: Path, url: str, root: str, count: int, model: Path) -> list[Board]:
    boards = []
    for number in range(count):
        into = folder / f"board{number}" / "models"
        into.mkdir(parents=True)
        (into / "farm.onnx").write_bytes(model.read_bytes())
        name = f"board{number}"
        boards.append(Board(into.parent, Enrollment(url, TARGET, into, "edgevit", True, name, root)))
    return boards


def roll_out(work: Path, count: int, cuts: int, selftest: bool, seed: int) -> bool:
    """Publish, promote twice, and check until all is quiet; print what became of it, and return whether all is well."""
    draw, site = random.Random(seed), work / "farm"
    create_site(site)
    old, new = write_model(work / "old.onnx", 1), write_model(work / "new.onnx", 2)
    digests = {hashlib.sha256(path.read_bytes()).hexdigest(): path.stem for path in (old, new)}
    signed = list(digests)[1]
    with open_site(site) as opened:
        publish(opened, old, "farm.onnx", "stable")
    server = WebServer(site, cuts, draw)
    root = (site / "metadata" / "1.root.json").read_text()
    boards = make_boards(work, server.url, root, count, old)
    services = FORK.Process(target=play_services, args=(boards,))
    services.start()
    try:
        print(f"{count} boards; a model has {new.stat().st_size:,} bytes", flush=True)
        killed, well = Counter[str](), True
        for percent in PERCENTS:
            with open_site(site) as opened:
                if percent == PERCENTS[0]:
                    publish(opened, new, "farm.onnx", "stable", percent)
                else:
                    promote(opened, "farm.onnx", "stable", "stable", percent)
            begun_s, rounds = time.monotonic(), 0
            expected = {board for board in boards if takes_part(board.enrollment.board, signed, percent)}
            # those that have something to do come first, so that all steps are met
            ordered = sorted(boards, key=lambda board: (board.runs() == signed) or (board not in expected))
            while rounds < MOST_ROUNDS and (rounds < 2 or not all(board.is_settled() for board in boards)):
                steps = {board: Step(1 + (number + 4 * rounds) % len(Step)) for number, board in enumerate(ordered)}
                killed += run_round(boards, steps if rounds < 2 else {}, server, selftest)
                rounds += 1
            on_new = {board for board in boards if board.runs() == signed}
            well = well and on_new == expected
            print(
                f"{percent:3d} %: {len(on_new)} boards run the new model, {len(expected)} are to; {rounds} rounds, "
                f"{time.monotonic() - begun_s:.0f} s, the server was killed {server.kills} times so far",
                flush=True,
            )
        loaded = Counter(line for board in boards for line in (board.folder / "loaded").read_text().split())
        unverified = sum(number for digest, number in loaded.items() if digest not in digests)
        without = sum(not board.enrollment.model.is_file() for board in boards)
        most = max(len(list(board.enrollment.into.glob("farm*.onnx"))) for board in boards)
        ended = sum(board.runs() == signed for board in boards)
        failed = killed.pop("failed", 0)
        print(f"boards killed: {', '.join(f'{step.name.lower()} {killed[step.name]}' for step in Step)}")
        print(f"checks that failed and were made good later: {failed}")
        files = [board.folder / "failures" for board in boards]
        reasons = Counter(line for file in files if file.exists() for line in file.read_text().splitlines())
        print("".join(f"  {number} x {reason}\n" for reason, number in reasons.most_common(5)), end="")
        print(f"ended on the signed model: {ended} of {count}")
        print(
            f"unverified bytes run: {unverified}; boards without a model: {without}; models on a disk: at most {most}"
        )
        return well and (ended, unverified, without, most) == (count, 0, 0, 2) and server.kills >= cuts
    finally:
        services.kill()
        services.join()
        server.close()


def measure_cost(work: Path) -> None:
    """Print what a check takes where nothing is new."""
    site = work / "farm"
    create_site(site)
    model = write_model(work / "new.onnx", 2)
    with open_site(site) as opened:
        publish(opened, model, "farm.onnx", "stable")
    server = WebServer(site, 0, random.Random(0))
    try:
        (board,) = make_boards(work, server.url, (site / "metadata" / "1.root.json").read_text(), 1, model)
        write_enrollment(enrollment_path("edgevit", True, {"XDG_CONFIG_HOME": str(work)}), board.enrollment)
        release = Release(1, hashlib.sha256(model.read_bytes()).hexdigest())
        write_state(board.enrollment.into, UpdateState(TARGET, "stable", "current", release, release))
        (work / "systemctl").write_text("#!/bin/sh\necho inactive\n")
        (work / "systemctl").chmod(0o755)
        settings = {"XDG_CONFIG_HOME": str(work), "XDG_RUNTIME_DIR": str(work), "PATH": f"{work}:{os.environ['PATH']}"}
        found = []
        for _ in range(6):
            before = server.asked.value
            done = subprocess.run(
                [sys.executable, "-c", COST], env=os.environ | settings, check=True, capture_output=True, text=True
            )
            peak_mb, processor_s = map(float, done.stdout.splitlines()[-1].split())
            found.append({"peak_mb": peak_mb, "processor_s": processor_s, "requests": server.asked.value - before})
        # the first one learns of the site
        print(json.dumps({name: round(statistics.median(one[name] for one in found[1:]), 3) for name in found[0]}))
    finally:
        server.close()


@click.command(help=__doc__.splitlines()[0] if __doc__ else None)
@click.option("--boards", default=50, show_default=True)
@click.option("--cuts", default=20, show_default=True, help="How often the server is killed.")
@click.option("--selftest", is_flag=True, help="Run the models' self-tests too.")
@click.option("--seed", default=1, show_default=True)
@click.option("--cost", is_flag=True, help="Print what one check takes instead.")
def main(boards: int, cuts: int, selftest: bool, seed: int, cost: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
        if cost:
            measure_cost(Path(folder))
        elif not roll_out(Path(folder), boards, cuts, selftest, seed):
            sys.exit(1)


if __name__ == "__main__":
    main()
