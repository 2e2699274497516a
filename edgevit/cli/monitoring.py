"""What stands beside a run: the page of `--serve`, and the service manager that wants to know whether results come."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from edgevit import __version__
from edgevit.cli.options import adding
from edgevit.cli.sections import section
from edgevit.errors import OptionError

if TYPE_CHECKING:
    from edgevit.runtime.images.resample import RGBImage
    from edgevit.runtime.moment import Moment
    from edgevit.runtime.records import Sink
    from edgevit.runtime.run.heartbeat import Heartbeat
    from edgevit.runtime.run.model_reload import ReloadableModel
    from edgevit.runtime.run.status import RunStatus
    from edgevit.runtime.serve.server import Server
    from edgevit.runtime.sinks.combining import Sinks
    from edgevit.runtime.stream.plan import StreamPlan

SERVE_OPTIONS = (
    section("Page"),
    click.option(
        "--serve", metavar="HOST:PORT", help="Show the run on a small page, such as 127.0.0.1:8080; see docs/serve.md."
    ),
    click.option(
        "--serve-anyone",
        is_flag=True,
        help="Let --serve listen beyond this machine; needs a token in EDGEVIT_SERVE_TOKEN or its _FILE.",
    ),
)


serve_options = adding(SERVE_OPTIONS)
"""Adds SERVE_OPTIONS to a command, which takes them as keywords for `open_beside`."""


@dataclass(frozen=True)
class Monitoring:
    """What watches a run; all but `close` is called from the thread that reads the stream."""

    sinks: "tuple[Sink, ...]"
    """Take all records, after all others took them."""
    heartbeat: "Heartbeat"
    status: "RunStatus | None" = None
    server: "Server | None" = None

    def pictures(
        self, other: "Callable[[RGBImage, Moment], None] | None"
    ) -> "Callable[[RGBImage, Moment], None] | None":
        """Return what is to be shown the pictures, besides `other`; None if nobody is."""
        if self.server is None:
            return other
        view = self.server.state.view

        def show(image: "RGBImage", moment: "Moment") -> None:
            view.picture(image, moment)
            if other is not None:
                other(image, moment)

        return show

    def black(self, moment: "Moment") -> None:
        self.heartbeat.black(moment)
        if self.status is not None:
            self.status.black(moment)
        if self.server is not None:
            self.server.state.view.black(moment)

    def include(self, sinks: "Sinks") -> None:
        """Tell of what waits for a network too."""
        if self.status is not None:
            self.status.include(sinks.backlogs)

    def damaged(self) -> None:
        if self.status is not None:
            self.status.damaged()

    def close(self) -> None:
        if self.server is not None:
            self.server.close()


def open_monitoring(given: dict[str, Any], plan: "StreamPlan", model: Path) -> Monitoring:
    """Open the page if the options ask for one, and the way to the service manager if there is one.

    Raises:
        OptionError: the page's address is wrong, or others could see it who should not.
        OutputError: it cannot be listened at.
    """
    from edgevit.runtime.run.heartbeat import Heartbeat
    from edgevit.runtime.run.sd_notify import Notifier

    heartbeat = Heartbeat(Notifier.from_environment())
    if given["serve"] is None:
        if given["serve_anyone"]:
            raise OptionError("--serve-anyone says who may see the page; add --serve 0.0.0.0:8080")
        return Monitoring((heartbeat,), heartbeat)
    from edgevit.runtime.run.status import RunStatus, result_limit_s
    from edgevit.runtime.serve.address import check_access
    from edgevit.runtime.serve.answers import PageState
    from edgevit.runtime.serve.server import Server
    from edgevit.runtime.serve.view import View

    access = check_access(given["serve"], given["serve_anyone"], os.environ)
    view, status = View(plan.regions), RunStatus(result_limit_s(plan.source_options))
    about = {"version": __version__, "model": model.name, "source": plan.source.name}
    server = Server(access, PageState(view, status, about))
    click.echo(f"edgevit: the page is at {server.url}", err=True)
    return Monitoring((status, view, heartbeat), heartbeat, status, server)


def has_terminal() -> bool:
    """Tell whether this process belongs to a terminal, whose end it is told by SIGHUP."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


@contextlib.contextmanager
def reload_on_sighup(predictor: "ReloadableModel") -> Iterator[None]:
    """Renew the model at each SIGHUP."""

    def ask(number: int, frame: FrameType | None) -> None:
        predictor.ask()

    before = signal.signal(signal.SIGHUP, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
