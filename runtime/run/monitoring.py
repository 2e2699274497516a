"""What stands beside a run: the page of `serve`, and the service manager that wants to know whether results come."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgevit import __version__
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import Sink
from edgevit.runtime.run.heartbeat import Heartbeat
from edgevit.runtime.run.options import RunOptions
from edgevit.runtime.serve.server import Server
from edgevit.runtime.serve.status import RunStatus
from edgevit.runtime.sinks.combining import Sinks


@dataclass(frozen=True)
class Monitoring:
    """What watches a run; all but `close` is called from the thread that reads the stream."""

    sinks: tuple[Sink, ...]
    """Take all records, after all others took them."""
    heartbeat: Heartbeat
    status: RunStatus | None = None
    server: Server | None = None

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

    def include(self, sinks: Sinks) -> None:
        """Tell of what waits for a network too."""
        if self.status is not None:
            self.status.include(sinks.backlogs)

    def damaged(self) -> None:
        if self.status is not None:
            self.status.damaged()

    def close(self) -> None:
        if self.server is not None:
            self.server.close()


def open_monitoring(options: RunOptions, heartbeat: Heartbeat) -> Monitoring:
    """Open the page if the options ask for one, beside the way to the service manager.

    Raises:
        OptionError: the page's address is wrong, or others could see it who should not.
        OutputError: it cannot be listened at.
    """
    if options.serve is None:
        return Monitoring((heartbeat,), heartbeat)
    from edgevit.runtime.serve.address import check_access
    from edgevit.runtime.serve.answers import PageState
    from edgevit.runtime.serve.view import View

    plan = options.plan
    access = check_access(options.serve, options.serve_anyone, os.environ)
    view = View(plan.regions)
    status = RunStatus(options.source_options.result_limit_s, sources=len(plan.sources))
    about = {"version": __version__, "model": Path(options.model).name, "source": plan.name}
    return Monitoring((status, view, heartbeat), heartbeat, status, Server(access, PageState(view, status, about)))
