"""What to read and how: a stream's options, checked before anything is opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from edgevit.errors import OptionError
from edgevit.runtime.images.regions import TURNS, Region, check_regions, parse_region, parse_tiles
from edgevit.runtime.sources.grammar import Source, parse_source
from edgevit.runtime.sources.opening import check_reading
from edgevit.runtime.sources.options import SourceOptions
from edgevit.runtime.sources.raw import parse_raw
from edgevit.runtime.sources.sampling import parse_duration, parse_pace


class StreamOptions(TypedDict, total=False):
    """Options of a stream, as the command line has them; docs/sources.md describes each."""

    every: str | float | None
    fps: float | None
    max_frames: int | None
    once: bool
    rotate: int
    roi: Sequence[str | Region]
    tiles: str | None
    raw: str | None
    capture: str | None
    stall_timeout: str | float
    wait: bool


@dataclass(frozen=True)
class StreamPlan:
    """A source and what is wanted of it, checked."""

    source: Source
    source_options: SourceOptions
    max_frames: int | None = None
    rotate: int = 0
    """Degrees clockwise."""
    regions: tuple[Region, ...] = ()
    """Regions of the turned picture; none for the whole."""


def plan_stream(source: str, options: StreamOptions) -> StreamPlan:
    """Check a source and its options before anything is opened.

    Raises:
        OptionError: an option is wrong, or does not fit the source.
        UnknownNameError: the source's address has an unknown scheme.
    """
    parsed = parse_source(source)
    once, max_frames, rotate = options.get("once", False), options.get("max_frames"), options.get("rotate", 0)
    raw, capture, tiles = options.get("raw"), options.get("capture"), options.get("tiles")
    if rotate not in TURNS:
        raise OptionError(f"--rotate is {rotate}, expected {', '.join(map(str, TURNS))} degrees clockwise")
    if max_frames is not None and max_frames < 1:
        raise OptionError(f"--max-frames is {max_frames}, expected 1 or more")
    if once and max_frames is not None:
        raise OptionError("--once means --max-frames 1; give one of them")
    source_options = SourceOptions(
        pace=parse_pace(options.get("every"), options.get("fps")),
        raw=None if raw is None else parse_raw(raw),
        stall_s=parse_duration(options.get("stall_timeout", 10.0), "--stall-timeout"),
        wait=options.get("wait", True) and not once,
        capture_size=None if capture is None else parse_size(capture),
    )
    check_reading(parsed, source_options)
    given = [region if isinstance(region, Region) else parse_region(region) for region in options.get("roi", ())]
    regions = check_regions([*given, *(parse_tiles(tiles) if tiles is not None else ())])
    return StreamPlan(parsed, source_options, 1 if once else max_frames, rotate, regions)


def parse_size(text: str) -> tuple[int, int]:
    """Return (height, width) for "1280x720"; OptionError if it is something else."""
    width, _, height = text.partition("x")
    if not all(part.isascii() and part.isdecimal() and 0 < int(part) <= 16384 for part in (width, height)):
        raise OptionError(f"--capture is {text!r}, expected width x height such as 1280x720")
    return int(height), int(width)
