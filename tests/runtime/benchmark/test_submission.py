"""What a board measured can be sent: all that is needed to judge it and to refit the estimate, and nothing private."""

import dataclasses
import getpass
import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgevit.cli.board_report import estimate_for
from edgevit.device_profiles import find_profile
from edgevit.device_profiles.state import MachineState
from edgevit.errors import DataError, OptionError
from edgevit.runtime.benchmark.report import Times
from edgevit.runtime.benchmark.submission import (
    BoardEstimate,
    BoardRun,
    Submission,
    check_submittable,
    read_submission,
)
from tests.places import DOCS, ROOT

Run = Callable[..., tuple[int, str, str]]

STATE = MachineState(50.0, 1500.0, "performance", 0, None, 0.1)


def board_run(instructions: float, misses: float, ms: float, **changes: Any) -> BoardRun:
    times = Times(ms, ms + 1, ms + 2)
    run = BoardRun(
        model="efficientvit_b0",
        sha256="a" * 64,
        format="tflite",
        precision="int8",
        size=(224, 224),
        classes=10,
        size_mb=2.5,
        threads=4,
        calls=150,
        settled=True,
        inference=times,
        preprocess=times,
        total=times,
        cores_busy=3.9,
        first=None,
        estimate=BoardEstimate(10.0, 1500, instructions * 1e6, misses * 1e6, "file"),
    )
    return dataclasses.replace(run, **changes)


def made(*runs: BoardRun, **changes: Any) -> Submission:
    sent = Submission(
        date="2026-12-01T10:00:00+00:00",
        board="Raspberry Pi 4 Model B Rev 1.4",
        profile="rpi4",
        architecture="aarch64",
        cores=4,
        memory_mb=3794,
        python="3.11.2",
        packages={"edgevit": "0.1.0"},
        picture="drawn JPEG of 640 x 480 pixels",
        rounds=30,
        before=STATE,
        during=STATE,
        after=STATE,
        tainted=(),
        runs=runs,
    )
    return dataclasses.replace(sent, **changes)


@pytest.fixture
def sent(tiny_model: Path, tmp_path: Path, run: Run) -> Path:
    """Return the file that a benchmark of the tiny model wrote."""
    path = tmp_path / "secret-folder" / "board.json"
    path.parent.mkdir()
    code, _, err = run("benchmark", tiny_model, "--rounds", 2, "--starts", 0, "--threads", "1,2", "--submit", path)
    assert code == 0, err
    return path


def test_file_says_what_was_measured(sent: Path, tiny_model: Path) -> None:
    import hashlib

    read = read_submission(sent)
    assert [run.threads for run in read.runs] == [1, 2]
    first = read.runs[0]
    assert first.sha256 == hashlib.sha256(tiny_model.read_bytes()).hexdigest()
    assert (first.format, first.precision, first.calls) == ("onnx", "fp32", 10)
    assert 0 < first.inference.p50_ms <= first.total.p50_ms
    assert read.packages["numpy"]
    assert read.python == ".".join(map(str, sys.version_info[:3]))


def test_file_holds_no_host_name_no_user_and_no_path(sent: Path, tiny_model: Path) -> None:
    text = sent.read_text()
    private = [socket.gethostname(), str(tiny_model), tiny_model.name, str(Path.home()), "secret-folder", str(ROOT)]
    assert [word for word in private if word and f'"{word}' in text or len(word) > 5 and word in text] == []
    assert getpass.getuser() not in {value for value in json.loads(text).values() if isinstance(value, str)}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--submit", "b.json", "--image", "pen3.jpg"],
            "the same on every board; leave out --image",
        ),
        (["--submit", "nowhere/b.json"], "is no file in a folder that exists"),
        (["--submit", "b.json", "--estimate", "rpi4"], "--compare and --estimate measure nothing; give one"),
    ],
)
def test_what_cannot_be_sent_is_refused_before_measuring(
    arguments: list[str], message: str, tiny_model: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run("benchmark", tiny_model, *arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_foreign_model_is_refused(make_foreign: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="is for files that edgevit exported"):
        check_submittable((make_foreign(tmp_path / "foreign.onnx"),))


def test_estimate_stands_beside_the_time_where_the_board_is_known(tiny_model: Path) -> None:
    found = estimate_for(tiny_model, 2, find_profile("rpi4"))
    assert found is not None
    # ms on two threads at 1.8 GHz, by docs/benchmark.md
    expected = (0.0879 * found.instructions * 1500 / 1800 + 9.65 * found.misses) * 4 / 2 / 1e6
    assert found.ms == pytest.approx(expected)
    assert (found.mhz, found.source) == (1800, "file")
    assert estimate_for(tiny_model, 2, find_profile("rpi5")) is None
    assert estimate_for(tiny_model, 2, None) is None


def test_board_without_onnx_takes_the_table(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, sized_works: None
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.delitem(sys.modules, "edgevit.export.estimate.layers", raising=False)
    found = estimate_for(tiny_model, 4, find_profile("rpi4"))
    assert found is not None
    assert (found.source, found.instructions, found.misses) == ("table", 30e6, 2e6)


@pytest.fixture
def sized_works(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgevit.artifact.manifest import read_manifest
    from edgevit.cli import board_report
    from edgevit.models.zoo.sizes import SizedWork

    manifest = read_manifest(tiny_model)
    assert manifest is not None
    size = manifest.preprocess.size
    works = (SizedWork(size, "tflite", "fp32", 1e6, 1e6), SizedWork(size, "onnx", "fp32", 30e6, 2e6))
    monkeypatch.setattr(board_report, "find_works", lambda name: works if name == manifest.model else ())


def test_file_is_read_back_as_written(tmp_path: Path) -> None:
    path = tmp_path / "board.json"
    path.write_text(made(board_run(47, 0.7, 9.0)).to_json())
    assert read_submission(path) == made(board_run(47, 0.7, 9.0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON that can be read: it ends amid a value, after 1 char"),
        ("{}", "is no board's word"),
        (None, "cannot be"),
    ],
)
def test_other_files_are_refused(text: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "board.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_submission(path)


def test_every_field_of_the_file_is_described() -> None:
    text = (DOCS / "boards.md").read_text()
    for kind in (Submission, BoardRun, BoardEstimate):
        assert [field.name for field in dataclasses.fields(kind) if f"`{field.name}`" not in text] == []
