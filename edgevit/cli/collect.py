"""`edgevit collect`: photos for training from a camera, stream or video."""

import os
from pathlib import Path
from typing import Any

import click

from edgevit.cli.completion import complete_files
from edgevit.cli.options import VERBOSE_OPTION
from edgevit.cli.run import tell_error, tell_event, tell_page
from edgevit.cli.sections import OTHERS, Command, section
from edgevit.cli.signals import stop_on_signals
from edgevit.cli.terminal import say

EXAMPLES = """\b
edgevit collect camera:0 --label hen --every 1s --to photos/
edgevit collect clip.mp4 --label fox --every 500ms --to photos/
edgevit collect picam --label hen --label fox --to p/ --serve 127.0.0.1:8080
edgevit train efficientvit_b0 --data photos/
"""


@click.command("collect", cls=Command, epilog=EXAMPLES)
@click.argument("source", shell_complete=complete_files)
@section("Photos")
@click.option(
    "--label", "labels", multiple=True, metavar="CLASS", help="What is seen; with --serve each class, again and again."
)
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Folder of the photos; each class is a folder in it. A second run goes on with its numbers.",
)
@click.option("--count", type=int, metavar="N", help="End after N photos.")
@click.option(
    "--quota",
    default="2GB",
    show_default=True,
    metavar="SIZE",
    help="End when all photos take so much; none is deleted.",
)
@click.option(
    "--alike",
    type=int,
    default=5,
    show_default=True,
    metavar="BITS",
    help="Leave out a picture that differs from one of its class in at most so many of 64 bits; -1 keeps all.",
)
@section("Frames")
@click.option("--every", metavar="TIME", help="One frame each TIME: 5s, 500ms, 2m, 1h; of a video, its own time.")
@click.option("--fps", type=float, metavar="N", help="At most N frames a second; of a video, its own seconds.")
@click.option("--rotate", type=int, default=0, metavar="90|180|270", help="Turn each picture clockwise.")
@click.option("--raw", metavar="WxH[:FORMAT]", help="Raw frames on stdin, tcp:// or from picam: 640x480:rgb24.")
@click.option("--capture", metavar="WxH", help="Size to ask a camera for, such as 1280x720.")
@section("Page")
@click.option(
    "--serve",
    metavar="HOST:PORT",
    help="Save nothing by itself: show the picture on a page with a button for each class, such as 127.0.0.1:8080.",
)
@click.option(
    "--serve-anyone",
    is_flag=True,
    help="Let --serve listen beyond this machine; needs a token in EDGEVIT_SERVE_TOKEN or its _FILE.",
)
@section(OTHERS)
@VERBOSE_OPTION
def command(**given: Any) -> int:
    """Save frames of SOURCE as photos for training.

    SOURCE is a camera, stream, video or folder, as for `edgevit run`. Photos go to DIR/CLASS/00000-CLASS.jpg, each as
    the camera sent it; near-duplicates of a class's photos are left out. `edgevit train --data DIR` learns from them.
    Ctrl-C ends after the frame in hand. See docs/collect.md.
    """
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    from edgevit.runtime.collect.collect import collect
    from edgevit.runtime.collect.options import CollectOptions
    from edgevit.runtime.sources.stop import Stop

    options, stop = CollectOptions(**given), Stop()
    with stop_on_signals(stop):
        done = collect(options, on_event=tell_event, on_error=tell_error, on_page=tell_page, stop=stop)
    say(str(done))
    # a camera sends a damaged picture now and then; a damaged file stays one
    return 1 if done.unreadable and not done.live else 0
