"""The sinks of a run, and what feeds them."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgevit.runtime.addresses.destinations import FOLDERS, STDOUT, Target
from edgevit.runtime.board.report import BoardReport
from edgevit.runtime.events.event import Event
from edgevit.runtime.events.watch import Watch
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import Sink
from edgevit.runtime.run.options import RunOptions
from edgevit.runtime.run.result_writer import ResultWriter
from edgevit.runtime.sinks.combining import Sinks
from edgevit.runtime.sinks.opening import SinkContext, default_spool_folder, needs_pictures, open_sinks
from edgevit.runtime.sources.grammar import Source
from edgevit.runtime.sources.sample import is_sample
from edgevit.runtime.stream.watched import open_watch

VIDEO_FPS = 10.0
"""Frames a second of a video that is written, if neither --every nor --fps says how many there are."""


@dataclass(frozen=True)
class Output:
    """Open sinks, and what feeds them."""

    sinks: Sinks
    places: Sinks
    """Those among the sinks that the options name."""
    writer: ResultWriter
    watch: Watch | None
    """What finds events; None where nobody takes any."""
    found: Callable[[Event], None] | None
    """Is told what it finds, where that is for the page alone; None for whoever is told of the source."""
    picture: Callable[[RGBImage, Moment], None] | None
    """Takes the pictures; None where no sink needs them."""


def open_output(
    options: RunOptions,
    task: str,
    names: Sequence[str],
    *,
    monitoring: Sequence[Sink] = (),
    page: bool = False,
    board: BoardReport | None = None,
) -> Output:
    """Open what the options name; the caller closes the sinks.

    Args:
        options: of the run.
        task: what the model does.
        names: its classes.
        monitoring: further sinks, which get each record after the others have it.
        page: somebody looks at events, even if no place takes them; then they go to `monitoring` alone.
        board: what brokers are told of the board.

    Raises:
        OptionError: a place is not for this model.
        OutputError: a place cannot be written.
    """
    targets = options.targets
    wanted = options.asks_for_events(task) or any(
        target.sends in ("events", "all") or (target.sends is None and target.kind in ("mqtt", "webhook"))
        for target in targets
    )
    # hard frames and masks lie beside the answers, which still want a place
    if all(target.kind in FOLDERS for target in targets):
        targets = (Target("text", STDOUT, {"send": "all" if wanted else "results"}, "text"), *targets)
    places = open_sinks(targets, _context(options, task, names, board))
    sinks = Sinks([places, *monitoring])
    rules, regions = options.label_rules, options.plan.told(task)
    watch = open_watch(options, options.plan) if wanted or page else None
    writer = ResultWriter(sinks, regions=regions, top_k=options.top_k, rules=rules)
    found = None if wanted else functools.partial(writer.event, sink=Sinks(monitoring))
    return Output(sinks, places, writer, watch, found, writer.picture if needs_pictures(targets) else None)


def _context(options: RunOptions, task: str, names: Sequence[str], board: BoardReport | None) -> SinkContext:
    plan, interval_s = options.plan, options.source_options.pace.interval_s
    only = plan.sources[0] if len(plan.sources) == 1 else None
    return SinkContext(
        task=task,
        board=board,
        names=tuple(names),
        top_k=options.top_k,
        rules=options.label_rules,
        watched=tuple(rule.label for rule in options.count_rules.rules),
        lines=() if options.follow_rules is None else tuple(line.name for line in options.follow_rules.lines),
        alone=only is not None and not plan.regions and _is_picture(only),
        fps=VIDEO_FPS if interval_s is None else 1 / interval_s,
        rois=tuple(region.name for region in plan.told(task)),
        source=plan.name,
        roots=tuple(folder for one in plan.sources if one.kind == "path" and (folder := Path(one.address)).is_dir()),
        spool=default_spool_folder() if options.spool is None else Path(options.spool),
    )


def _is_picture(source: Source) -> bool:
    return is_sample(source) or (source.kind == "path" and Path(source.address).is_file())
