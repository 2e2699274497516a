"""Two benchmarks side by side: what became faster or slower."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgevit.errors import DataError
from edgevit.runtime.benchmark.report import Report, Run

NOISE = 0.05
"""Share by which medians of separate benchmarks on one idle machine may differ without a cause."""


@dataclass(frozen=True)
class Change:
    """One model with one number of threads, before and after."""

    model: str
    threads: int
    before: Run
    after: Run

    @property
    def ratio(self) -> float:
        """Median end-to-end time after, as a multiple of that before."""
        return self.after.total.p50_ms / self.before.total.p50_ms

    @property
    def verdict(self) -> str:
        if abs(self.ratio - 1) <= NOISE:
            return "same"
        return "faster" if self.ratio < 1 else "slower"


def compare(before: Report, after: Report) -> tuple[Change, ...]:
    """Return the runs that both benchmarks have, by file name and number of threads.

    Raises:
        DataError: they have none in common.
    """
    earlier = {_key(run): run for run in before.runs}
    changes = tuple(Change(*_key(run), earlier[_key(run)], run) for run in after.runs if _key(run) in earlier)
    if not changes:
        raise DataError(
            f"the two benchmarks have no model and number of threads in common: {_listed(before)} and {_listed(after)}"
        )
    return changes


def find_doubts(before: Report, after: Report) -> Iterator[str]:
    """Yield why the two should not be compared without a second thought."""
    for name, report in (("first", before), ("second", after)):
        if report.tainted:
            yield f"the {name} benchmark is tainted: {'; '.join(report.tainted)}"
    if before.machine.name != after.machine.name:
        yield f"another machine: {before.machine.name} and {after.machine.name}"
    if before.picture != after.picture:
        yield f"another picture: {before.picture} and {after.picture}"


def _key(run: Run) -> tuple[str, int]:
    return Path(run.model).name, run.threads


def _listed(report: Report) -> str:
    return ", ".join(f"{name} with {threads}" for name, threads in map(_key, report.runs))
