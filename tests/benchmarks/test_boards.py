"""docs/boards.md holds what boards sent and nothing else, and the estimate can be refitted from it."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.places import DOCS, ROOT
from tests.runtime.benchmark.test_submission import board_run, made

FIT = ROOT / "tools" / "a72" / "fit.py"


@pytest.fixture
def boards(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("boards")


def test_page_is_what_the_command_makes(boards: ModuleType) -> None:
    sent = [boards.read_submission(path) for path in sorted(boards.SENT.glob("*.json"))]
    page = (DOCS / "boards.md").read_text()
    assert boards.with_table(page, boards.table(sent)) == page


def test_row_that_nobody_measured_is_said_to_be_empty(boards: ModuleType) -> None:
    text = boards.table([])
    assert text.startswith("No board has measured yet.\n")
    assert text.count("| empty: nobody has measured it |") == len(boards.WANTED)


def test_measured_row_takes_the_place_of_the_empty_one(boards: ModuleType) -> None:
    text = boards.table([made(board_run(47, 0.7, 9.25), tainted=("throttled",))])
    assert text.startswith("1 board measured.\n")
    row = "| Raspberry Pi 4 Model B Rev 1.4 | efficientvit_b0, 224x224 | tflite int8 | 4 | 9.2 (90 %: 10.2, 99 %: 11.2)"
    assert f"{row} | 10.0 | 2026-12-01; performance; 50 C; **not to be trusted:** throttled |" in text
    assert text.count("empty: nobody") == len(boards.WANTED) - 1


def fitted(tmp_path: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(FIT), "--boards", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, text=True, capture_output=True)


def write(path: Path, *runs: object, **changes: object) -> Path:
    path.write_text(made(*runs, **changes).to_json())  # type: ignore[arg-type]
    return path


def test_prices_are_refitted_from_what_boards_measured(tmp_path: Path) -> None:
    """Times made with 0.1 ms a million instructions and 5 a million misses; two threads take twice as long."""
    four = [board_run(i, m, 0.1 * i + 5 * m) for i, m in ((47.0, 0.7), (150.0, 1.1), (190.0, 5.9))]
    two = board_run(100.0, 2.0, 2 * (0.1 * 100 + 5 * 2), threads=2)
    slow = write(tmp_path / "slow.json", board_run(10.0, 1.0, 999.0), tainted=("throttled",))
    done = fitted(tmp_path, write(tmp_path / "a.json", *four), write(tmp_path / "b.json", two), slow)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["MS_PER_MILLION_INSTRUCTIONS = 0.1", "MS_PER_MILLION_MISSES = 5"]
    assert lines[2].startswith("# 4 runs;")
    assert "left out: Raspberry Pi 4 Model B Rev 1.4, efficientvit_b0 tflite int8, 4 threads: throttled" in done.stderr


def test_faster_clock_helps_instructions_alone(tmp_path: Path) -> None:
    """At 3 GHz the same instructions take half as long, and the misses as long as before."""
    fast = made().during.__class__(50.0, 3000.0, "performance", 0, None, 0.1)
    runs = [board_run(i, m, 0.1 * i / 2 + 5 * m) for i, m in ((47.0, 0.7), (150.0, 1.1), (190.0, 5.9))]
    done = fitted(tmp_path, write(tmp_path / "a.json", *runs, during=fast))
    assert done.stdout.splitlines()[:2] == ["MS_PER_MILLION_INSTRUCTIONS = 0.1", "MS_PER_MILLION_MISSES = 5"]


def test_too_few_runs_are_refused_in_a_line(tmp_path: Path) -> None:
    lacking = board_run(1.0, 1.0, 5.0, estimate=None)
    done = fitted(tmp_path, write(tmp_path / "a.json", board_run(47, 0.7, 9.0), lacking))
    assert done.returncode == 1
    assert "nothing was counted of it" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("1 runs can be fitted to, and 3 are the fewest")
