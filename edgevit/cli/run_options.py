"""Options of `edgevit run` as tables, and the RunOptions that they make."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgevit.cli.options import adding, take_model_options
from edgevit.cli.sections import section
from edgevit.cli.terminal import say
from edgevit.errors import OptionError

if TYPE_CHECKING:
    from edgevit.runtime.run.options import RunOptions

STREAM_OPTIONS = (
    section("Frames"),
    click.option("--every", metavar="TIME", help="One frame each TIME: 5s, 500ms, 2m, 1h; of a video, its own time."),
    click.option("--fps", type=float, metavar="N", help="At most N frames a second; of a video, its own seconds."),
    click.option("--max-frames", type=int, metavar="N", help="End after N frames."),
    click.option("--once", is_flag=True, help="One frame, then end; exit 4 if none comes in time. For cron."),
    section("Pictures"),
    click.option("--rotate", type=int, default=0, metavar="90|180|270", help="Turn each picture clockwise."),
    click.option(
        "--roi",
        multiple=True,
        metavar="NAME=X,Y,W,H",
        help="Classify this region, or count in it, in pixels, or shares if all are at most 1; may be given several "
        "times.",
    ),
    click.option(
        "--tiles",
        metavar="CxR",
        help="Classify C x R equal tiles, such as 3x2, each by itself; a detector looks at tiles that overlap, and at "
        "the whole, for one answer.",
    ),
    section("Cameras and streams"),
    click.option("--raw", metavar="WxH[:FORMAT]", help="Raw frames on stdin, tcp:// or from picam: 640x480:rgb24."),
    click.option("--capture", metavar="WxH", help="Size to ask a camera for, such as 1280x720."),
    click.option(
        "--warmup", metavar="TIME", help="How long a camera finds its exposure before the first picture; default 2s."
    ),
    click.option("--exposure", metavar="TIME|auto", help="Exposure time of a camera, such as 10ms."),
    click.option(
        "--white-balance",
        metavar="LIGHT|K|auto",
        help="Light that a camera is to expect: daylight, cloudy, indoor, or 5500.",
    ),
    click.option(
        "--focus",
        metavar="N|auto",
        help="Where a camera is to focus: dioptres for picam, steps for USB; 0 is far away.",
    ),
    click.option(
        "--stall-timeout",
        metavar="TIME",
        help="A camera or stream that gives no picture for so long is lost; default 10s.",
    ),
    click.option("--wait/--no-wait", default=None, help="Wait for a lost camera to return (default), or exit 4."),
)

EVENT_OPTIONS = (
    section("Events"),
    click.option(
        "--threshold",
        multiple=True,
        metavar="[CLASS=]P",
        help="Show and believe only classes of at least this confidence, 0..1, else 'unknown'; CLASS=P for one class. "
        "Of a detection: count only boxes of at least this score.",
    ),
    click.option(
        "--count",
        multiple=True,
        metavar="RULE",
        help="Tell when a detection's count begins or ends to be so: 'hen>=10', 'egg==0', of a region 'fox>=1@coop'; "
        "in quotes; may be given several times.",
    ),
    click.option("--track", is_flag=True, help="Follow what is found from frame to frame, and number it."),
    click.option(
        "--line",
        multiple=True,
        metavar="NAME=X1,Y1,X2,Y2",
        help="Count what goes over this line, in and out; may be given several times; see docs/tracking.md.",
    ),
    click.option(
        "--dwell",
        multiple=True,
        metavar="'NAME>=TIME'",
        help="Tell when something stays so long in the region of --roi NAME, such as 'gate>=30s'.",
    ),
    click.option(
        "--stable", metavar="K/N", help="A label, or a rule of --count, is an event when K of the last N frames say so."
    ),
    click.option("--hysteresis", type=float, default=0.0, metavar="P", help="How far a label may sink before it goes."),
    click.option(
        "--cooldown", metavar="TIME", help="How long the next event of a label or rule is held back, such as 10m."
    ),
)

OUTPUT_OPTIONS = (
    section("Answers"),
    click.option("--top-k", type=int, default=5, show_default=True, metavar="K", help="Classes to show."),
    click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout; see docs/results.md."),
    click.option("--csv", "as_csv", is_flag=True, help="One CSV row for each answer, below a header, on stdout."),
    click.option(
        "--to",
        multiple=True,
        metavar="PLACE",
        help="Where results and events go: text, json, csv, FILE.jsonl, FILE.csv, FOLDER/, FILE.avi, "
        "mqtt://HOST/TOPIC, https://...; or hard frames for the next training (hard:DIR), a segmentation's masks "
        "(masks:DIR), a detector's labels (labels:DIR), and pictures with what was found drawn on them (overlays:DIR); "
        "may be given several times; see docs/sinks.md.",
    ),
    click.option(
        "--spool",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Where records wait for a network; see docs/sinks.md.",
    ),
    click.option(
        "--errors",
        type=click.Choice(("skip", "row")),
        default="skip",
        show_default=True,
        help="A picture that cannot be read is named on stderr; with row it also has a row where JSON goes.",
    ),
)

ARCHIVE_OPTIONS = (
    section("Archives"),
    click.option(
        "--jobs",
        type=int,
        metavar="N",
        help="Answer the pictures of files and folders in N processes with one thread each, into one --to NAME.jsonl; "
        "see docs/archives.md.",
    ),
    click.option("--resume", is_flag=True, help="Go on after the rows that an earlier run with --jobs has left."),
)

OLD_OPTIONS = (
    section("Old spellings"),
    click.option("--harvest", metavar="DIR", help="Now --to hard:DIR."),
    click.option("--quota", metavar="SIZE", help="Now --to 'hard:DIR?quota=SIZE'."),
    click.option("--save-mask", metavar="DIR", help="Now --to masks:DIR."),
    click.option("--save-overlay", metavar="DIR", help="Now --to overlays:DIR."),
)

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
    click.option(
        "--status",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Write what runs, and how, into a small JSON file, anew every ten seconds; see docs/fleet.md.",
    ),
)


run_options = adding((*OUTPUT_OPTIONS, *ARCHIVE_OPTIONS, *EVENT_OPTIONS, *STREAM_OPTIONS, *SERVE_OPTIONS, *OLD_OPTIONS))
"""Adds the tables above to a command, which takes them as keywords for `read_run_options`."""


def read_run_options(given: dict[str, Any]) -> "RunOptions":
    """Return what a command was given: the options above, a model, sources, and those of `model_options`.

    Old spellings are told of on stderr.

    Raises:
        OptionError: a value is wrong, or two contradict each other.
        UnknownNameError: a source's address has an unknown scheme.
    """
    from edgevit.runtime.run.options import RunOptions

    _check_sources(given["sources"], [field.name for field in dataclasses.fields(RunOptions)])
    own = dict(given)
    forms, quota = [name for name in ("json", "csv") if own.pop(f"as_{name}")], own.pop("quota")
    old = _old_places({name: own.pop(name) for name in OLD_KINDS}, quota)
    own["to"] = (*own["to"], *forms, *old)
    own |= take_model_options(own)
    return RunOptions(**own)


def _check_sources(sources: Sequence[str], options: Sequence[str]) -> None:
    """Raise OptionError for an option that is typed as imgsz=224: it is taken for one more source."""
    for source in sources:
        name, equals, value = source.partition("=")
        if equals and name in options and not os.path.exists(source):
            raise OptionError(f"there is no file {source}; did you mean --{name.replace('_', '-')} {value}?")


OLD_KINDS = {"harvest": "hard", "save_mask": "masks", "save_overlay": "overlays"}
"""Old option to what stands before its folder after --to."""


def _old_places(folders: dict[str, str | None], quota: str | None) -> list[str]:
    """Return old options as places for --to."""
    from edgevit.runtime.addresses.destinations import parse_bytes

    if quota is not None:
        parse_bytes(quota, "--quota")
        if folders["harvest"] is None:
            raise OptionError("--quota is of --harvest; write --to 'hard:DIR?quota=SIZE', which says both")
    places = []
    for name, folder in folders.items():
        if folder is not None:
            limit = f"?quota={quota}" if name == "harvest" and quota is not None else ""
            places.append(f"{OLD_KINDS[name]}:{folder}{limit}")
            say(f"--{name.replace('_', '-')} is an old spelling of --to '{places[-1]}'")
    return places
