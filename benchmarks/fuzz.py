"""Random bytes to every parser of what comes from outside: python benchmarks/fuzz.py [--inputs 300000] [--seed 0].

Each parser gets its share of the inputs. All of them must be understood or refused in one line, within the deadline,
and the process may not grow beyond 300 MB. What breaks a promise is printed with the seed that makes it again, and the
exit code is 1.
"""

import os
import random
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

# as `edgevit run` has it: OpenCV would name each damaged picture in words of its own
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from edgevit.runtime.serve.server import Handler
from edgevit.runtime.sources import http_request
from edgevit.runtime.sources.grammar import parse_source
from edgevit.runtime.sources.options import SourceOptions
from edgevit.runtime.sources.web import connect
from edgevit.system.program import Program
from tests.random_connections import ANSWER, REQUEST, Page, PlayedStream, Wire, rubbish
from tests.random_inputs import PARSERS, material, refusal

DEADLINE_S = 5.0
"""For one input."""
MOST_MB = 300.0
Feed = Callable[[random.Random, Path], str]
"""Gives a parser one input; returns why it was refused, or nothing."""


def of_parser(name: str) -> Feed:
    parser = PARSERS[name]

    def feed(draw: random.Random, folder: Path) -> str:
        data = material(draw, parser)
        return refusal(lambda: parser.parse(folder, data))

    return feed


def camera(draw: random.Random, folder: Path) -> str:
    """Let a web camera answer; a loss is an OSError."""
    answer: Any = lambda *address: PlayedStream(rubbish(draw, ANSWER))  # noqa: E731
    before, http_request.SocketStream = http_request.SocketStream, answer  # type: ignore[misc]
    try:
        connection = connect(parse_source("http://user:secret@10.0.0.7/video"), SourceOptions())
        connection.read(30.0)
        connection.close()
    except OSError as error:
        return str(error)
    finally:
        http_request.SocketStream = before  # type: ignore[misc]
    return ""


def page(draw: random.Random, folder: Path) -> str:
    """Request something of the page."""
    request: Any = Wire(rubbish(draw, REQUEST))
    server: Any = PAGE
    Handler(request, ("127.0.0.1", 1), server)
    return ""


PAGE = Page(None)
FEEDS: dict[str, Feed] = {
    **{name: of_parser(name) for name in PARSERS},
    "answer of a web camera": camera,
    "request to the page": page,
}


def _overdue(number: int, frame: object) -> None:
    raise TimeoutError(f"not done within {DEADLINE_S:g} s")


@click.command(cls=Program, help=__doc__)
@click.option("--inputs", default=300_000, show_default=True, help="Random inputs for all parsers together.")
@click.option("--seed", default=0, show_default=True)
def main(inputs: int, seed: int) -> None:
    signal.signal(signal.SIGALRM, _overdue)
    each, broken, done = -(-inputs // len(FEEDS)), 0, 0
    with tempfile.TemporaryDirectory() as name:
        for parser, feed in FEEDS.items():
            refused, slowest_s, begun_s = 0, 0.0, time.monotonic()
            for number in range(each):
                key = f"{seed} {parser} {number}"
                started_s = time.monotonic()
                signal.setitimer(signal.ITIMER_REAL, DEADLINE_S)
                try:
                    reason = feed(random.Random(key), Path(name))
                    fault = "several lines" if len(reason.splitlines()) > 1 else ""
                    refused += bool(reason)
                except Exception as error:  # whatever it is, it is what is looked for
                    fault = f"{type(error).__name__}: {error}"
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
                slowest_s = max(slowest_s, time.monotonic() - started_s)
                done += 1
                if fault:
                    broken += 1
                    click.echo(f"BROKEN {parser}, random.Random({key!r}): {ascii(fault)[:200]}")
            took_s = time.monotonic() - begun_s
            counts = f"{each:7,} inputs, {refused:7,} refused"
            click.echo(f"{parser:<32} {counts}, {took_s:6.1f} s, slowest {1000 * slowest_s:5.0f} ms")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    click.echo(f"{done:,} inputs, {broken} broken, peak memory {peak_mb:.0f} MB")
    if broken or peak_mb > MOST_MB:
        sys.exit(1)


if __name__ == "__main__":
    main()
