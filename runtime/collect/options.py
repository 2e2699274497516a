"""Everything that `edgevit collect` can be told, as one checked value."""

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from edgevit.errors import OptionError
from edgevit.runtime.addresses.destinations import parse_bytes
from edgevit.runtime.collect.folder import check_label
from edgevit.runtime.collect.likeness import ALIKE
from edgevit.runtime.datasets.listing import as_one_folder
from edgevit.runtime.serve.address import parse_address
from edgevit.runtime.stream.options import StreamOptions
from edgevit.runtime.stream.plan import StreamPlan, plan_stream
from edgevit.schema import Range, check_options, named_fields

QUOTA = "2GB"


@named_fields
@dataclass(frozen=True, kw_only=True)
class CollectOptions:
    """Photos of one source for training. Checked on construction.

    CollectOptions(source="camera:0", labels=["hen"], every="1s", to="photos")

    Raises:
        OptionError: a value is not allowed, two contradict each other, or one does not fit the source.
        UnknownNameError: the source's address has an unknown scheme.
    """

    source: str | Path
    """A video, camera, stream or folder, as docs/sources.md describes it."""
    labels: Sequence[str]
    """The class that is seen; with `serve` all classes, each a button."""
    to: str | Path
    """Folder of the photos; each class is a folder in it."""
    every: str | float | None = None
    """One frame in each "5s", "500ms", "2m", or number of seconds."""
    fps: float | None = None
    """The same as frames a second."""
    count: Annotated[int, Range(1)] | None = None
    """End after so many photos; None for no end."""
    quota: str = QUOTA
    """Bytes that all photos in the folder may take: the run ends there, and no photo is deleted."""
    alike: Annotated[int, Range(-1, 64)] = ALIKE
    """Bits of 64 in which a picture may differ from one of its class and still be left out; -1 keeps all."""
    rotate: Literal[0, 90, 180, 270] = 0
    """Degrees clockwise."""
    raw: str | None = None
    """Form of raw frames: "640x480:rgb24"."""
    capture: str | None = None
    """Size to ask a camera for, width x height: "1280x720"."""
    serve: str | None = None
    """Address and port of the page with the buttons, such as "127.0.0.1:8080"."""
    serve_anyone: bool = False
    """Let the page be seen from beyond this machine."""

    def __post_init__(self) -> None:
        if isinstance(self.labels, str):
            raise OptionError(f"the labels are {self.labels!r}, expected a list, such as ['hen', 'fox']")
        check_options(self)
        labels = [check_label(label) for label in self.labels]
        if not labels:
            raise OptionError("--label is missing: name the class that is seen, or with --serve all of them")
        if len(labels) > 1 and self.serve is None:
            raise OptionError(f"--label names {len(labels)} classes; add --serve 127.0.0.1:8080 to choose by a click")
        named: dict[str, str] = {}
        for label in labels:
            if twin := named.get(as_one_folder(label)):
                what = f"{label!r} twice" if twin == label else f"{twin!r} and {label!r}, one folder on some systems"
                raise OptionError(f"--label names {what}; leave one of them out")
            named[as_one_folder(label)] = label
        if self.serve is None and self.serve_anyone:
            raise OptionError("--serve-anyone says who may see the page; add --serve 0.0.0.0:8080")
        if self.serve is not None:
            parse_address(self.serve)
        if self.serve is not None and self.plan.finite:
            raise OptionError(
                f"--serve is for what is seen now, but {self.plan.name} is a file; name a camera or stream"
            )
        # read now, so that what is wrong is said here
        for name in ("plan", "quota_bytes"):
            getattr(self, name)

    @functools.cached_property
    def plan(self) -> StreamPlan:
        """The source, and how it is read."""
        stream = StreamOptions(every=self.every, fps=self.fps, rotate=self.rotate, raw=self.raw, capture=self.capture)
        return plan_stream([os.fspath(self.source)], stream)

    @functools.cached_property
    def quota_bytes(self) -> int:
        return parse_bytes(self.quota, "--quota")
