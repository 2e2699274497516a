"""Options of `edgevit run` that say what counts as an event and where results go; and the sinks they make."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgevit.cli.options import adding
from edgevit.cli.sections import section
from edgevit.errors import EdgevitError, OptionError

if TYPE_CHECKING:
    from edgevit.runtime.events.labels import LabelRules
    from edgevit.runtime.records import Sink
    from edgevit.runtime.run.result_writer import ResultWriter
    from edgevit.runtime.sinks.combining import Sinks
    from edgevit.runtime.stream.plan import StreamPlan

FINITE = ("path", "video", "sequence")
"""Kinds of sources whose pictures' health is no news."""

VIDEO_FPS = 10.0
"""Frames a second of a video that is written, if neither --every nor --fps says how many there are."""

OUTPUT_OPTIONS = (
    section("Answers"),
    click.option(
        "--top-k", type=click.IntRange(min=1), default=5, show_default=True, metavar="K", help="Classes to show."
    ),
    click.option(
        "--threshold",
        multiple=True,
        metavar="[CLASS=]P",
        help="Show and believe only classes of at least this confidence, 0..1, else 'unknown'; CLASS=P for one class.",
    ),
    click.option("--json", "form", flag_value="json", help="One JSON object a line on stdout; see docs/results.md."),
    click.option("--csv", "form", flag_value="csv", help="One CSV row for each answer, below a header, on stdout."),
    click.option(
        "--to",
        multiple=True,
        metavar="PLACE",
        help="Where results and events go: text, json, csv, FILE.jsonl, FILE.csv, FOLDER/, FILE.avi, "
        "mqtt://HOST/TOPIC, https://...; may be given several times; see docs/sinks.md.",
    ),
    section("Events"),
    click.option("--stable", metavar="K/N", help="A label is an event when K of the last N frames speak for it."),
    click.option("--hysteresis", type=float, default=0.0, metavar="P", help="How far a label may sink before it goes."),
    click.option("--cooldown", metavar="TIME", help="How long a label's next event is held back, such as 10m."),
    section("Kept pictures"),
    click.option("--harvest", type=click.Path(path_type=Path), metavar="DIR", help="Keep hard frames for training."),
    click.option(
        "--save-mask",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Write each segmentation's mask as an indexed PNG.",
    ),
    click.option(
        "--save-overlay",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Write each picture, coloured by its segmentation.",
    ),
    click.option("--quota", default="500MB", show_default=True, metavar="SIZE", help="Most that --harvest may keep."),
    section("Networks"),
    click.option(
        "--spool",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Where records wait for a network; see docs/sinks.md.",
    ),
)


output_options = adding(OUTPUT_OPTIONS)
"""Adds OUTPUT_OPTIONS to a command, which takes them as keywords for `open_output`."""


@dataclass(frozen=True)
class Output:
    """Open sinks, and what feeds them."""

    sinks: "Sinks"
    outlet: "ResultWriter"
    needs_pictures: bool


def open_output(
    given: dict[str, Any],
    plan: "StreamPlan",
    names: Sequence[str],
    task: str = "classify",
    *,
    monitoring: "Sequence[Sink]" = (),
    page: bool = False,
) -> Output:
    """Open what the options name; the caller closes the sinks.

    Args:
        given: the values of OUTPUT_OPTIONS by name.
        plan: what is read.
        names: the model's classes.
        task: what the model does.
        monitoring: further sinks, which get each record after the others have it.
        page: somebody looks at events, even if no place takes them.

    Raises:
        OptionError: an option is wrong.
        OutputError: a place cannot be written.
    """
    from edgevit.runtime.destinations import STDOUT, Target, parse_sink, parse_size
    from edgevit.runtime.events.quality_alarms import HealthRules
    from edgevit.runtime.events.watch import Watch
    from edgevit.runtime.run.result_writer import ResultWriter
    from edgevit.runtime.sinks.combining import Sinks
    from edgevit.runtime.sinks.opening import (
        SinkContext,
        default_spool_folder,
        needs_pictures,
        open_harvest,
        open_sink,
        open_sinks,
    )

    places = [*given["to"], *([given["form"]] if given["form"] else [])]
    targets = [parse_sink(place) for place in places]
    rules = _label_rules(given, names)
    wanted = _asks_for_events(given) or any(
        target.sends in ("events", "all") or (target.sends is None and target.kind in ("mqtt", "webhook"))
        for target in targets
    )
    watched = wanted or page
    looked = watched and plan.source.kind not in FINITE
    interval_s = plan.source_options.pace.interval_s
    around = SinkContext(
        top_k=given["top_k"],
        threshold=rules.threshold,
        alone=plan.source.kind == "path" and not plan.regions and Path(plan.source.address).is_file(),
        fps=VIDEO_FPS if interval_s is None else 1 / interval_s,
        rois=tuple(region.name for region in plan.regions),
        spool=default_spool_folder() if given["spool"] is None else given["spool"],
    )
    quota = parse_size(given["quota"], "--quota")
    opened = [open_sinks(places, around)]
    try:
        if not places:
            text = Target("text", STDOUT, {"send": "all" if wanted else "results"}, "text")
            opened.append(Sinks([open_sink(text, around)]))
        opened += _segmentation_sinks(given, task)
        if given["harvest"] is not None:
            opened.append(Sinks([open_harvest(given["harvest"], quota)]))
    except EdgevitError:
        Sinks(opened).close()
        raise
    watch = Watch(rules, HealthRules() if looked else None) if watched else None
    sinks = Sinks([*opened, *monitoring])
    outlet = ResultWriter(sinks, watch, regions=plan.regions, top_k=given["top_k"], threshold=rules.threshold)
    return Output(sinks, outlet, looked or needs_pictures(places) or given["harvest"] is not None)


def _segmentation_sinks(given: dict[str, Any], task: str) -> list["Sinks"]:
    """Open what --save-mask and --save-overlay name; OptionError if the model does not segment."""
    wanted = {form: folder for form in ("mask", "overlay") if (folder := given[f"save_{form}"]) is not None}
    if wanted and task != "segment":
        raise OptionError(f"--save-{next(iter(wanted))} is for segmentation models; this one classifies: leave it out")
    if not wanted:
        return []
    from edgevit.runtime.sinks.combining import DiskGuard, Sinks
    from edgevit.runtime.sinks.masks import SegmentationSink

    return [Sinks(DiskGuard(SegmentationSink(folder, form), str(folder)) for form, folder in wanted.items())]


def _asks_for_events(given: dict[str, Any]) -> bool:
    single = any("=" in text for text in given["threshold"])
    return bool(given["stable"] or given["hysteresis"] or given["cooldown"] or single)


def _label_rules(given: dict[str, Any], names: Sequence[str]) -> "LabelRules":
    from edgevit.runtime.events.labels import LabelRules, parse_stable, parse_thresholds
    from edgevit.runtime.sources.sampling import parse_duration

    common, single = parse_thresholds(given["threshold"], names)
    if not 0 <= given["hysteresis"] <= 1:
        raise OptionError(f"--hysteresis is {given['hysteresis']}, expected a number from 0 to 1")
    return LabelRules(
        stable=(1, 1) if given["stable"] is None else parse_stable(given["stable"]),
        threshold=common,
        thresholds=single,
        hysteresis=given["hysteresis"],
        cooldown_s=0.0 if given["cooldown"] is None else parse_duration(given["cooldown"], "--cooldown"),
    )
