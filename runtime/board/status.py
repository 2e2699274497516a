"""The status of a board as one small JSON object: a file for its neighbours, a message for those far away."""

import dataclasses
import datetime
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from edgevit.artifact.files import read_regular
from edgevit.errors import OutputError, StatusError
from edgevit.schema import FieldError, Range, read_json, read_value
from edgevit.system.files import make_folders, replacing

STATUS_FOLDER, STATUS_NAME = "edgevit", "status.json"
"""A service's status lies in this folder of /run, in one of its own name, in this file."""

MESSAGE_S = 60.0
"""How often a broker is told where nothing happens: over a mobile network each message costs."""
LARGEST_BYTES = 1 << 20
"""A file of more is no status."""
YEARS = range(1970, 3000)
"""A clock that nobody has set says 1970."""

Count = Annotated[int, Range(0)]


@dataclass(frozen=True, kw_only=True)
class BoardStatus:
    """What runs on a board, and how."""

    host: str
    """The machine's name."""
    version: str
    """edgevit's."""
    pid: Annotated[int, Range(1)]
    """Number of the process that runs the model: another one has begun to count anew."""
    model: str
    """Path of the model's file."""
    sha256: str
    """Digest of that file as it was loaded: what answers now, whatever lies there meanwhile."""
    since: str
    """When this model was loaded, as ISO time with its zone."""
    time: str
    """When this status was made, as ISO time with its zone."""
    results: Count = 0
    """Answers of this model since then."""
    failures: Count = 0
    """Pictures since then that could not be read."""
    profile: str | None = None
    """The board's device profile; None where none fits."""
    frames_per_second: float = 0.0
    """Pictures that were classified in the last minute, or since then if that is less."""
    temperature_c: float | None = None
    """Temperature of the hottest zone; None where the machine does not say."""
    throttled: bool | None = None
    """Whether a Raspberry Pi is short of power, or slows down for heat, right now; None where it does not say."""
    backlog: Count | None = None
    """Records that wait for a network; None where nothing is sent over one."""
    reload_error: str | None = None
    """Why the last reload left the old model in place; None when it was taken, or there was none."""
    update: Mapping[str, Any] | None = None
    """The updater's own state, as it wrote it beside the model; None where there is no updater."""

    def __post_init__(self) -> None:
        for name in ("since", "time"):
            unix_time(getattr(self, name), name)

    def to_json(self) -> str:
        """Return one line of ASCII."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "BoardStatus":
        """Read what `to_json` wrote; fields of a later version are left out.

        Raises:
            ValueError: it is no status; the text says why.
        """
        status = read_value(cls, read_json(text), "status")
        assert isinstance(status, cls)
        return status


def unix_time(text: str, name: str = "time") -> float:
    """Return an ISO time with its zone as Unix time, in seconds.

    Raises:
        ValueError: it is none, or of no year that a board could be running in.
    """
    try:
        moment = datetime.datetime.fromisoformat(text)
        sound = moment.tzinfo is not None and moment.year in YEARS
    except ValueError:
        sound = False
    if not sound:
        raise ValueError(f"{name} is {text[:60]!r}, expected a time with its zone, such as 2026-11-20T13:36:31Z")
    return moment.timestamp()


def status_path(name: str, *, user: bool = False, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the status file of a service of `edgevit service`.

    Args:
        name: of the unit.
        user: it belongs to a user's own service manager.
        environment: names that manager's runtime directory.
    """
    runtime = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}" if user else "/run"
    return Path(runtime) / STATUS_FOLDER / name / STATUS_NAME


def write_status(path: Path, status: BoardStatus, *, make_folder: bool = False) -> None:
    """Replace the file by a whole new one; it is not flushed, since it is to lie in memory, below /run.

    Args:
        path: the file.
        status: what to write.
        make_folder: make its folder where it is missing, as those of --to are; later that would hide a disk which is
            no longer there.

    Raises:
        OutputError: the folder does not take it.
    """
    try:
        if make_folder:
            make_folders(path.parent)
        with replacing(path) as temporary:
            temporary.write_text(f"{status.to_json()}\n", "ascii")
    except OSError as error:
        raise OutputError(
            f"the status {path} cannot be written: {error.strerror or error}; choose a place that this user may change"
        ) from error


def read_status(path: Path) -> BoardStatus:
    """Return the newest status.

    Raises:
        StatusError: there is none, or it is not one.
    """
    try:
        return BoardStatus.from_json(read_regular(path, LARGEST_BYTES).decode())
    except OSError as error:
        reason = error.strerror or error
        raise StatusError(f"{path} cannot be read: {reason}; is the service running, with --status {path}?") from error
    except FieldError as error:
        raise StatusError(f"{path}: {error}; it was written by another program, or another edgevit") from error
    except ValueError as error:
        raise StatusError(f"{path} is no status of a board: {error}") from error
