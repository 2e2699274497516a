"""Options of `edgevit run` that say what to read, when, and which part of it."""

from typing import TYPE_CHECKING, Any

import click

from edgevit.cli.options import adding
from edgevit.cli.sections import section

if TYPE_CHECKING:
    from edgevit.runtime.stream.plan import StreamOptions

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
        help="Classify this region, in pixels, or shares if all are at most 1; may be given several times.",
    ),
    click.option("--tiles", metavar="CxR", help="Classify C x R equal tiles, such as 3x2, each by itself."),
    section("Cameras and streams"),
    click.option("--raw", metavar="WxH[:FORMAT]", help="Raw frames on stdin, tcp:// or from picam: 640x480:rgb24."),
    click.option("--capture", metavar="WxH", help="Size to ask a camera for, such as 1280x720."),
    click.option(
        "--stall-timeout",
        default="10s",
        show_default=True,
        metavar="TIME",
        help="A camera or stream that gives no picture for so long is lost.",
    ),
    click.option("--wait/--no-wait", default=True, help="Wait for a lost camera to return (default), or exit 4."),
)


stream_options = adding(STREAM_OPTIONS)
"""Adds STREAM_OPTIONS to a command, which takes them as keywords for `take_stream_options`."""


def take_stream_options(given: dict[str, Any]) -> "StreamOptions":
    """Return the options of a stream among all that a command was given."""
    options: StreamOptions = {
        "every": given["every"],
        "fps": given["fps"],
        "max_frames": given["max_frames"],
        "once": given["once"],
        "rotate": given["rotate"],
        "roi": given["roi"],
        "tiles": given["tiles"],
        "raw": given["raw"],
        "capture": given["capture"],
        "stall_timeout": given["stall_timeout"],
        "wait": given["wait"],
    }
    return options
