"""What a benchmark found, as values that read and write themselves as JSON; docs/benchmark.md describes each field."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from edgevit.device_profiles.state import MachineState
from edgevit.runtime.benchmark.reading import read_written

SCHEMA = 1


@dataclass(frozen=True)
class Times:
    """How long something took: the time that half, nine tenths and 99 of 100 calls stayed below."""

    p50_ms: float
    p90_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Ratio:
    """Inference time as a multiple of the first run's, from rounds in which both were measured one after the other."""

    median: float
    p10: float
    p90: float


@dataclass(frozen=True)
class First:
    """From the start of a new Python process to its first answer; medians of several processes."""

    import_ms: float
    """Starting Python and importing edgevit's runtime."""
    load_ms: float
    """Opening the model, with the runtime of its format."""
    answer_ms: float
    """The first picture."""
    total_ms: float
    peak_mb: float
    """Largest resident memory of the process, in 10^6 bytes."""


@dataclass(frozen=True)
class Run:
    """One model with one number of threads."""

    model: str
    precision: str
    """As the file says; "unknown" if edgevit did not export it."""
    size_mb: float
    threads: int
    calls: int
    warmup: int
    """Calls before the first that was counted."""
    settled: bool
    """Whether calls took equally long at the end of the warm-up."""
    preprocess: Times
    """Decoding, scaling, normalizing."""
    inference: Times
    postprocess: Times
    total: Times
    """End to end."""
    fps: float
    """Pictures a second, one after the other: 1000 / total.p50_ms."""
    cores_busy: float
    """Processor time of this process per second."""
    ratio: Ratio | None
    """None for the first run."""
    first: First | None


@dataclass(frozen=True)
class Machine:
    """Where it was measured."""

    name: str
    cores: int
    """That this process may use."""
    packages: dict[str, str]


@dataclass(frozen=True)
class Report:
    """The whole benchmark."""

    machine: Machine
    date: str
    """UTC."""
    picture: str
    rounds: int
    before: MachineState
    during: MachineState
    """The hottest temperature, the lowest clock, all flags that were seen."""
    after: MachineState
    tainted: tuple[str, ...]
    """Why the figures are not to be trusted; empty if nothing was found."""
    runs: tuple[Run, ...]
    schema: int = SCHEMA

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), allow_nan=False)


def read_report(path: Path) -> Report:
    """Read what `edgevit benchmark --json` printed.

    Raises:
        DataError: the file cannot be read or is something else.
    """
    command = f"edgevit benchmark MODEL --json > {path}"
    return read_written(Report, path, what="benchmark", root="report", option="--json", command=command)
