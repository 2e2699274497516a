"""`edgevit run --jobs`: what does not go with it is said in one line, and progress is told in one."""

import sys
from pathlib import Path
from typing import Any

import pytest

import edgevit
from edgevit.cli.run import ProgressLine
from edgevit.runtime.run.options import RunOptions
from edgevit.runtime.run.summary import RunProgress


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
        ({"jobs": 0}, "--jobs is 0, expected a whole number from 1 to 1024"),
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


@pytest.mark.usefixtures("no_process_is_left")
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
