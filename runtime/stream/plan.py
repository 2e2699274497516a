"""What to read and how, checked before anything is opened."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgevit.errors import OptionError
from edgevit.runtime.images.regions import Region
from edgevit.runtime.sources.grammar import Source, parse_source
from edgevit.runtime.sources.opening import CONNECT, check_reading
from edgevit.runtime.sources.options import FINITE, SourceOptions
from edgevit.runtime.stream.options import StreamOptions
from edgevit.runtime.tracking.follow import FollowRules


@dataclass(frozen=True)
class StreamPlan:
    """Sources and what is wanted of them, checked."""

    sources: tuple[Source, ...]
    """Files one after the other, or cameras and streams at the same time."""
    source_options: SourceOptions
    max_frames: int | None = None
    """Frames of all sources together; None for no end."""
    rotate: int = 0
    """Degrees clockwise."""
    regions: tuple[Region, ...] = ()
    """Parts of the turned picture that are classified by themselves, tiles too; none for the whole."""
    rois: tuple[Region, ...] = ()
    """Those of them that have a name of the user's."""
    grid: tuple[int, int] | None = None
    """Columns and rows of tiles; None for no tiles."""
    follow: FollowRules | None = None
    """What is to be followed from frame to frame; None for nothing."""

    def told(self, task: str) -> tuple[Region, ...]:
        """Return the parts of which a model for this task tells: what a detector finds in tiles is one answer."""
        return self.rois if task == "detect" else self.regions

    @property
    def name(self) -> str:
        """What may be shown: the sources as typed, without passwords."""
        return ", ".join(source.name for source in self.sources)

    @property
    def result_limit_s(self) -> float:
        """How long the next result of a healthy run may take, with the warm-up that suits its sources, in seconds."""
        return max(self.source_options.suited_to(source.kind).result_limit_s for source in self.sources)

    @property
    def finite(self) -> bool:
        """Whether all sources are files, whose pictures' health is no news."""
        return all(source.kind in FINITE for source in self.sources)


def plan_stream(sources: Sequence[str], options: StreamOptions) -> StreamPlan:
    """Check sources, and whether the options fit them, before anything is opened.

    Raises:
        OptionError: a source is wrong, an option does not fit it, or the sources cannot be read together.
        UnknownNameError: a source's address has an unknown scheme.
    """
    parsed = tuple(parse_source(source) for source in sources)
    _check_together(parsed, options)
    for source in parsed:
        check_reading(source, options.source_options)
    max_frames = 1 if options.once else options.max_frames
    return StreamPlan(
        parsed,
        options.source_options,
        max_frames,
        options.rotate,
        options.regions,
        options.rois,
        options.grid,
        options.follow_rules,
    )


def _check_together(sources: tuple[Source, ...], options: StreamOptions) -> None:
    if not sources:
        raise OptionError("there is no source; give a file, a folder, a camera or an address")
    if len(sources) == 1:
        return
    if any(source.kind == "stdin" for source in sources):
        raise OptionError("stdin (-) cannot be read together with other sources; run it by itself")
    live = [source for source in sources if source.kind in CONNECT]
    if live and len(live) < len(sources):
        ends = next(source for source in sources if source.kind not in CONNECT)
        raise OptionError(f"{ends.name} ends, but {live[0].name} goes on; give files, or cameras and streams, not both")
    names = [source.name for source in live]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise OptionError(f"{double} is named twice; give each camera once")
    if live and options.once:
        raise OptionError("--once is for one camera or stream; run each by itself, or give --max-frames")
