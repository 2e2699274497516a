"""How far the updater of a model is, in a file beside the model, which the running service reads and tells of."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgevit.schema import read_json, read_value
from edgevit.system.files import replacing

FILE = "state.json"
"""Its name, in the folder of the model."""
LARGEST_BYTES = 100_000
"""A state file of more is damaged."""

Stage = Literal["current", "waiting", "downloading", "testing", "installed", "confirmed", "rolled back", "failed"]
"""`current`: what the site offers runs; `waiting`: a newer model is there, but not yet for this board; `installed`: the
new file is swapped in, but not yet confirmed by results; `failed`: the check or the new model failed.
"""


@dataclass(frozen=True)
class Release:
    """One model of a channel."""

    version: int
    """Grows with every publication, whatever the bytes."""
    sha256: str
    """The file's, in hexadecimal digits."""


@dataclass(frozen=True)
class UpdateState:
    """What the updater last did."""

    target: str
    """What the board follows, such as "stable/farm.onnx"."""
    channel: str
    """Such as "stable"."""
    state: Stage
    installed: Release | None = None
    """The model's file in the folder; None if there is none, or it came from elsewhere."""
    latest: Release | None = None
    """The newest that the site offers on this channel; None before the first check."""
    error: str | None = None
    """One line for people: why the check or the newest model failed."""
    checked: str | None = None
    """When the site last answered with valid signatures, in ISO format with a zone; None before that."""


def write_state(folder: Path, state: UpdateState) -> None:
    """Write the state whole or not at all, so that it outlives a power cut; everybody may read it.

    Raises:
        OSError: the folder or the disk does not take it.
    """
    with replacing(folder / FILE, durable=True, mode=0o644) as temporary:
        temporary.write_text(json.dumps(dataclasses.asdict(state)) + "\n", "utf-8")


def read_state(folder: Path) -> UpdateState | None:
    """Return what the updater wrote beside the model; None if there is nothing, or nothing that can be read."""
    try:
        with (folder / FILE).open("rb") as file:
            text = file.read(LARGEST_BYTES).decode()
        state = read_value(UpdateState, read_json(text), FILE)
    except (OSError, ValueError):
        return None
    assert isinstance(state, UpdateState)
    return state
