"""Fit the prices of `edgevit benchmark --estimate`, and tell how far the fit is off.

    python tools/a72/fit.py tools/a72/operators.json        costs.py, from what operators.py counted
    python tools/a72/fit.py --litert tools/a72/litert.json  its LITERT_SHARES, from what litert.py counted
    python tools/a72/fit.py --boards FILE.json...           the two times of estimate.py, from what boards measured

Operators: instructions are fitted as a * multiply-adds + b * elements, misses as c * multiply-adds + d * bytes, for
each kind. LiteRT: both as shares of those sums, for each group of kinds. Boards: milliseconds as e * instructions +
f * misses, brought to four threads at 1.5 GHz; the files are those of `edgevit benchmark --submit`, and runs that are
tainted, unsettled, without estimate or of other processors are left out, in words. The squares of relative errors are
least. No coefficient is negative.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
THREADS, MHZ = 4, 1500
"""What the times of estimate.py are for."""
FEWEST = 3
"""Runs below which two coefficients mean nothing."""


def fit(rows: list[dict[str, float]], counted: str, works: Sequence[str]) -> tuple[Vector, Vector]:
    """Return what each unit of some works takes, and how far the fit is off in each row, as a share."""
    target = np.array([row[counted] for row in rows])
    work = np.array([[row[name] for name in works] for row in rows]) / target[:, None]
    used = np.flatnonzero(work.any(axis=0))
    while True:
        solution = np.zeros(len(works))
        solution[used] = np.linalg.lstsq(work[:, used], np.ones(len(rows)), rcond=None)[0]
        if (solution >= 0).all():
            return solution, work @ solution - 1
        used = np.flatnonzero(solution > 0)


def board_rows(paths: Sequence[Path], say: Callable[[str], None]) -> list[dict[str, float]]:
    """Return the runs that can be fitted to: "ms" on four threads, millions of "instructions" and "misses".

    A faster clock helps instructions alone, so these count for less there, as in estimate.py.
    """
    from edgevit.runtime.benchmark.submission import read_submission

    rows = []
    for path in paths:
        sent = read_submission(path)
        for run in sent.runs:
            name = f"{sent.board}, {run.model} {run.format} {run.precision}, {run.threads} threads"
            reasons = [*sent.tainted, *([] if run.settled else ["the warm-up did not settle"])]
            if run.estimate is None:
                reasons.append("nothing was counted of it")
            if reasons or run.estimate is None:
                say(f"left out: {name}: {'; '.join(reasons)}")
                continue
            mhz = sent.during.clock_mhz or run.estimate.mhz
            rows.append(
                {
                    "ms": run.inference.p50_ms * run.threads / THREADS,
                    "instructions": run.estimate.instructions / 1e6 * MHZ / mhz,
                    "misses": run.estimate.misses / 1e6,
                }
            )
    return rows


def fit_boards(paths: Sequence[Path], say: Callable[[str], None]) -> list[str]:
    """Return the two lines of estimate.py, and how far each run is off where it is left out of the fit."""
    rows = board_rows(paths, say)
    if len(rows) < FEWEST:
        sys.exit(f"{len(rows)} runs can be fitted to, and {FEWEST} are the fewest; measure more models on the board")
    works = ("instructions", "misses")
    (instructions, misses), _ = fit(rows, "ms", works)
    off = []
    for number, row in enumerate(rows):
        (a, b), _ = fit(rows[:number] + rows[number + 1 :], "ms", works)
        off.append((a * row["instructions"] + b * row["misses"]) / row["ms"] - 1)
    return [
        f"MS_PER_MILLION_INSTRUCTIONS = {instructions:.3g}",
        f"MS_PER_MILLION_MISSES = {misses:.3g}",
        f"# {len(rows)} runs; where each is left out of the fit it is off by {min(off):+.0%} to {max(off):+.0%}",
    ]


def fit_operators(path: Path) -> list[str]:
    """Return the lines of costs.py."""
    kinds, lines = defaultdict(list), []
    for row in json.loads(path.read_text()):
        kinds[row["kind"]].append(row)
    for kind, rows in kinds.items():
        instructions, wrong = fit(rows, "instructions", ("macs", "elements"))
        misses, missed = fit(rows, "misses", ("macs", "bytes"))
        numbers = ", ".join(f"{value:.3g}" for value in (*instructions, *misses))
        error = f"{min(wrong):+.0%} to {max(wrong):+.0%}, misses {min(missed):+.0%} to {max(missed):+.0%}"
        lines.append(f'    "{kind}": Price({numbers}),  # {error}')
    return lines


def fit_litert(path: Path) -> list[str]:
    """Return the lines of LITERT_SHARES, and how far the files' estimates by them are off."""
    from edgevit.export.estimate.estimate import milliseconds

    files = json.loads(path.read_text())
    groups = list(dict.fromkeys(group for file in files for group in file["works"]))
    shares, told = [], []
    for place, counted in enumerate(("instructions", "misses")):
        rows = [
            {counted: file[counted], **{group: file["works"].get(group, (0, 0))[place] for group in groups}}
            for file in files
        ]
        found, wrong = fit(rows, counted, groups)
        shares.append(found)
        told.append([row[counted] * (1 + share) for row, share in zip(rows, wrong, strict=True)])
    off = [
        milliseconds(*estimate, THREADS, MHZ) / milliseconds(file["instructions"], file["misses"], THREADS, MHZ) - 1
        for file, estimate in zip(files, zip(*told, strict=True), strict=True)
    ]
    lines = [f'    "{group}": ({a:.3g}, {b:.3g}),' for group, a, b in zip(groups, *shares, strict=True)]
    return [*lines, f"# {len(files)} files; their times are off by {min(off):+.0%} to {max(off):+.0%}"]


def main() -> None:
    first, *more = sys.argv[1:]
    if first == "--boards":
        lines = fit_boards(list(map(Path, more)), lambda text: print(text, file=sys.stderr))
    elif first == "--litert":
        lines = fit_litert(Path(*more))
    else:
        lines = fit_operators(Path(first))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
