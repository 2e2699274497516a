"""Records in files and folders: whole lines, rotation, quotas, full disks."""

import csv
import datetime
import json
import logging
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.errors import OptionError, OutputError
from edgevit.runtime.events.event import Event, Moment
from edgevit.runtime.results import Result
from edgevit.runtime.sinks.draw import annotate, plain_text
from edgevit.runtime.sinks.folder import BoundedFolder, folder_name
from edgevit.runtime.sinks.grammar import parse_sink
from edgevit.runtime.sinks.opening import Surroundings, open_harvest, open_sink, open_sinks
from edgevit.runtime.sinks.pictures import HarvestRules, hardness, jpeg
from edgevit.runtime.sinks.record import Record, Sink, event_record, result_record
from edgevit.runtime.sinks.rotating import RotatingFile

NAMES = ("cat", "dog", "n/a")
NOON = datetime.datetime(2026, 11, 20, 12).timestamp()
DAY_S = 86400.0


def answer(label: str = "cat", confidence: float = 0.9) -> Result:
    probs = np.full(3, (1 - confidence) / 2, np.float32)
    probs[NAMES.index(label)] = confidence
    return Result(probs, NAMES, "pen")


def moment(number: int, wall_s: float | None = None) -> Moment:
    return Moment("pen", number, float(number), NOON + number if wall_s is None else wall_s)


def scene(level: int = 100, size: tuple[int, int] = (48, 64)) -> NDArray[np.uint8]:
    return np.full((*size, 3), level, np.uint8)


def record(number: int = 0, label: str = "cat", confidence: float = 0.9, **changes: Any) -> Record:
    return result_record(answer(label, confidence), moment(number, changes.get("wall_s")), changes.get("image"), k=2)


def event(number: int = 0) -> Record:
    return event_record(Event("label", moment(number), {"label": "dog", "previous": "cat", "conf": 0.8}))


def open_one(text: str, **around: Any) -> Sink:
    return open_sink(parse_sink(text), Surroundings(top_k=2, **around))


@contextmanager
def small_disk(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes: writes fail as they do on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


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
    told = [line.split("  ", 1)[1] for line in (tmp_path / "a.txt").read_text().splitlines()]
    assert told == [
        "pen: now dog 0.80, before cat",
        "pen: frozen (0.0001)",
        "pen: source lost: no picture for 10 s",
        "pen: source back after 61.2 s",
        "pen: no longer frozen",
    ]


def test_csv_has_a_row_for_each_result(tmp_path: Path) -> None:
    sink = open_one(f"{tmp_path}/a.csv")
    sink.write(record(1))
    sink.write(event(2))
    sink.close()
    (row,) = csv.DictReader((tmp_path / "a.csv").open())
    assert list(row) == ["source", "label1", "conf1", "label2", "conf2", "time", "roi", "frame", "age_ms", "id"]
    assert (row["source"], row["label1"], row["conf1"], row["label2"], row["frame"]) == (
        "pen",
        "cat",
        "0.9000",
        "dog",
        "1",
    )


def test_csv_of_events_has_columns_of_its_own(tmp_path: Path) -> None:
    sink = open_one(f"{tmp_path}/a.csv?send=events")
    sink.write(record(1))
    sink.write(event(2))
    sink.close()
    (row,) = csv.DictReader((tmp_path / "a.csv").open())
    assert (row["event"], row["label"], row["previous"], row["conf"], row["active"]) == (
        "label",
        "dog",
        "cat",
        "0.8",
        "",
    )


def test_file_is_continued_after_a_restart_with_one_header(tmp_path: Path) -> None:
    for number in range(3):
        sink = open_one(f"{tmp_path}/a.csv")
        sink.write(record(number, wall_s=0))
        sink.close()
    assert [row["frame"] for row in csv.DictReader((tmp_path / "a.csv").open())] == ["0", "1", "2"]


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


def test_clock_set_back_by_a_day_begins_no_new_file(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "a.txt")
    for wall_s in (NOON, NOON - DAY_S, NOON - DAY_S + 60, NOON + 60):
        file.write_line("x", wall_s)
    file.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


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
    with pytest.raises(OptionError, match="--to names stdout twice; leave one of them out"):
        open_sinks(["text", f"{tmp_path}/a.csv", "json"], Surroundings())
    assert not list(tmp_path.iterdir())


def test_several_sinks_get_the_same(tmp_path: Path) -> None:
    sinks = open_sinks([f"{tmp_path}/a.jsonl", f"{tmp_path}/b.csv", f"{tmp_path}/frames/"], Surroundings(top_k=1))
    for number in range(3):
        sinks.write(record(number, image=scene()))
    sinks.flush()
    sinks.close()
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 3
    assert len((tmp_path / "b.csv").read_text().splitlines()) == 4
    assert len(list((tmp_path / "frames").iterdir())) == 3


def test_one_sink_that_cannot_open_closes_the_others(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    around = Surroundings(spool=tmp_path / "spool")
    with pytest.raises(OutputError):
        open_sinks(["http://127.0.0.1:9/", f"{tmp_path}/file/a.csv"], around)
    # the spool is free again
    open_sinks(["http://127.0.0.1:9/"], around).close()


def test_annotated_frame_shows_its_label_below_and_is_itself_above(tmp_path: Path) -> None:
    image = scene(200, (240, 320))
    drawn = annotate(image, "cat 0.93")
    assert drawn.shape == image.shape
    assert (image == 200).all()
    assert (drawn[:150] == 200).all()
    assert drawn[-20:].max() > 240  # white letters
    assert drawn[-20:].min() == 50  # on a dark strip


@pytest.mark.parametrize("size", [(1, 1), (8, 2000), (2000, 8), (720, 1280)])
def test_frames_of_any_size_can_be_annotated(size: tuple[int, int]) -> None:
    assert annotate(scene(9, size), "a label that is far longer than the picture is wide").shape == (*size, 3)


def test_letters_that_opencv_cannot_draw_are_replaced() -> None:
    assert plain_text("Fährte 猫\n") == "Fahrte ??"


def test_pictures_are_numbered_across_restarts(tmp_path: Path) -> None:
    for _ in range(2):
        sink = open_one(f"{tmp_path}/frames/")
        sink.write(record(1, "dog", image=scene()))
        sink.write(record(2, "n/a", image=scene()))
        sink.write(record(3))  # without a picture there is nothing to draw
        sink.close()
    names = sorted(path.name for path in (tmp_path / "frames").iterdir())
    assert names == ["00000000-dog.jpg", "00000001-n_a.jpg", "00000002-dog.jpg", "00000003-n_a.jpg"]


@pytest.mark.parametrize("name", ["a.avi", "a.mp4", "a.MKV"])
def test_video_has_all_frames(tmp_path: Path, name: str) -> None:
    sink = open_one(f"{tmp_path}/{name}?fps=5")
    for number, size in enumerate([(49, 65), (49, 65), (100, 20)]):
        sink.write(record(number, image=scene(100, size)))
    sink.close()
    film = cv2.VideoCapture(str(tmp_path / name))
    shapes = []
    while (read := film.read())[0]:
        shapes.append(read[1].shape)
    assert shapes == [(48, 64, 3)] * 3
    assert film.get(cv2.CAP_PROP_FPS) == 5


def test_frame_is_hard_if_two_classes_are_close_or_the_answer_flips() -> None:
    rules = HarvestRules(margin=0.2)
    close = Result(np.array([0.5, 0.31, 0.19], np.float32), NAMES)
    clear = Result(np.array([0.5, 0.29, 0.21], np.float32), NAMES)
    assert hardness(close, "cat", rules) == "unsure"
    assert hardness(clear, "cat", rules) is None
    assert hardness(clear, None, rules) is None
    assert hardness(clear, "dog", rules) == "flip"


def test_hard_frames_are_kept_in_a_folder_for_each_class(tmp_path: Path) -> None:
    sink = open_harvest(tmp_path / "hard", 1_000_000)
    for number, (label, confidence) in enumerate([("cat", 0.9), ("dog", 0.9), ("dog", 0.9), ("n/a", 0.4)]):
        sink.write(record(number, label, confidence, image=scene(number * 40)))
    sink.write(event(5))
    sink.close()
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.jpg"))
    assert found == ["hard/dog/00000000-dog-flip-0.90.jpg", "hard/n_a/00000001-n_a-unsure-0.40.jpg"]
    # as it was classified: nothing is drawn on it
    image = cv2.imread(str(tmp_path / found[0]))
    assert image is not None
    assert np.abs(image.astype(int) - 40).max() <= 2


def test_neighbours_of_a_hard_frame_are_not_kept_too(tmp_path: Path) -> None:
    sink = open_harvest(tmp_path / "hard", 1_000_000, HarvestRules(pause_s=10))
    for number in range(25):
        sink.write(record(number, "cat", 0.4, image=scene(number)))
    sink.close()
    assert len(list(tmp_path.rglob("*.jpg"))) == 3


def test_quota_is_kept_and_the_oldest_go_first(tmp_path: Path) -> None:
    picture = bytes(1000)
    folder = BoundedFolder(tmp_path, 5500)
    paths = [folder.store(("cat", "dog")[number % 2], "-flip", picture, sort=True) for number in range(20)]
    assert sorted(tmp_path.rglob("*.jpg")) == sorted(path for path in paths[-5:] if path)
    # a smaller quota holds from the start of the next run on
    BoundedFolder(tmp_path, 2000)
    assert sorted(tmp_path.rglob("*.jpg")) == sorted(path for path in paths[-2:] if path)
    assert folder.store("cat", "", bytes(6000), sort=True) is None


def test_clock_set_back_does_not_delete_the_newest(tmp_path: Path) -> None:
    folder = BoundedFolder(tmp_path, 2500)
    for number in range(4):
        path = folder.store("cat", "", bytes(1000), sort=True)
        assert path
        os.utime(path, (NOON - number * DAY_S,) * 2)
    again = BoundedFolder(tmp_path, 2500)
    again.store("cat", "", bytes(1000), sort=True)
    assert sorted(path.name for path in tmp_path.rglob("*.jpg")) == ["00000003-cat.jpg", "00000004-cat.jpg"]


def test_pictures_that_somebody_relabelled_or_put_there_are_never_deleted(tmp_path: Path) -> None:
    first = BoundedFolder(tmp_path, 10_000)
    moved, kept = (first.store("cat", "-flip-0.50", bytes(1000), sort=True) for _ in range(2))
    assert moved
    assert kept
    (tmp_path / "dog").mkdir()
    moved = moved.rename(tmp_path / "dog" / moved.name)
    (tmp_path / "cat" / "holiday.jpg").write_bytes(bytes(5000))
    BoundedFolder(tmp_path, 500)
    assert sorted(path.name for path in tmp_path.rglob("*.jpg")) == [moved.name, "holiday.jpg"]


def test_power_cut_while_writing_leaves_no_half_picture(tmp_path: Path) -> None:
    folder = BoundedFolder(tmp_path, 10_000)
    folder.store("cat", "", b"whole", sort=True)
    (tmp_path / ".part-1").write_bytes(b"hal")
    (tmp_path / "cat" / "00000007-cat.jpg").write_bytes(b"")  # the name without the picture
    again = BoundedFolder(tmp_path, 10_000)
    again.store("cat", "", b"whole", sort=True)
    assert {path.read_bytes() for path in tmp_path.rglob("*.jpg")} == {b"whole"}
    assert not list(tmp_path.glob(".part-*"))


def test_harvest_on_a_full_disk_is_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = open_harvest(tmp_path, 1_000_000, HarvestRules(pause_s=0))
    with small_disk(100):
        for number in range(5):
            sink.write(record(number, "cat", 0.4, image=scene(number)))
    sink.close()
    assert len(caplog.messages) == 1
    assert "cannot be written: File too large; going on without it" in caplog.messages[0]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("label", "name"), [("fox", "fox"), ("n/a", "n_a"), ("../../etc", "__.._etc"), (".", "_"), ("", "_"), ("猫", "猫")]
)
def test_label_cannot_leave_its_folder(label: str, name: str) -> None:
    assert folder_name(label) == name


def test_jpeg_is_the_picture() -> None:
    image = scene(0)
    image[..., 0] = 200  # red
    read = cv2.imdecode(np.frombuffer(jpeg(image), np.uint8), cv2.IMREAD_COLOR)
    assert read is not None
    assert np.abs(read[20, 20].astype(int) - (0, 0, 200)).max() <= 3
