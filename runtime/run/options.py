"""Everything that `edgevit run` can be told, as one checked value."""

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from edgevit.errors import OptionError
from edgevit.runtime.addresses.destinations import NAMED_AS_SOURCES, STDOUT, Target, parse_sinks, takes_errors
from edgevit.runtime.backends.threads import MOST_THREADS
from edgevit.runtime.detection.boxes import WEAK
from edgevit.runtime.images.regions import Region
from edgevit.runtime.stream.options import StreamOptions
from edgevit.runtime.stream.plan import StreamPlan, plan_stream
from edgevit.schema import Range, named_fields, option_name

Colors = tuple[float, ...]


@named_fields
@dataclass(frozen=True, kw_only=True)
class RunOptions(StreamOptions):
    """One run: which model, of which sources, with what result where. Checked on construction.

    RunOptions(model="farm.onnx", sources=["camera:0"], every="5s", stable="3/5", to=["events.jsonl?send=events"])

    Raises:
        OptionError: a value is not allowed, two contradict each other, or one does not fit the sources.
        UnknownNameError: a source's address has an unknown scheme.
    """

    model: str | Path
    sources: Sequence[str | Path]
    """Files, folders, videos, cameras and streams, as docs/sources.md describes them."""
    labels: str | Path | Sequence[str] | None = None
    """Class names, or the file that holds them; the model's own unless given."""
    mean: Colors | None = None
    """Mean of RGB in 0..1; only for a model that edgevit did not export, as `std` and `imgsz`."""
    std: Colors | None = None
    imgsz: int | tuple[int, int] | None = None
    """(height, width) in pixels, or one number for both."""
    outputs: Literal["logits", "probabilities", "sigmoid"] | None = None
    """What the model answers with; only for a model that edgevit did not export, as what follows."""
    output: str | None = None
    """Name of the output to take, of several."""
    crop_pct: float | None = None
    squash: bool | None = None
    interpolation: str | None = None
    bgr: bool | None = None
    """Whether the model takes blue, green, red."""
    levels: tuple[float, float] | None = None
    """Which levels of pictures of more than eight bits are black and white."""
    threads: int | None = None
    """How many to use; None for what the board's profile recommends."""
    top_k: Annotated[int, Range(1)] = 5
    """Classes to show."""
    to: Sequence[str] = ()
    """Where results and events go, as docs/sinks.md describes it; lines of text on stdout unless given."""
    spool: str | Path | None = None
    """Folder where records wait for a network."""
    errors: Literal["skip", "row"] = "skip"
    """What becomes of a picture that cannot be read, besides being told of: nothing, or a row where JSON is written."""
    jobs: Annotated[int, Range(1, MOST_THREADS)] | None = None
    """Processes that answer the pictures of files and folders, with one thread each; None for this process alone."""
    resume: bool = False
    """Go on after the rows that an earlier run with `jobs` has left."""
    serve: str | None = None
    """Address and port of the page, such as "127.0.0.1:8080"."""
    serve_anyone: bool = False
    """Let the page be seen from beyond this machine."""
    status: str | Path | None = None
    """File for what the board runs, and how; written anew every ten seconds."""

    def __post_init__(self) -> None:
        if isinstance(self.sources, str | os.PathLike):
            raise OptionError(f"the sources are {os.fspath(self.sources)!r}, expected a list, such as ['camera:0']")
        super().__post_init__()
        if self.serve is None and self.serve_anyone:
            raise OptionError("--serve-anyone says who may see the page; add --serve 0.0.0.0:8080")
        if self.serve is not None:
            from edgevit.runtime.serve.address import parse_address

            parse_address(self.serve)
        # read now, so that what is wrong is said here
        for name in ("plan", "targets"):
            getattr(self, name)
        if self.errors == "row" and not any(takes_errors(target) for target in self.targets):
            raise OptionError("--errors row is for rows of JSON; add --json, or --to NAME.jsonl")
        if self.status is not None and os.path.realpath(self.status) in {target.identity for target in self.targets}:
            raise OptionError(
                f"--status {self.status} is written anew every ten seconds, and --to names it; choose another"
            )
        self._check_what_is_read()
        self._check_archive()
        if self.spool is not None and not any(target.url for target in self.targets):
            raise OptionError(
                "--spool is for what waits for a network; leave it out, or add --to mqtt://... or https://..."
            )

    def _check_what_is_read(self) -> None:
        """Raise OptionError for a place that would overwrite, or add to, what the run reads."""
        files = [source.address for source in self.plan.sources if source.kind in ("path", "video", "sequence")]
        names = [self.labels] if isinstance(self.labels, str | os.PathLike) else []
        read = {os.path.realpath(path) for path in (self.model, *names, *files)}
        lying_in = {(os.path.realpath(os.path.dirname(path)), os.path.splitext(path)[1].lower()) for path in files}
        for target in self.targets:
            # labels are often wanted beside their pictures
            if target.kind == "labels" or target.url is not None:
                continue
            if target.identity in read or (target.identity, NAMED_AS_SOURCES.get(target.kind)) in lying_in:
                raise OptionError(f"--to {target.text!r} would write where this run reads; choose another place")
        if self.status is not None and os.path.realpath(self.status) in read:
            raise OptionError(
                f"--status {os.fspath(self.status)!r} would overwrite what this run reads; choose another file"
            )

    def _check_archive(self) -> None:
        """Raise OptionError for what several processes cannot do."""
        if self.jobs is None:
            if self.resume:
                raise OptionError("--resume goes on with what --jobs has begun; add --jobs 1, or more")
            return
        for source in self.plan.sources:
            if source.kind not in ("path", "sequence"):
                raise OptionError(
                    f"--jobs reads pictures from files and folders, but the source is {source.name}; leave --jobs out"
                )
        for each in dataclasses.fields(self):
            if each.name in NOT_WITH_JOBS and getattr(self, each.name) != each.default:
                why = NOT_WITH_JOBS[each.name]
                raise OptionError(f"{option_name(each.name)} does not go with --jobs, {why}; leave one of them out")
        if [(target.kind, bool(target.options), target.place == STDOUT) for target in self.targets] != [
            ("json", False, False)
        ]:
            raise OptionError("--jobs writes one file of JSON lines; give --to NAME.jsonl, and no other place")

    @property
    def archive_file(self) -> Path:
        """Where the rows go with `jobs`."""
        return Path(self.targets[0].place)

    @property
    def source_texts(self) -> list[str]:
        """The sources as they are typed."""
        return [os.fspath(source) for source in self.sources]

    @functools.cached_property
    def plan(self) -> StreamPlan:
        """The sources, and how they are read."""
        return plan_stream(self.source_texts, self)

    @functools.cached_property
    def targets(self) -> tuple[Target, ...]:
        """Where results and events go."""
        return parse_sinks(self.to)

    @property
    def tells_status(self) -> bool:
        """Whether anybody is told which model runs."""
        told = self.status is not None or self.serve is not None
        return told or any(target.kind == "mqtt" for target in self.targets)

    @property
    def least_score(self) -> float | None:
        return WEAK if any(target.kind == "hard" for target in self.targets) else super().least_score

    def arguments(self) -> tuple[str, ...]:
        """Return the arguments of `edgevit run` that say the same.

        Raises:
            OptionError: the labels are names, which only a file can give there.
        """
        places, found = (os.fspath(self.model), *self.source_texts), list[str]()
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if each.name in ("model", "sources") or value == each.default:
                continue
            if each.name == "labels" and isinstance(value, tuple):
                raise OptionError("a command line names labels by their file; write the names into one, one a line")
            found += _argument(each.name, value)
        # a file's name may begin as an option does
        if any(place.startswith("-") and place != "-" for place in places):
            return (*found, "--", *places)
        return (*places, *found)


_ORDER = "which answers pictures in any order"
_FILES = "which answers each picture of files and folders"
NOT_WITH_JOBS = {
    **dict.fromkeys(("count", "track", "line", "dwell", "stable", "hysteresis", "cooldown"), _ORDER),
    **dict.fromkeys(("every", "fps", "max_frames", "once"), _FILES),
    "threads": "which gives each process one thread",
    "spool": "which writes one file",
    **dict.fromkeys(("serve", "status"), "which tells its progress on stderr"),
}
"""Option to why it says nothing to several processes."""

REPEATED = ("roi", "threshold", "count", "line", "dwell", "to")
"""Options that may be given several times."""
_SEPARATORS = {"stable": "/"}


def _argument(name: str, value: Any) -> list[str]:
    option = option_name(name)
    if isinstance(value, bool):
        return [option if value else option_name(f"no_{name}")]
    if isinstance(value, Mapping):
        value = [f"{key}={item}" for key, item in value.items()]
    if name in REPEATED and isinstance(value, list | tuple):
        return [text for one in value for text in (option, _text(one))]
    if isinstance(value, tuple):
        return [option, _SEPARATORS.get(name, ",").join(map(str, value))]
    return [option, _text(value)]


def _text(value: Any) -> str:
    if isinstance(value, Region):
        return f"{value.name}={value.x},{value.y},{value.width},{value.height}"
    return str(value)
