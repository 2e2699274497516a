"""Boards that are folders: the process that plays their services, and one check of one of them."""

import dataclasses
import hashlib
import os
import re
import signal
import time
from pathlib import Path

from edgevit.errors import UpdateError
from edgevit.runtime.board.status import BoardStatus, write_status
from edgevit.runtime.update import install
from edgevit.runtime.update.board import Patience, Step
from edgevit.runtime.update.check import check
from edgevit.runtime.update.enrollment import Enrollment
from edgevit.runtime.update.fetch import Bounds
from edgevit.runtime.update.service import Condition, fresh_status
from edgevit.runtime.update.state import read_state

PATIENCE = Patience(results=3, results_s=120, reload_s=120, start_s=120, before_s=30, look_s=0.1)
BOUNDS = Bounds(gap_s=30, total_s=300, pause_s=0.5)
BEGUN = "2026-11-30T00:00:00Z"
TARGET = "stable/farm.onnx"


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


def make_boards(folder: Path, url: str, root: str, count: int, model: Path) -> list[Board]:
    boards = []
    for number in range(count):
        into = folder / f"board{number}" / "models"
        into.mkdir(parents=True)
        (into / "farm.onnx").write_bytes(model.read_bytes())
        name = f"board{number}"
        boards.append(Board(into.parent, Enrollment(url, TARGET, into, "edgevit", True, name, root)))
    return boards
