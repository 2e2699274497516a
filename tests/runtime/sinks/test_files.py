"""Records in files: whole lines, rotation, full disks."""

import datetime
import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgevit.errors import OptionError, OutputError
from edgevit.runtime.addresses.destinations import parse_sinks
from edgevit.runtime.events.event import Event
from edgevit.runtime.events.labels import LabelRules
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import Record, event_record, result_record
from edgevit.runtime.results import Result
from edgevit.runtime.sinks.opening import SinkContext, open_sinks
from edgevit.runtime.sinks.rotating import RotatingFile
from tests.made_records import DAY_S, NOON, event, moment, open_one, record, record_fsync, scene, small_disk


def test_json_lines_hold_results_and_events(tmp_path: Path) -> None:
    sink = open_one(f"{tmp_path}/a.jsonl")
    sink.write(record(1))
    sink.write(event(2))
    sink.close()
    result, happened = map(json.loads, (tmp_path / "a.jsonl").read_text().splitlines())
    assert (result["top1"], result["frame"], result["id"]) == ("cat", 1, record(1).id)
    assert (happened["event"], happened["label"], happened["frame"]) == ("label", "dog", 2)


def test_text_on_stdout_is_what_run_prints(capsys: pytest.CaptureFixture[str]) -> None:
    for alone in (True, False):
        sink = open_one("text", alone=alone)
        sink.write(record())
        sink.close()
    assert capsys.readouterr().out == "cat 0.90  dog 0.05\npen: cat 0.90  dog 0.05\n"


def test_text_in_a_file_has_the_time_and_tells_events(tmp_path: Path) -> None:
    sink = open_one(f"{tmp_path}/a.txt")
    sink.write(event(0))
    frozen = {"active": True, "value": 0.0001}
    sink.write(event_record(Event("frozen", moment(1), frozen)))
    sink.write(event_record(Event("source_lost", moment(2), {"reason": "no picture for 10 s"})))
    sink.write(event_record(Event("source_back", moment(3), {"away_s": 61.25})))
    sink.write(event_record(Event("frozen", moment(4), {"active": False, "repeated": True})))
    sink.close()
    told = [line.split(" ", 1)[1] for line in (tmp_path / "a.txt").read_text().splitlines()]
    assert told == [
        "pen  now dog 0.80, before cat",
        "pen  frozen (0.0001)",
        "pen  source lost: no picture for 10 s",
        "pen  source back after 61.2 s",
        "pen  no longer frozen",
    ]


def test_line_that_was_cut_by_a_power_cut_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": 1}\n{"id": 2, "ti')
    file = RotatingFile(tmp_path / "a.jsonl")
    file.write_line('{"id": 3}', 0)
    file.close()
    assert (tmp_path / "a.jsonl").read_text() == '{"id": 1}\n{"id": 2, "ti\n{"id": 3}\n'


def test_file_begins_anew_when_it_is_large_and_keeps_its_predecessors(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "a.csv", size=20, keep=2, header="number")
    for number in range(8):
        file.write_line(f"line {number}", NOON)
    file.close()
    # header and two lines are 7 + 7 + 7 = 21 bytes: one line a file; the oldest five are gone
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "a-2026-11-20.6.csv": "number\nline 5\n",
        "a-2026-11-20.7.csv": "number\nline 6\n",
        "a.csv": "number\nline 7\n",
    }


def test_file_begins_anew_each_day(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "a.txt")
    for day in range(3):
        file.write_line(f"day {day}", NOON + day * DAY_S)
    file.close()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "a-2026-11-20.txt": "day 0\n",
        "a-2026-11-21.txt": "day 1\n",
        "a.txt": "day 2\n",
    }


OTHERS = {
    "a-2024-05-01{}": "weighed the hens\n",
    "a-2024-05-02{}": '{{"id": 7, "name": "Berta"}}\n',
    "a-2024-05-03{}": "2024-05-03T10:00:00.000Z info: server started\n",
}
"""What somebody else may have written beside a.txt or a.jsonl."""


@pytest.mark.parametrize("suffix", [".txt", ".jsonl"])
def test_files_of_somebody_else_are_not_deleted_for_their_names(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    others = {name.format(suffix): text for name, text in OTHERS.items()}
    for name, text in others.items():
        (tmp_path / name).write_text(text)
    sink = open_one(f"{tmp_path}/a{suffix}?keep=2")
    for number in range(6):
        sink.write((event if number % 2 else record)(number, wall_s=NOON + number * DAY_S))
    sink.close()
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert set(found) == {*others, f"a-2026-11-23{suffix}", f"a-2026-11-24{suffix}", f"a{suffix}"}
    assert {name: found[name] for name in others} == others
    # once, not at each rotation
    assert caplog.messages == [
        f"{tmp_path}/a{suffix}: a-2024-05-01{suffix} begins as no file of edgevit does; it is not deleted, nor are"
        " others of that kind"
    ]


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-01T11:00:00.000Z pen  cat 0.90  dog 0.05",
        "2026-11-01T11:00:00.000Z a shed [gate]  now cat 0.90",
        "2026-11-01T11:00:00.000Z ends in a blank   cat 0.90",
        "0:01:05.20 walk.mp4  unknown (best: cat 0.39)",
        # of an earlier version
        "2026-11-01T11:00:00.000Z  pen: cat 0.90",
    ],
)
def test_texts_of_all_forms_are_known_as_predecessors(tmp_path: Path, line: str) -> None:
    (tmp_path / "a-2026-11-01.txt").write_text(f"{line}\n")
    sink = open_one(f"{tmp_path}/a.txt?keep=1")
    for day in range(2):
        sink.write(record(day, wall_s=NOON + day * DAY_S))
    sink.close()
    assert {path.name for path in tmp_path.iterdir()} == {"a-2026-11-20.txt", "a.txt"}


def test_clock_set_back_by_a_day_begins_no_new_file(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "a.txt")
    for wall_s in (NOON, NOON - DAY_S, NOON - DAY_S + 60, NOON + 60):
        file.write_line("x", wall_s)
    file.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_flushing_and_closing_give_the_file_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = RotatingFile(tmp_path / "a.txt")
    file.write_line("one", NOON)
    flushed = record_fsync(monkeypatch)
    file.flush()
    assert flushed == [tmp_path / "a.txt"]
    file.close()
    assert flushed == [tmp_path / "a.txt"] * 2


class Failing:
    """A file on a disk that takes nothing, and takes nothing back."""

    def __init__(self, file: Any) -> None:
        self.file = file

    def write(self, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    def truncate(self, size: int) -> int:
        raise OSError(5, "Input/output error")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def test_first_fault_of_a_disk_is_the_one_that_is_told(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "a.txt")
    file.write_line("one", NOON)
    whole, file._file = file._file, Failing(file._file)  # type: ignore[assignment]
    with pytest.raises(OSError, match="No space left on device"):
        file.write_line("two", NOON)
    file._file = whole
    file.write_line("three", NOON)
    file.close()
    # nobody knows how much of the second is there, so that the third begins a new line
    assert (tmp_path / "a.txt").read_text() == "one\n\nthree\n"


YEAR_2099 = datetime.datetime(2099, 1, 1, 12).timestamp()


def test_file_is_closed_before_it_is_put_aside_as_windows_wants_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = RotatingFile(tmp_path / "a.txt", size=5)
    file.write_line("one", NOON)
    renamed: list[tuple[str, bool]] = []
    replace = Path.replace

    def noting(path: Path, target: Path) -> Path:
        renamed.append((target.name, file._file.closed))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", noting)
    file.write_line("two", NOON)
    assert renamed == [("a-2026-11-20.txt", True)]
    file.close()
    assert file._file.closed


def test_clock_that_was_once_in_2099_does_not_delete_new_files(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    file = RotatingFile(path, keep=2)
    # two days, then the clock is wrong for two days, then right again, and three days more
    walls_s = [NOON, NOON + DAY_S, YEAR_2099, YEAR_2099 + DAY_S, *(NOON + day * DAY_S for day in (2, 3, 4))]
    for number, wall_s in enumerate(walls_s):
        file.write_line(f"line {number}", wall_s)
    file.close()
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {
        # the file that was begun in 2099 goes on, and has the day of its last line
        "a-2026-11-22.txt": "line 3\nline 4\n",
        "a-2026-11-23.txt": "line 5\n",
        "a.txt": "line 6\n",
    }


def test_file_of_2099_that_a_restart_finds_is_continued_with_the_right_day(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old\n")
    os.utime(path, (YEAR_2099, YEAR_2099))
    file = RotatingFile(path)
    file.write_line("new", NOON)
    file.write_line("newer", NOON + DAY_S)
    file.close()
    assert (tmp_path / "a-2026-11-20.txt").read_text() == "old\nnew\n"


def test_file_that_was_just_put_aside_is_kept_whatever_the_clock_says(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "a.txt", size=8, keep=1)
    # a board without a clock starts in 1970
    for number, wall_s in enumerate((NOON, NOON, DAY_S, DAY_S, NOON - DAY_S / 2)):
        file.write_line(f"line {number}", wall_s)
    file.close()
    texts = [each.read_text() for each in tmp_path.glob("a-*.txt")]
    assert texts == ["line 3\n"]
    assert (tmp_path / "a.txt").read_text() == "line 4\n"


def test_yesterdays_file_is_put_aside_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old\n")
    os.utime(tmp_path / "a.txt", (NOON, NOON))
    file = RotatingFile(tmp_path / "a.txt")
    file.write_line("new", NOON + DAY_S)
    file.close()
    assert (tmp_path / "a-2026-11-20.txt").read_text() == "old\n"


def test_file_that_somebody_moved_or_deleted_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    file = RotatingFile(path, header="number")
    for number in range(3):
        file.write_line(f"line {number}", NOON)
        path.rename(tmp_path / f"moved-{number}.csv") if number else path.unlink()
    file.write_line("line 3", NOON + DAY_S)
    file.close()
    assert path.read_text() == "number\nline 3\n"
    assert (tmp_path / "moved-2.csv").read_text() == "number\nline 2\n"


def test_file_whose_folder_is_gone_comes_back_with_the_next_line(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    file = RotatingFile(folder / "a.txt")
    file.write_line("before", NOON)
    shutil.rmtree(folder)
    (tmp_path / "log").write_text("in the way")
    for _ in range(2):
        with pytest.raises(OSError, match="log"):
            file.write_line("lost", NOON)
    folder.unlink()
    file.write_line("after", NOON)
    file.close()
    assert (folder / "a.txt").read_text() == "after\n"


def test_file_on_a_full_disk_is_one_line_and_goes_on_later(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    sink = open_one(f"{tmp_path}/a.jsonl?send=events")
    with small_disk(1000):
        for number in range(20):
            sink.write(event(number))
    sink.write(event(20))
    sink.close()
    assert "a.jsonl cannot be written: File too large; going on without it" in caplog.messages[0]
    assert "is written again; " in caplog.messages[1]
    assert len(caplog.messages) == 2
    # the line that the disk would have cut is not there at all
    whole = [json.loads(line)["frame"] for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert whole == [*range(len(whole) - 1), 20]
    assert len(whole) > 2


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.avi", "frames/"])
def test_place_that_cannot_be_written_is_one_line_at_the_start(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written: .*; (choose|make)"):
        open_one(f"{tmp_path}/file/{name}")


def test_place_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="to= names stdout twice; leave one of them out"):
        open_sinks(parse_sinks(["text", f"{tmp_path}/a.csv", "json"]), SinkContext())
    assert not list(tmp_path.iterdir())


def test_several_sinks_get_the_same(tmp_path: Path) -> None:
    sinks = open_sinks(
        parse_sinks([f"{tmp_path}/a.jsonl", f"{tmp_path}/b.csv", f"{tmp_path}/frames/"]), SinkContext(top_k=1)
    )
    for number in range(3):
        sinks.write(record(number, image=scene()))
    sinks.flush()
    sinks.close()
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 3
    assert len((tmp_path / "b.csv").read_text().splitlines()) == 4
    assert len(list((tmp_path / "frames").iterdir())) == 3


def test_one_sink_that_cannot_open_closes_the_others(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    around = SinkContext(spool=tmp_path / "spool")
    with pytest.raises(OutputError):
        open_sinks(parse_sinks(["http://127.0.0.1:9/", f"{tmp_path}/file/a.csv"]), around)
    # the spool is free again
    open_sinks(parse_sinks(["http://127.0.0.1:9/"]), around).close()


def answered(**facts: Any) -> Record:
    """Return the answer for a frame at NOON, in local time: 12:00:00."""
    probs = np.array([0.39, 0.31, 0.3], np.float32)
    at = Moment("camera:0", 0, 0.0, NOON, facts.pop("roi", None))
    return result_record(Result(probs, ("dog", "cat", "hen"), moment=at, **facts), at)


def test_text_on_a_screen_has_the_time_and_a_video_its_position(capsys: pytest.CaptureFixture[str]) -> None:
    sink = open_one("text", rules=LabelRules(threshold=0.35))
    sink.write(answered(age_ms=20.0))
    sink.write(answered(age_ms=20.0, roi="gate"))
    sink.write(answered(position_s=3725.204))
    sink.write(answered())
    assert capsys.readouterr().out.splitlines() == [
        "12:00:00 camera:0  dog 0.39",
        "12:00:00 camera:0 [gate]  dog 0.39",
        "1:02:05.20 camera:0  dog 0.39",
        "camera:0: dog 0.39",
    ]


def test_what_no_class_is_sure_enough_for_is_unknown_and_the_best_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    open_one("text", rules=LabelRules(threshold=0.5)).write(answered(age_ms=20.0))
    assert capsys.readouterr().out == "12:00:00 camera:0  unknown (best: dog 0.39)\n"


def test_loss_of_a_source_is_told_on_stderr_and_not_on_the_screen_too(capsys: pytest.CaptureFixture[str]) -> None:
    sink = open_one("text")
    sink.write(event_record(Event("source_lost", moment(2), {"reason": "unplugged"})))
    sink.write(event_record(Event("frozen", moment(4), {"active": True, "repeated": True})))
    sink.write(event_record(Event("frozen", moment(4), {"active": True, "value": 0.0})))
    assert capsys.readouterr().out.splitlines() == ["12:00:04 pen  frozen (0)"]


def test_header_of_csv_waits_for_the_first_row(capsys: pytest.CaptureFixture[str]) -> None:
    sink = open_one("csv")
    assert capsys.readouterr().out == ""
    sink.write(answered())
    sink.write(answered())
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()] == ["source", "camera:0", "camera:0"]
