"""What a row of the comparison is, and what every row of a model shares."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import nn

Floats = NDArray[np.float32]
Call = Callable[[Floats], Floats]
"""From an input (1, 3, H, W) to logits (1, classes)."""


@dataclass(frozen=True)
class Job:
    """One model, and the folder where all rows find the same weights, input and calibration pictures."""

    model: str
    weights: str | None
    """As for `edgevit export`; None for the model's own."""
    folder: Path

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> "Job":
        document = json.loads(text)
        return cls(document["model"], document["weights"], Path(document["folder"]))

    @property
    def pictures(self) -> Path:
        """Folder of calibration pictures, for those who read files."""
        return self.folder / "pictures"

    def image(self) -> Floats:
        """Return the timed input, (1, 3, H, W)."""
        return self.calibration()[:1]

    def calibration(self) -> Floats:
        """Return the calibration inputs, (N, 3, H, W)."""
        inputs: Floats = np.load(self.folder / "calibration.npy")
        return inputs

    def network(self) -> "nn.Module":
        """Return the model with its weights, in eval mode."""
        from edgevit.models.weights.resolve import build_with_weights, resolve_weights
        from edgevit.models.zoo.registry import get_spec

        spec = get_spec(self.model)
        return build_with_weights(spec, resolve_weights(spec, self.weights)).eval()


@dataclass(frozen=True)
class Row:
    """One runtime with one precision."""

    label: str
    precision: str
    """"fp32" or "int8"."""
    how: str
    """What was done, in a few words."""
    packages: tuple[str, ...]
    """Modules that must be installed."""
    make: Callable[[Job, Path], None]
    """Convert the model into a folder of its own, where nothing but what is run may stay."""
    open: Callable[[Job, Path, int], Call]
    """Open what `make` left in the folder, with a number of threads."""

    @property
    def key(self) -> str:
        """The label as a file name."""
        return "-".join(self.label.lower().replace(".", " ").split())


def nothing_to_make(job: Job, folder: Path) -> None:
    """Leave the folder empty: the row runs the PyTorch model itself."""
