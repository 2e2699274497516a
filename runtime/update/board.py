"""One board during one check: what it knows, where it keeps that, and how long it waits."""

import contextlib
import dataclasses
import enum
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgevit.errors import UpdateError
from edgevit.runtime.board.status import BoardStatus
from edgevit.runtime.update.enrollment import Enrollment
from edgevit.runtime.update.proof import ProofBounds
from edgevit.runtime.update.service import Service
from edgevit.runtime.update.slots import Slots, digest
from edgevit.runtime.update.state import Release, Stage, UpdateState, read_state, write_state
from edgevit.schema import read_json, read_value
from edgevit.system.files import flush_names, make_folders, replacing
from edgevit.text import printable

FOLDER = "update"
"""Where the updater keeps what it knows, in the folder of the model."""
MOST_BAD = 50
"""Models that are remembered as bad."""
LONGEST_ERROR = 500
"""Characters of why a check failed, at most: a server may have had a hand in it, and all of it is published."""


class Step(enum.IntEnum):
    """What a check does, in this order; a check that was killed anywhere is made good by the next one."""

    LOCK = 1
    CLOCK = 2
    REFRESH = 3
    PERCENT = 4
    DOWNLOAD = 5
    SELFTEST = 6
    SWAP = 7
    RELOAD = 8
    RESULTS = 9
    CONFIRM = 10


@dataclass(frozen=True)
class Patience:
    """How long a check waits for the service; all times in seconds."""

    results: int = 5
    """Answers of a new model after which it is confirmed."""
    results_s: float = 300.0
    reload_s: float = 120.0
    start_s: float = 180.0
    before_s: float = 60.0
    """How long to look, before the swap, whether the old model gives results at all."""
    look_s: float = 1.0
    """How often to look."""


@dataclass(frozen=True)
class Trial:
    """A new model that is swapped in, or about to be, and was not confirmed yet."""

    new: Release
    old: Release | None
    """The one before; its version is 0 where it did not come from the site; None if there is none to go back to."""
    gave_results: bool
    """Whether the service gave results just before, so that silence is the new model's fault."""
    verdict: str | None = None
    """Why it must go; None while it may stay."""


@dataclass(frozen=True)
class Bad:
    """A model that did not work on this board."""

    sha256: str
    why: str


@dataclass
class Board:
    """What a check works with."""

    enrollment: Enrollment
    service: Service
    tell: Callable[[str], None]
    """Takes a line for the journal."""
    reached: Callable[[Step], None]
    """Is told each step as it begins."""
    patience: Patience = field(default_factory=Patience)
    proof: ProofBounds = field(default_factory=ProofBounds)

    def __post_init__(self) -> None:
        self.slots = Slots(self.enrollment.model)
        self.folder = self.enrollment.into / FOLDER
        known = read_state(self.enrollment.into)
        if known is None or known.target != self.enrollment.target:
            known = UpdateState(self.enrollment.target, self.enrollment.channel, "waiting")
        self.state = self._written = known

    def note(self, stage: Stage, *, error: str | None = None, **changes: Any) -> None:
        """Write how far this is, for the service to tell, and say it in the journal."""
        error = None if error is None else printable(error)[:LONGEST_ERROR]
        new = dataclasses.replace(self.state, state=stage, error=error, **changes)
        old, self.state, self._written = self._written, new, new
        if new != old:
            write_state(self.enrollment.into, new)
        if dataclasses.replace(new, checked=None) != dataclasses.replace(old, checked=None):
            latest = "" if new.latest is None else f" {new.latest.version} {new.latest.sha256[:8]}"
            self.tell(f"{new.target}{latest}: {stage}" + (f": {error}" if error else ""))

    def saw(self, latest: Release, checked: str) -> None:
        """Keep in mind what the site offers, for the next note."""
        self.state = dataclasses.replace(self.state, latest=latest, checked=checked)

    def why_nothing_can_be_said(self, status: BoardStatus | None) -> str | None:
        """Return why the service tells nothing of the model's file, whatever the file is; None if it may."""
        name, condition = self.enrollment.service, self.service.condition() if status is None else "running"
        if condition == "off":
            return f"the service {name} is not running"
        if status is None and condition == "running":
            return f"the service {name} does not tell what it runs; write it anew: `edgevit service install --force`"
        if status is not None and Path(status.model).resolve() != self.slots.model.resolve():
            return (
                f"the service {name} runs {status.model}, and updates go to {self.slots.model}; install the service "
                "with that file, or enrol with the folder of the other"
            )
        return None

    def wait(self, limit_s: float, done: Callable[[], bool]) -> bool:
        """Wait until something holds; return whether it does."""
        until_s = time.monotonic() + limit_s
        while not done():
            if time.monotonic() >= until_s:
                return False
            time.sleep(self.patience.look_s)
        return True

    def runs(self, sha256: str) -> bool:
        """Tell whether the service says that this model answers: what lies on the disk proves nothing."""
        status = self.service.status()
        return status is not None and status.sha256 == sha256

    def is_on_trial(self) -> bool:
        """Tell whether the file that lies there was not confirmed yet."""
        trial = self.trial()
        return trial is not None and digest(self.slots.model) == trial.new.sha256

    def trial(self) -> Trial | None:
        """Return the trial that is not over."""
        found = self._read("trial.json", Trial | None)
        assert found is None or isinstance(found, Trial)
        return found

    def write_trial(self, trial: Trial | None) -> None:
        """Note a trial so that no power cut forgets it, or that it is over."""
        if trial is not None:
            self._write("trial.json", dataclasses.asdict(trial))
            return
        (self.folder / "trial.json").unlink(missing_ok=True)
        flush_names(self.folder)

    def bad(self, sha256: str) -> str | None:
        """Return why a model did not work here; None if it was not tried, or worked."""
        return next((one.why for one in self._all_bad() if one.sha256 == sha256), None)

    def remember_bad(self, sha256: str, why: str) -> None:
        """Never try these bytes again, whatever version they come as."""
        others = [one for one in self._all_bad() if one.sha256 != sha256]
        self._write("bad.json", [dataclasses.asdict(one) for one in [*others, Bad(sha256, why)][-MOST_BAD:]])

    def forget_bad(self, sha256: str) -> None:
        """Try these bytes again."""
        self._write("bad.json", [dataclasses.asdict(one) for one in self._all_bad() if one.sha256 != sha256])

    def _all_bad(self) -> tuple[Bad, ...]:
        found: tuple[Bad, ...] = self._read("bad.json", tuple[Bad, ...] | None) or ()
        return found

    def _read(self, name: str, kind: Any) -> Any:
        """Return a record; None where there is none, or nothing that can be read: then the board finds its way anew."""
        try:
            return read_value(kind, read_json((self.folder / name).read_text("utf-8")), name)
        except (OSError, ValueError):
            return None

    def _write(self, name: str, document: Any) -> None:
        with replacing(self.folder / name, durable=True) as temporary:
            temporary.write_text(json.dumps(document) + "\n", "utf-8")


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one check at a time change a board.

    Raises:
        UpdateError: another one is running.
    """
    import fcntl  # Windows has none

    make_folders(folder, mode=0o700)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UpdateError("another check is running on this board; wait for its end") from error
        yield
