"""What a board measured, in a form to be sent to the project: no host name, no path, no file name, no picture."""

import dataclasses
import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgevit.artifact.files import read_regular
from edgevit.artifact.manifest import read_manifest
from edgevit.device_profiles import detect_profile
from edgevit.device_profiles.evidence import read_evidence
from edgevit.device_profiles.state import ROOT, MachineState, read_memory
from edgevit.errors import DataError, OptionError
from edgevit.runtime.benchmark.reading import read_written
from edgevit.runtime.benchmark.report import First, Report, Times

SCHEMA = 1


@dataclass(frozen=True)
class BoardEstimate:
    """What was estimated beforehand for the same file on the same board."""

    ms: float
    """Time of one inference, with the threads of the run and the clock of the board's profile."""
    mhz: int
    instructions: float
    misses: float
    """Misses of the first data cache."""
    source: Literal["file", "table"]
    """"file": the operators of the file itself; "table": the zoo's model of this size, as the board lacks a package."""


@dataclass(frozen=True)
class BoardRun:
    """One model with one number of threads."""

    model: str
    """Name in the zoo."""
    sha256: str
    """Digest of the file."""
    format: str
    precision: str
    size: tuple[int, int]
    """(height, width) of the input in pixels."""
    classes: int
    size_mb: float
    threads: int
    calls: int
    settled: bool
    inference: Times
    preprocess: Times
    total: Times
    cores_busy: float
    first: First | None
    estimate: BoardEstimate | None
    """None where nothing was estimated for this model or board."""


@dataclass(frozen=True)
class Submission:
    """What one board measured."""

    date: str
    """UTC."""
    board: str
    """As its device tree or processor says."""
    profile: str
    """Name of the device profile that was detected; "" for none."""
    architecture: str
    cores: int
    memory_mb: int
    python: str
    packages: dict[str, str]
    picture: str
    rounds: int
    before: MachineState
    during: MachineState
    """The hottest temperature, the lowest clock, all flags that were seen."""
    after: MachineState
    tainted: tuple[str, ...]
    runs: tuple[BoardRun, ...]
    schema: int = SCHEMA

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), allow_nan=False, indent=1) + "\n"


def check_submittable(models: tuple[Path, ...]) -> None:
    """Refuse models whose figures would tell nobody anything.

    Raises:
        OptionError: edgevit did not export a file, so that nothing says what it is.
        ModelFileError: a file cannot be read.
    """
    for path in models:
        if read_manifest(path) is None:
            raise OptionError(f"--submit is for files that edgevit exported, and {path} is none; leave it out")


def submission(
    report: Report, estimates: Mapping[tuple[str, int], BoardEstimate | None], root: Path = ROOT
) -> Submission:
    """Return what may be sent of a benchmark.

    Args:
        report: of files that `check_submittable` has let pass.
        estimates: (path, threads) of a run to what was estimated for it.
        root: where /proc and /sys are read.
    """
    evidence = read_evidence(root)
    profile = detect_profile(evidence).profile
    runs = []
    for run in report.runs:
        path = Path(run.model)
        manifest = read_manifest(path)
        assert manifest is not None
        runs.append(
            BoardRun(
                model=manifest.model,
                sha256=hashlib.sha256(read_regular(path)).hexdigest(),
                format=path.suffix.removeprefix(".").lower(),
                precision=run.precision,
                size=manifest.preprocess.size,
                classes=len(manifest.labels),
                size_mb=run.size_mb,
                threads=run.threads,
                calls=run.calls,
                settled=run.settled,
                inference=run.inference,
                preprocess=run.preprocess,
                total=run.total,
                cores_busy=run.cores_busy,
                first=run.first,
                estimate=estimates.get((run.model, run.threads)),
            )
        )
    return Submission(
        date=report.date,
        board=report.machine.name,
        profile=profile.name if profile else "",
        architecture=evidence.machine,
        cores=report.machine.cores,
        memory_mb=read_memory(root).total_mb,
        python=platform.python_version(),
        packages=report.machine.packages,
        picture=report.picture,
        rounds=report.rounds,
        before=report.before,
        during=report.during,
        after=report.after,
        tainted=report.tainted,
        runs=tuple(runs),
    )


def read_submission(path: Path) -> Submission:
    """Read what `edgevit benchmark --submit` wrote.

    Raises:
        DataError: the file cannot be read or is something else.
    """
    command = f"edgevit benchmark MODEL --submit {path}"
    value = read_written(Submission, path, what="board's word", root="submission", option="--submit", command=command)
    if value.schema != SCHEMA:
        raise DataError(f"{path} has schema {value.schema}, expected {SCHEMA}; write it with this edgevit")
    return value
