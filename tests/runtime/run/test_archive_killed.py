"""`edgevit run --jobs`, while pictures end their workers, and workers and runs are killed: each picture has one row."""

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import edgevit
from edgevit.runtime.run import model
from edgevit.runtime.run.archive import run_archive
from edgevit.runtime.run.archive_rows import Open
from edgevit.runtime.run.options import RunOptions
from edgevit.runtime.workers.child import Answered
from edgevit.runtime.workers.pool import Worker
from tests.made_archive import POISON, Hanging, Poisoned, Talking, rows, sources
from tests.made_detector import scene
from tests.places import ROOT
from tests.waiting import wait_for

SaveImage = Callable[[str, NDArray[np.uint8]], Path]

pytestmark = pytest.mark.usefixtures("no_process_is_left")

COUNT = 900
"""Pictures of a run that is asked to end."""


@pytest.mark.parametrize("open_predictor", [Poisoned, Hanging])
def test_picture_that_ends_its_worker_has_a_row_and_costs_no_other_its_own(
    open_predictor: Open, tiny_model: Path, photos: Path, tmp_path: Path
) -> None:
    (photos / "03.png").rename(photos / POISON)
    out, told = tmp_path / "out.jsonl", list[edgevit.EdgevitError]()
    options = RunOptions(model=tiny_model, sources=[photos], to=[str(out)], errors="row", jobs=2)
    done = run_archive(options, told.append, open_predictor=open_predictor)
    assert (done.frames, done.unreadable) == (6, 2)
    assert sources(out) == Counter(path.name for path in photos.iterdir())
    (row,) = [row for row in rows(out) if row.get("error_kind") == "crash"]
    assert row["source"] == f"{photos}/{POISON}"
    assert row["error"] == f"{photos}/{POISON} ended the process that was to answer it, twice; look at it by itself"
    assert row["error"] in [str(error) for error in told]


def test_workers_have_one_thread_and_warn_of_pictures_but_not_of_the_model_again(
    tiny_model: Path, photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int | None] = []

    def note(path: Path, threads: int | None, **told: Any) -> edgevit.Classifier:
        opened.append(threads)
        opened_model: edgevit.Classifier = edgevit.load(path, threads, **told)
        return opened_model

    monkeypatch.setattr(model, "load", note)
    options = RunOptions(model=tiny_model, sources=[photos], to=[f"{tmp_path}/out.jsonl"], jobs=2)
    run_archive(options, lambda error: None, open_predictor=Talking)
    told = capfd.readouterr().err.splitlines()
    assert told.count("OpenCV has 1 thread") == 8
    # in this process the log is pytest's
    assert "a model of odd classes" not in told
    assert opened == [1]


def test_worker_that_is_killed_costs_no_row(
    tiny_model: Path, save_image: SaveImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time that ten more pictures are done, one of two workers is killed."""
    for number in range(60):
        save_image(f"many/{number:02d}.png", scene(("red", 0, number % 3)))
    out, answers, killed = tmp_path / "out.jsonl", 0, list[int]()
    hear = Worker.hear

    def hear_and_kill(worker: Worker[Any]) -> Any:
        nonlocal answers
        said = hear(worker)
        answers += isinstance(said, Answered)
        # not when those that a killed one had in hand are tried once more
        if isinstance(said, Answered) and answers in (10, 20, 30):
            killed.append(worker._process.pid or 0)
            os.kill(killed[-1], signal.SIGKILL)
        return said

    monkeypatch.setattr(Worker, "hear", hear_and_kill)
    done = edgevit.run(RunOptions(model=tiny_model, sources=[tmp_path / "many"], to=[str(out)], errors="row", jobs=2))
    assert len(set(killed)) == 3
    assert (done.frames, done.unreadable) == (60, 0)
    assert sources(out) == Counter({f"{number:02d}.png": 1 for number in range(60)})


def start(*arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "edgevit", "run", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True)


def workers_of(pid: int) -> list[int]:
    """Return the processes that a process has started, also where it has died since."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        # its session, and that it is no zombie
        if int(fields[3]) == pid and int(stat.parent.name) != pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in Linux' /proc")
def test_each_picture_has_one_row_however_often_the_run_is_killed(
    tiny_model: Path, save_image: SaveImage, tmp_path: Path
) -> None:
    count, draw = 300, random.Random(5)
    for number in range(count):
        save_image(f"many/{number:03d}.png", scene(("red", 0, number % 3)))
    (tmp_path / "many" / "200.png").write_bytes(b"no picture")
    out = tmp_path / "out.jsonl"
    call = (tiny_model, tmp_path / "many", "--jobs", 2, "--errors", "row", "--to", out, "--resume")
    for lines in sorted(draw.sample(range(count), 5)):
        kill_at(start(*call), out, lines)
    process = start(*call)
    told = process.communicate()[1].splitlines()
    assert process.returncode in (0, 1)
    assert sources(out) == Counter({f"{number:03d}.png": 1 for number in range(count)})
    assert told[-1].endswith("pictures done before")


def kill_at(process: "subprocess.Popen[str]", out: Path, lines: int) -> None:
    """Kill a run once its file has so many lines, unless it is done before; no worker may outlive it."""
    wait_for(lambda: process.poll() is not None or (out.exists() and out.read_bytes().count(b"\n") >= lines))
    process.kill()
    process.communicate()
    wait_for(lambda: workers_of(process.pid) == [])


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in Linux' /proc")
@pytest.mark.parametrize("asked", [signal.SIGINT, signal.SIGTERM])
def test_run_that_is_asked_to_end_does_so_well_and_tells_how_far_it_came(
    asked: signal.Signals, tiny_model: Path, save_image: SaveImage, tmp_path: Path
) -> None:
    """Ctrl-C reaches the workers too, as all of a terminal's processes; a service manager asks all as well."""
    # more than are done before the signal comes, however late that is
    first = save_image("many/000.png", np.full((1500, 2000, 3), (200, 50, 25), np.uint8))
    for number in range(1, COUNT):
        first.with_name(f"{number:03d}.png").hardlink_to(first)
    out = tmp_path / "out.jsonl"
    process = start(tiny_model, tmp_path / "many", "--jobs", 2, "--to", out)
    wait_for(lambda: out.exists() and out.read_bytes().count(b"\n") >= 2)
    os.killpg(process.pid, asked)
    told = process.communicate()[1]
    assert process.returncode == 0, told
    assert "Traceback" not in told
    assert f"of {COUNT} pictures" in told
    assert 2 <= len(rows(out)) <= COUNT
    assert set(sources(out).values()) == {1}
    wait_for(lambda: workers_of(process.pid) == [])
