"""What may be said about a stream, on the command line or in Python: which frames, which part, what is an event."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, TypedDict

from edgevit.errors import OptionError
from edgevit.runtime.detection.boxes import WEAK
from edgevit.runtime.events.counts import CountRules, parse_count
from edgevit.runtime.events.labels import LabelRules, Thresholds, parse_stable, read_thresholds
from edgevit.runtime.images.regions import Region, check_regions, parse_grid, parse_region, tile_regions
from edgevit.runtime.sources.camera_settings import parse_settings
from edgevit.runtime.sources.options import STALL_S, SourceOptions
from edgevit.runtime.sources.raw import parse_raw
from edgevit.runtime.sources.sampling import parse_duration, parse_pace, parse_warmup
from edgevit.runtime.tracking.follow import FollowRules, read_follow_rules
from edgevit.schema import Range, Share, check_options, is_whole


class StreamKeywords(TypedDict, total=False):
    """The fields of StreamOptions as keywords of a function."""

    every: str | float | None
    fps: float | None
    max_frames: int | None
    once: bool
    rotate: int
    roi: Sequence[str | Region]
    tiles: str | None
    raw: str | None
    capture: str | None
    warmup: str | float | None
    exposure: str | float | None
    white_balance: str | int | None
    focus: str | float | None
    stall_timeout: str | float | None
    wait: bool | None
    threshold: Thresholds
    count: Sequence[str]
    track: bool
    line: Sequence[str]
    dwell: Sequence[str]
    stable: str | tuple[int, int] | None
    hysteresis: float
    cooldown: str | float | None


@dataclass(frozen=True, kw_only=True)
class StreamOptions:
    """Options of a stream, checked; docs/sources.md and docs/events.md describe each.

    Raises:
        OptionError: a value is not allowed, or two contradict each other.
    """

    every: str | float | None = None
    """One frame in each "5s", "500ms", "2m", or number of seconds."""
    fps: float | None = None
    """The same as frames a second."""
    max_frames: Annotated[int, Range(1)] | None = None
    once: bool = False
    """One frame, and no waiting for a source that is lost."""
    rotate: Literal[0, 90, 180, 270] = 0
    """Degrees clockwise."""
    roi: Sequence[str | Region] = ()
    """Regions such as "gate=0.1,0.2,0.5,0.5"."""
    tiles: str | None = None
    """Equal tiles, columns x rows: "3x2"."""
    raw: str | None = None
    """Form of raw frames: "640x480:rgb24"."""
    capture: str | None = None
    """Size to ask a camera for, width x height: "1280x720"."""
    warmup: str | float | None = None
    """How long the pictures of a camera that was just opened are shown to nobody: "2s"; None for what suits it."""
    exposure: str | float | None = None
    """A camera's time: "10ms", a number of seconds, or "auto"."""
    white_balance: str | int | None = None
    """A camera's white: "daylight" or another kind of light, kelvin of a USB camera, or "auto"."""
    focus: str | float | None = None
    """A camera's distance: a USB camera's own steps, dioptres of a Raspberry Pi's, or "auto"."""
    stall_timeout: str | float | None = None
    """A live source that gives no picture for so long is lost; None for ten seconds."""
    wait: bool | None = None
    """Whether to wait for a live source that is lost; None to do so unless `once`."""
    threshold: Thresholds = ()
    """Confidence, 0..1, below which a class is not believed: the frame speaks for "unknown". Of a detection, the score
    below which a box does not count."""
    count: Sequence[str] = ()
    """Rules about how many objects a detection finds, each an event when it begins or ends to hold: "hen>=10", of a
    region "fox>=1@coop"."""
    track: bool = False
    """Follow what a detection finds from frame to frame, and number it."""
    line: Sequence[str] = ()
    """Lines such as "gate=0.5,0,0.5,1"; what goes over one is counted, each an event. They turn on `track`."""
    dwell: Sequence[str] = ()
    """How long something may stay in a region before that is an event, such as "gate>=30s". They turn on `track`."""
    stable: str | tuple[int, int] | None = None
    """A label, or a rule of `count`, is an event when k of the last n frames speak for it: "3/5"."""
    hysteresis: Share = 0.0
    """How far the confidence of the present label may sink below its threshold before it is given up."""
    cooldown: str | float | None = None
    """How long the next event for a label, or of a rule of `count`, is held back: "10m"."""

    def __post_init__(self) -> None:
        check_options(self)
        if self.once and self.max_frames is not None:
            raise OptionError("--once means --max-frames 1; give one of them")
        if self.once and self.wait:
            raise OptionError("--once does not wait for what is lost; leave out --wait, or give --max-frames 1")
        # read now, so that what is wrong is said here
        for name in ("source_options", "regions", "label_rules", "count_rules", "follow_rules"):
            getattr(self, name)

    @functools.cached_property
    def source_options(self) -> SourceOptions:
        """How a source is read."""
        return SourceOptions(
            pace=parse_pace(self.every, self.fps),
            raw=None if self.raw is None else parse_raw(self.raw),
            stall_s=STALL_S if self.stall_timeout is None else parse_duration(self.stall_timeout, "--stall-timeout"),
            wait=not self.once if self.wait is None else self.wait,
            capture_size=None if self.capture is None else parse_capture(self.capture),
            warmup_s=None if self.warmup is None else parse_warmup(self.warmup),
            settings=parse_settings(self.exposure, self.white_balance, self.focus),
            only_live=tuple(
                option
                for option, given in (
                    ("--warmup", self.warmup),
                    ("--stall-timeout", self.stall_timeout),
                    ("--wait" if self.wait else "--no-wait", self.wait),
                )
                if given is not None
            ),
        )

    @functools.cached_property
    def rois(self) -> tuple[Region, ...]:
        """Regions of the turned picture that have a name; none for the whole."""
        return check_regions([region if isinstance(region, Region) else parse_region(region) for region in self.roi])

    @functools.cached_property
    def grid(self) -> tuple[int, int] | None:
        """Columns and rows of tiles; None for no tiles."""
        return None if self.tiles is None else parse_grid(self.tiles)

    @functools.cached_property
    def regions(self) -> tuple[Region, ...]:
        """All parts of the turned picture that are classified by themselves; none for the whole."""
        return check_regions([*self.rois, *(() if self.grid is None else tile_regions(*self.grid))])

    @functools.cached_property
    def label_rules(self) -> LabelRules:
        """When a label counts as changed."""
        common, single = read_thresholds(self.threshold)
        return LabelRules(
            stable=parse_stable(self.stable) if isinstance(self.stable, str) else self.stable or (1, 1),
            threshold=common,
            thresholds=single,
            hysteresis=self.hysteresis,
            cooldown_s=0.0 if self.cooldown is None else parse_duration(self.cooldown, "--cooldown"),
        )

    @functools.cached_property
    def count_rules(self) -> CountRules:
        """Which counts are told of."""
        rules = CountRules(
            [parse_count(text) for text in self.count], self.label_rules.stable, self.label_rules.cooldown_s
        )
        rules.check_regions([region.name for region in self.rois])
        return rules

    @functools.cached_property
    def follow_rules(self) -> FollowRules | None:
        """What is to be followed from frame to frame; None for nothing."""
        return read_follow_rules(self.track, self.line, self.dwell, self.rois)

    @property
    def least_score(self) -> float | None:
        """Score from which boxes are looked at that are not sure enough to count; None if nobody does."""
        return None if self.follow_rules is None else WEAK

    def check_model(self, task: str, names: Sequence[str]) -> None:
        """Raise OptionError for what a model of this task, with classes of these names, cannot be asked."""
        self.label_rules.check_names(names)
        if task != "detect" and self.count:
            raise OptionError(f"--count is for detection models; this one does not find objects ({task}): leave it out")
        if task != "detect" and self.follow_rules is not None:
            raise OptionError(
                f"--track, --line and --dwell are for detection models; this one does not find objects ({task}): "
                "leave them out"
            )
        if task == "detect" and self.hysteresis:
            raise OptionError("--hysteresis is about confidences, and counts have none: smooth them with --stable 3/5")
        self.count_rules.check_names(names)

    def asks_for_events(self, task: str) -> bool:
        """Tell whether an option makes sense only where somebody listens to events of labels or counts.

        A threshold of a single class says of a detector only which boxes count.
        """
        wanted = self.count or self.line or self.dwell or self.stable or self.hysteresis or self.cooldown
        return bool(wanted or (task != "detect" and self.label_rules.thresholds))


def parse_capture(text: str) -> tuple[int, int]:
    """Return (height, width) for "1280x720"; OptionError if it is something else."""
    width, _, height = text.partition("x")
    if not all(is_whole(part) and 0 < int(part) <= 16384 for part in (width, height)):
        raise OptionError(f"--capture is {text!r}, expected width x height such as 1280x720")
    return int(height), int(width)
