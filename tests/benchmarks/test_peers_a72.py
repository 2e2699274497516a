"""The comparison on an emulated Cortex-A72 says what was counted, and what was not and why."""

import importlib
import shutil
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.places import ROOT


@pytest.fixture
def peers_a72(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.syspath_prepend(ROOT / "tools" / "a72")
    return importlib.import_module("peers_a72")


def test_table_gives_instructions_and_estimates(peers_a72: ModuleType) -> None:
    """148.4 M instructions and 1.09 M misses: 0.0879 * 148.4 + 9.65 * 1.09 = 23.6 ms."""
    found = {
        "sbcformer_xs": {
            "edgevit TFLite int8": {"instructions": 148_400_000, "misses": 1_090_000},
            "OpenVINO fp32": {"failed": "does not run (exit code 1)"},
        },
        "efficientvit_b0": {"edgevit TFLite int8": {"instructions": 47_100_000, "misses": 670_000}},
    }
    lines = peers_a72.table(found).splitlines()
    assert lines[2] == "| model | edgevit TFLite int8 | OpenVINO fp32 | ExecuTorch int8 |"
    assert lines[4:6] == [
        "| sbcformer_xs | 148.4 M, 23.6 ms | does not run | not counted |",
        "| efficientvit_b0 | 47.1 M, 10.6 ms | - | not counted |",
    ]
    assert lines[7] == (
        "- ExecuTorch int8: not counted here: its Python binding needs torch, and without it a C++ program"
    )
    assert lines[8] == "- sbcformer_xs, OpenVINO fp32: does not run (exit code 1)"


def test_rows_are_those_of_the_comparison_on_this_machine(peers_a72: ModuleType) -> None:
    assert set(peers_a72.LABELS) <= {row.label for row in peers_a72.ROWS.values()}
    assert not set(peers_a72.LABELS) & set(peers_a72.NOT_COUNTED)


def emulation(folder: Path, counted: str) -> Path:
    """Write a Python that stands for the emulated one: it runs here, and says what was counted."""
    folder.mkdir()
    script = folder / "python"
    script.write_text(f'#!/bin/sh\necho \'{counted}\' > "$COUNT"\nexec "{sys.executable}" "$@"\n')
    script.chmod(0o755)
    return folder


def test_row_is_run_by_its_own_adapter_and_counted(peers_a72: ModuleType, tmp_path: Path, tiny_model: Path) -> None:
    row = next(row for row in peers_a72.ROWS.values() if row.label == "edgevit ONNX int8")
    job = peers_a72.Job("sbcformer_xs", None, tmp_path / "job")
    (job.folder / row.key).mkdir(parents=True)
    shutil.copy(tiny_model, job.folder / row.key / "model.onnx")
    np.save(job.folder / "calibration.npy", np.zeros((1, 3, 24, 32), np.float32))
    system = emulation(tmp_path / "system", '{"region": 1, "instructions": 5, "misses": 2}')
    assert peers_a72.count_row(job, row, system, tmp_path) == {"instructions": 5, "misses": 2}
    (job.folder / row.key / "model.onnx").write_bytes(b"no model")
    assert peers_a72.count_row(job, row, system, tmp_path) == {"failed": "does not run (exit code 1)"}
