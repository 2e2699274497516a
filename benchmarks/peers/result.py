"""What a comparison found: frozen values that are written as JSON and read back."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from edgevit.errors import DataError
from edgevit.schema import read_value

SCHEMA = 1
ALLOWED_DROP = 1.0
"""Points of accuracy that a row may lose against PyTorch and still count as the same model."""


@dataclass(frozen=True)
class Time:
    """Calls with one number of threads."""

    threads: int
    median_ms: float
    low_ms: float
    """A quarter of the calls took less."""
    high_ms: float
    """A quarter took more."""
    cores_busy: float
    """Processor time of all threads by time passed."""
    ratio: float | None
    """Median over the rounds of this row's median by that of edgevit's default; None without the default."""


@dataclass(frozen=True)
class Measured:
    """One row for one model."""

    label: str
    precision: str
    how: str
    size_mb: float | None
    """Size of all that is needed to run; None where the PyTorch model itself is run."""
    times: tuple[Time, ...]
    deviation: float
    """Largest difference of a logit from PyTorch's, as a share of PyTorch's largest; infinite answers count as 1e9."""
    top1: float | None = None
    """Share of the test pictures, 0..1; None where there were none, or the weights are random."""
    agreement: float | None = None
    """Share of the test pictures with PyTorch's answer."""


@dataclass(frozen=True)
class Model:
    """All rows of one model."""

    name: str
    weights: str
    trained: bool
    rows: tuple[Measured, ...]
    absent: dict[str, str]
    """Label to why it was not measured."""

    def row(self, label: str) -> Measured | None:
        return next((row for row in self.rows if row.label == label), None)

    def drop(self, row: Measured) -> float | None:
        """Return how many points of accuracy a row loses against PyTorch; None where that is not known."""
        eager = self.row("PyTorch eager")
        if eager is None or eager.top1 is None or row.top1 is None:
            return None
        return 100 * (eager.top1 - row.top1)


@dataclass(frozen=True)
class Comparison:
    """The whole run."""

    date: str
    machine: str
    cores: int
    packages: dict[str, str]
    rounds: int
    calls: int
    """Counted calls in a round."""
    images: int
    """Number of images of each class that decided on accuracy."""
    tainted: tuple[str, ...]
    """Why the times are not to be trusted."""
    default: str
    """Label of the row that edgevit's profile of this machine prefers."""
    models: tuple[Model, ...]
    schema: int = SCHEMA

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def read(cls, path: Path) -> "Comparison":
        value = read_value(cls, json.loads(path.read_text()), path.name)
        assert isinstance(value, Comparison)
        return value


def keeps_accuracy(comparison: Comparison, model: Model, row: Measured) -> bool | None:
    """Tell whether a row loses at most ALLOWED_DROP points.

    For random weights the answer is that of the same row for a model of the family that has trained ones; None
    where there is none.
    """
    if row.precision == "fp32":
        return row.deviation < 0.01
    drop = model.drop(row)
    if drop is not None:
        return drop <= ALLOWED_DROP
    for other in comparison.models:
        twin = other.row(row.label)
        if other.name.split("_")[0] == model.name.split("_")[0] and twin is not None and other.drop(twin) is not None:
            return keeps_accuracy(comparison, other, twin)
    return None


def joined(runs: Sequence[Comparison]) -> Comparison:
    """Return the models of several runs as those of one, with the last one's date.

    Raises:
        DataError: they differ in more than models and date, or a model is in two of them.
    """
    last, models = runs[-1], tuple(model for run in runs for model in run.models)
    if any(replace(run, date=last.date, models=()) != replace(last, models=()) for run in runs):
        raise DataError("the runs differ in more than models and date; give those of one machine and its versions")
    if len({model.name for model in models}) < len(models):
        raise DataError("a model is in two of the runs; give each once")
    return replace(last, models=models)
