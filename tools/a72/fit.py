"""Fit export/estimate/costs.py to what operators.py counted, and tell how far the fit is off.

    python tools/a72/fit.py tools/a72/operators.json

Instructions are fitted as a * multiply-adds + b * elements, misses as c * multiply-adds + d * bytes, for each kind of
operator; the squares of relative errors are least. No coefficient is negative.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


def fit(rows: list[dict[str, float]], counted: str, works: tuple[str, str]) -> tuple[Vector, Vector]:
    """Return what each unit of two works takes, and how far the fit is off in each row, as a share."""
    target = np.array([row[counted] for row in rows])
    work = np.array([[row[name] for name in works] for row in rows]) / target[:, None]
    used = np.flatnonzero(work.any(axis=0))
    while True:
        solution = np.zeros(2)
        solution[used] = np.linalg.lstsq(work[:, used], np.ones(len(rows)), rcond=None)[0]
        if (solution >= 0).all():
            return solution, work @ solution - 1
        used = np.flatnonzero(solution > 0)


def main() -> None:
    kinds = defaultdict(list)
    for row in json.loads(Path(sys.argv[1]).read_text()):
        kinds[row["kind"]].append(row)
    for kind, rows in kinds.items():
        instructions, wrong = fit(rows, "instructions", ("macs", "elements"))
        misses, missed = fit(rows, "misses", ("macs", "bytes"))
        numbers = ", ".join(f"{value:.3g}" for value in (*instructions, *misses))
        print(f'    "{kind}": Price({numbers}),', end="")
        print(f"  # {min(wrong):+.0%} to {max(wrong):+.0%}, misses {min(missed):+.0%} to {max(missed):+.0%}")


if __name__ == "__main__":
    main()
