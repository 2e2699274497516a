"""`edgevit run --jobs`: the same rows as without, each picture once, whatever is broken or killed."""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import edgevit
from edgevit.cli.run import ProgressLine
from edgevit.runtime.run import model
from edgevit.runtime.run.archive import run_archive
from edgevit.runtime.run.archive_rows import Open
from edgevit.runtime.run.options import RunOptions
from edgevit.runtime.run.summary import RunProgress
from tests.made_archive import POISON, Hanging, Poisoned, Talking
from tests.made_detector import scene
from tests.places import ROOT
from tests.processes import no_process_left
from tests.waiting import wait_for

SaveImage = Callable[[str, NDArray[np.uint8]], Path]
Run = Callable[..., tuple[int, str, str]]

CHANGING = ("id", "time", "preprocess_ms", "inference_ms", "postprocess_ms")
"""What two runs tell differently of the same picture."""


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    with no_process_left():
        yield


@pytest.fixture
def photos(save_image: SaveImage, tmp_path: Path) -> Path:
    """A folder of eight pictures with squares, of which one cannot be read."""
    for number in range(7):
        squares = [("red", 0, number % 3), ("blue", 1, 2)][: 1 + number % 2]
        save_image(f"photos/{number:02d}.png", scene(*squares))
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    return tmp_path / "photos"


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def kept(path: Path) -> list[str]:
    """Return what does not change of the rows of a file, sorted by picture and region."""
    found = [{name: value for name, value in row.items() if name not in CHANGING} for row in rows(path)]
    return sorted(json.dumps(row, sort_keys=True) for row in found)


def sources(path: Path) -> Counter[str]:
    return Counter(Path(row["source"]).name for row in rows(path))


@pytest.mark.parametrize(
    ("made", "told", "count"),
    [
        ("tiny_model", {"top_k": 2, "threshold": 0.4}, 8),
        ("tiny_model", {"roi": ["left=0,0,0.5,1", "right=0.5,0,0.5,1"], "rotate": 90}, 15),
        ("colours", {}, 8),
        ("tiny_detector", {"roi": ["left=0,0,0.5,1"], "threshold": {"red": 0.9999}}, 15),
        ("tiny_detector", {"tiles": "2x1"}, 8),
    ],
    ids=["classify", "regions", "segment", "detect", "tiles"],
)
def test_rows_are_those_of_one_process(
    made: str, told: dict[str, Any], count: int, photos: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(made)
    alone, together = tmp_path / "alone.jsonl", tmp_path / "together.jsonl"
    to = f"{alone}?send=results"
    one = edgevit.run(RunOptions(model=path, sources=[photos], to=[to], errors="row", threads=1, **told))
    two = edgevit.run(RunOptions(model=path, sources=[photos], to=[str(together)], errors="row", jobs=2, **told))
    assert kept(together) == kept(alone)
    assert len(rows(together)) == count
    assert (two.results, two.frames, two.unreadable) == (one.results, one.frames, one.unreadable)
    assert (two.frames, two.unreadable) == (7, 1)


def test_picture_that_cannot_be_read_has_a_row_that_says_why(tiny_model: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    told: list[edgevit.EdgevitError] = []
    options = RunOptions(model=tiny_model, sources=[photos], to=[str(out)], errors="row", jobs=1)
    edgevit.run(options, on_error=told.append)
    (row,) = [row for row in rows(out) if "error" in row]
    assert set(row) == {"id", "time", "frame", "source", "error", "error_kind"}
    assert (row["source"], row["frame"], row["error_kind"]) == (f"{photos}/broken.jpg", 7, "unreadable")
    assert row["error"] == f"{photos}/broken.jpg is a truncated JPEG; copy or record it again"
    assert [str(error) for error in told] == [row["error"]]


def test_picture_that_cannot_be_read_has_no_row_unless_it_is_asked_for(
    tiny_model: Path, photos: Path, tmp_path: Path
) -> None:
    """So it is looked at again by the next run, and the others are not."""
    out = tmp_path / "out.jsonl"
    options = RunOptions(model=tiny_model, sources=[photos], to=[str(out)], jobs=2, resume=True)
    assert edgevit.run(options).unreadable == 1
    again = edgevit.run(options)
    assert (again.frames, again.unreadable, again.skipped) == (0, 1, 7)
    assert set(sources(out).values()) == {1}
    assert len(sources(out)) == 7


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


def test_worker_that_is_killed_costs_no_row(tiny_model: Path, save_image: SaveImage, tmp_path: Path) -> None:
    """Each time that ten more pictures are done, one of two workers is killed."""
    for number in range(60):
        save_image(f"many/{number:02d}.png", scene(("red", 0, number % 3)))
    out, over, killed = tmp_path / "out.jsonl", threading.Event(), []

    def kill() -> None:
        for size in (10, 20, 30):
            while not over.is_set() and (not out.exists() or len(out.read_bytes().splitlines()) < size):
                over.wait(0.002)
            workers = [child for child in multiprocessing.active_children() if child.pid is not None]
            if workers and not over.is_set():
                killed.append(workers[0].pid)
                os.kill(workers[0].pid or 0, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    done = edgevit.run(RunOptions(model=tiny_model, sources=[tmp_path / "many"], to=[str(out)], errors="row", jobs=2))
    over.set()
    thread.join()
    assert killed
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
    for number in range(40):
        save_image(f"many/{number:02d}.png", np.full((1500, 2000, 3), (200, 50, 25), np.uint8))
    out = tmp_path / "out.jsonl"
    process = start(tiny_model, tmp_path / "many", "--jobs", 2, "--to", out)
    wait_for(lambda: out.exists() and out.read_bytes().count(b"\n") >= 2)
    os.killpg(process.pid, asked)
    told = process.communicate()[1]
    assert process.returncode == 0, told
    assert "Traceback" not in told
    assert "of 40 pictures" in told
    assert 2 <= len(rows(out)) <= 40
    assert set(sources(out).values()) == {1}
    wait_for(lambda: workers_of(process.pid) == [])


def test_picture_of_which_some_rows_were_written_is_answered_again_whole(
    tiny_model: Path, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    regions = ("left=0,0,0.5,1", "right=0.5,0,0.5,1")
    options = RunOptions(
        model=tiny_model, sources=[photos], to=[str(out)], errors="row", jobs=1, roi=regions, resume=True
    )
    edgevit.run(options)
    whole = kept(out)
    lines = out.read_bytes().splitlines(keepends=True)
    # the row of the picture that cannot be read comes last; before it, the second of two of a picture
    out.write_bytes(b"".join(lines[:-2]))
    assert edgevit.run(options).skipped == 6
    assert kept(out) == whole


def test_pictures_of_several_places_are_answered_once_each(tiny_model: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    options = RunOptions(
        model=tiny_model, sources=[photos / "01.png", photos, f"{photos}/0[13].png"], to=[str(out)], jobs=1
    )
    assert edgevit.run(options).frames == 7
    assert set(sources(out).values()) == {1}


def test_one_of_several_sources_that_is_not_there_has_a_row(tiny_model: Path, photos: Path, tmp_path: Path) -> None:
    out, absent = tmp_path / "out.jsonl", tmp_path / "absent.jpg"
    told: dict[str, Any] = {"model": tiny_model, "to": [str(out)], "jobs": 1, "errors": "row"}
    done = edgevit.run(RunOptions(sources=[absent, photos / "01.png"], **told))
    assert (done.frames, done.unreadable) == (1, 1)
    assert {row["source"]: row.get("error") for row in rows(out)} == {
        str(absent): f"{absent} does not exist",
        f"{photos}/01.png": None,
    }
    with pytest.raises(edgevit.ImageError, match=r"absent\.jpg does not exist; give a file"):
        edgevit.run(RunOptions(sources=[absent], **told))


def test_rows_of_other_pictures_are_not_gone_on_with(
    tiny_model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same folder by another name would have all its rows twice."""
    out = tmp_path / "out.jsonl"
    edgevit.run(RunOptions(model=tiny_model, sources=[photos], to=[str(out)], jobs=1))
    before = out.read_bytes()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        edgevit.OutputError, match="has rows, but of none of these pictures; name them as the first time"
    ):
        edgevit.run(RunOptions(model=tiny_model, sources=["photos"], to=[str(out)], jobs=1, resume=True))
    assert out.read_bytes() == before


def test_what_is_wrong_with_the_model_is_said_before_anything_is_written(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with pytest.raises(edgevit.ModelFileError, match=r"absent\.onnx does not exist"):
        edgevit.run(RunOptions(model=tmp_path / "absent.onnx", sources=[photos], to=[str(out)], jobs=2))
    assert not out.exists()


def test_video_among_the_pictures_is_named(tiny_model: Path, photos: Path, tmp_path: Path) -> None:
    (photos / "clip.mp4").touch()
    with pytest.raises(edgevit.OptionError, match=r"clip\.mp4 is a video, and jobs= reads pictures; run it by itself"):
        edgevit.run(RunOptions(model=tiny_model, sources=[f"{photos}/*"], to=[f"{tmp_path}/out.jsonl"], jobs=1))


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"sources": ["camera:0"]}, "--jobs reads pictures from files and folders, but the source is camera:0"),
        ({"sources": ["rtsp://u:p@10.0.0.7/a"]}, "but the source is rtsp://u:***@10.0.0.7/a; leave --jobs out"),
        ({"sources": ["-"]}, "but the source is stdin"),
        ({"sources": ["photos", "clip.mp4"]}, "but the source is clip.mp4"),
        ({"track": True}, "--track does not go with --jobs, which answers pictures in any order; leave one of them"),
        ({"count": ["hen>=10"]}, "--count does not go with --jobs, which answers pictures in any order"),
        ({"line": ["gate=0.5,0,0.5,1"]}, "--line does not go with --jobs"),
        ({"stable": "3/5"}, "--stable does not go with --jobs"),
        ({"hysteresis": 0.1}, "--hysteresis does not go with --jobs"),
        ({"cooldown": "10m"}, "--cooldown does not go with --jobs"),
        ({"dwell": ["nest>=10m"], "roi": ["nest=0,0,1,1"]}, "--dwell does not go with --jobs"),
        ({"every": "5s"}, "--every does not go with --jobs, which answers each picture of files and folders"),
        ({"fps": 2}, "--fps does not go with --jobs"),
        ({"max_frames": 3}, "--max-frames does not go with --jobs"),
        ({"once": True}, "--once does not go with --jobs"),
        ({"threads": 2}, "--threads does not go with --jobs, which gives each process one thread"),
        ({"spool": "spool"}, "--spool does not go with --jobs, which writes one file"),
        ({"serve": "127.0.0.1:8080"}, "--serve does not go with --jobs, which tells its progress on stderr"),
        ({"status": "status.json"}, "--status does not go with --jobs, which tells its progress on stderr"),
        ({"to": []}, "--jobs writes one file of JSON lines; give --to NAME.jsonl, and no other place"),
        ({"to": ["json"]}, "--jobs writes one file of JSON lines"),
        ({"to": ["a.csv"]}, "--jobs writes one file of JSON lines"),
        ({"to": ["a.jsonl", "hard:hard"]}, "--jobs writes one file of JSON lines"),
        ({"to": ["a.jsonl?size=1MB"]}, "--jobs writes one file of JSON lines"),
        ({"jobs": 0}, "--jobs is 0, expected a whole number, 1 or more"),
        ({"jobs": None, "resume": True}, "--resume goes on with what --jobs has begun; add --jobs 1, or more"),
        ({"errors": "all"}, "--errors is 'all', expected one of skip, row"),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_one_clear_line(told: dict[str, Any], message: str) -> None:
    given = {"model": "m.onnx", "sources": ["photos"], "to": ["out.jsonl"], "jobs": 2, **told}
    with pytest.raises(edgevit.OptionError) as caught:
        RunOptions(**given)
    assert message in caught.value.command_line_text


def test_progress_is_told_with_its_rate_and_what_is_left(tiny_model: Path, photos: Path, tmp_path: Path) -> None:
    told: list[RunProgress] = []
    options = RunOptions(model=tiny_model, sources=[photos], to=[f"{tmp_path}/out.jsonl"], jobs=1)
    edgevit.run(options, on_progress=told.append)
    assert (told[-1].done, told[-1].total, told[-1].unreadable) == (8, 8, 1)
    assert str(RunProgress(1200, 10_000, 2, 40.0)) == (
        "1,200 of 10,000 pictures, 30.0 a second, 5 min left, 2 without an answer"
    )
    assert str(RunProgress(0, 3, 0, 0.0)) == "0 of 3 pictures"
    assert str(RunProgress(1, 1, 0, 2.0)) == "1 of 1 picture, 0.5 a second"
    assert str(RunProgress(30, 60, 0, 30.0)) == "30 of 60 pictures, 1.0 a second, 30 s left"
    assert str(RunProgress(1, 36_001, 0, 1.0)) == "1 of 36,001 pictures, 1.0 a second, 10 h left"


def test_terminal_shows_progress_in_one_line_that_makes_room_for_errors(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    line = ProgressLine()
    line.show(RunProgress(100, 200, 10, 2.0))
    line.show(RunProgress(150, 200, 0, 3.0))
    line.clear()
    line.end()
    told = capsys.readouterr().err
    first = "edgevit: 100 of 200 pictures, 50.0 a second, 2 s left, 10 without an answer"
    second = "edgevit: 150 of 200 pictures, 50.0 a second, 1 s left"
    width = len(first)
    assert told == f"\r{first}\r{second.ljust(width)}\r{' ' * len(second)}\r{second}\n"


def test_progress_is_a_line_a_minute_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    line = ProgressLine()
    for elapsed_s in (1.0, 59.0, 61.0, 62.0, 120.0, 122.0):
        line.show(RunProgress(1, 2, 0, elapsed_s))
    assert [text.split()[5] for text in capsys.readouterr().err.splitlines()] == [f"{1 / 61:.1f}", f"{1 / 122:.1f}"]


def test_command_line_goes_on_and_ends_with_what_was_done(
    run: Run, tiny_model: Path, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    call = ("run", tiny_model, photos, "--jobs", 2, "--errors", "row", "--to", out, "--resume")
    code, said, told = run(*call)
    broken, progress, done = told.splitlines()
    assert (code, said) == (1, "")
    assert broken == f"edgevit: {photos}/broken.jpg is a truncated JPEG; copy or record it again"
    assert progress.startswith("edgevit: 8 of 8 pictures, ")
    assert progress.endswith(" a second, 1 without an answer")
    assert done == f"edgevit: 7 frames, 0 events; 8 lines in {out}"
    assert run(*call) == (0, "", f"edgevit: 0 frames, 0 events; 0 lines in {out}; 8 pictures done before\n")
    assert len(rows(out)) == 8
