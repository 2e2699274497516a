"""What stands beside a run: the page of `serve`, and the service manager that wants to know whether results come."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgevit import __version__
from edgevit.runtime.board.report import BoardReport
from edgevit.runtime.classifier import Classifier
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import Sink
from edgevit.runtime.run.heartbeat import Heartbeat
from edgevit.runtime.run.model_reload import STAYS
from edgevit.runtime.run.options import RunOptions
from edgevit.runtime.serve.server import Server
from edgevit.runtime.serve.status import RunStatus
from edgevit.runtime.sinks.combining import Sinks
from edgevit.runtime.update.state import read_state


@dataclass(frozen=True)
class Monitoring:
    """What watches a run; all but `close` is called from the thread that reads the stream."""

    sinks: tuple[Sink, ...]
    """Take all records, after all others took them."""
    heartbeat: Heartbeat
    status: RunStatus | None = None
    server: Server | None = None
    board: BoardReport | None = None
    """What is told of the board; None where nobody is told."""

    def pictures(self, other: Callable[[RGBImage, Moment], None] | None) -> Callable[[RGBImage, Moment], None] | None:
        """Return what is to be shown the pictures, besides `other`; None if nobody is."""
        if self.server is None:
            return other
        view = self.server.state.view

        def show(image: RGBImage, moment: Moment) -> None:
            view.picture(image, moment)
            if other is not None:
                other(image, moment)

        return show

    def black(self, moment: Moment) -> None:
        self.heartbeat.black(moment)
        if self.status is not None:
            self.status.black(moment)
        if self.server is not None:
            self.server.state.view.black(moment)

    def include(self, sinks: Sinks, names: Sequence[str]) -> None:
        """Tell of what waits for a network too, and let hard pictures be put into classes of these names."""
        if self.status is not None:
            self.status.include(sinks.backlogs)
        if self.board is not None:
            self.board.include(sinks.backlogs)
        if self.server is not None:
            self.server.state.hard.include(sinks.hard_folders(), names)

    def damaged(self) -> None:
        if self.status is not None:
            self.status.damaged()
        if self.board is not None:
            self.board.failed()

    def renewal(self, text: str | None) -> None:
        """Take what a model's renewal tells, from any thread; see Heartbeat.renewal."""
        if self.board is not None:
            self.board.reloading(text if text is not None and text.startswith(STAYS) else None)

    def loaded(self, model: Classifier) -> None:
        """Note that a newer model answers from now on."""
        if self.board is not None and model.sha256 is not None:
            self.board.loaded(model.sha256)

    def close(self) -> None:
        if self.server is not None:
            self.server.close()


def open_monitoring(options: RunOptions, heartbeat: Heartbeat, sha256: str | None = None) -> Monitoring:
    """Open the page if the options ask for one, beside the way to the service manager.

    Args:
        options: of the run.
        heartbeat: takes all records last.
        sha256: digest of the model's file, where somebody is told of the board.

    Raises:
        OptionError: the page's address is wrong, or others could see it who should not.
        OutputError: it cannot be listened at.
    """
    board = None if sha256 is None else _open_report(options.model, sha256)
    told = (heartbeat,) if board is None else (board, heartbeat)
    if options.serve is None:
        return Monitoring(told, heartbeat, board=board)
    from edgevit.runtime.serve.address import check_access
    from edgevit.runtime.serve.answers import PageState
    from edgevit.runtime.serve.view import View

    plan = options.plan
    access = check_access(options.serve, options.serve_anyone, os.environ)
    view = View(plan.regions, several=len(plan.sources) > 1 and not plan.finite)
    status = RunStatus(plan.result_limit_s, sources=len(plan.sources))
    about = {"version": __version__, "model": Path(options.model).name, "source": plan.name}
    server = Server(access, PageState(view, status, about, board=board))
    return Monitoring((status, view, *told), heartbeat, status, server, board)


def _open_report(model: str | Path, sha256: str) -> BoardReport:
    folder = Path(os.path.abspath(model)).parent

    def update() -> dict[str, Any] | None:
        state = read_state(folder)
        return None if state is None else dataclasses.asdict(state)

    return BoardReport(model, sha256, update=update)
