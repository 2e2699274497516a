"""Disks that are full or read-only, real ones of a few pages: one line in the log, nothing by halves."""

import contextlib
import csv
import json
import logging
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgevit.errors import OutputError
from edgevit.runtime.addresses.destinations import parse_sink
from edgevit.runtime.images.mask_png import read_mask
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import Record, Sink, result_record
from edgevit.runtime.results import Result
from edgevit.runtime.segmentation import Segmentation
from edgevit.runtime.sinks import answer_files
from edgevit.runtime.sinks.answer_files import FORMS, AnswerFileSink
from edgevit.runtime.sinks.combining import DiskGuard
from edgevit.runtime.sinks.folder import BoundedFolder
from edgevit.runtime.sinks.opening import SinkContext, open_sink
from edgevit.runtime.sinks.pictures import HarvestRules, HarvestSink

NAMES = ("cat", "dog")
SPARE = 16 * 1024
"""Bytes that are free on the disk before it fills up."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 400 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk takes root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, spare: int = SPARE) -> None:
    """Leave so many bytes, in whole pages."""
    with (disk / "filler").open("wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        file.truncate(file.tell() - spare)


def remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)


def record(number: int) -> Record:
    """Return a hard frame: a picture of noise, which takes about 5 kB as JPEG, and an answer that is not sure."""
    moment = Moment("pen", number, float(number), 1e9 + number)
    image = np.random.default_rng(number).integers(0, 256, (48, 64, 3), np.uint8)
    mask = (image[:, :, 0] > 127).astype(np.uint8)
    palette = ((255, 0, 0), (0, 255, 0))
    probs = np.array([0.55, 0.45], np.float32)
    result: Result = Segmentation(probs, NAMES, "pen", age_ms=1.0, mask=mask, image=image, palette=palette)
    return result_record(result, moment, image, k=2)


def to(place: str) -> Callable[[Path], Sink]:
    return lambda disk: open_sink(parse_sink(f"{disk}/{place}"), SinkContext(top_k=2))


def save(form: str) -> Callable[[Path], Sink]:
    return lambda disk: DiskGuard(AnswerFileSink(disk / "seg", FORMS["segment"][form]), str(disk / "seg"))


def whole_csv(path: Path) -> int:
    rows = list(csv.DictReader(path.open(newline="")))
    assert all(None not in row and None not in row.values() and len(row["id"]) == 32 for row in rows)
    return len(rows)


def whole_pictures(path: Path) -> int:
    found = [file for file in path.rglob("*") if file.is_file()]
    assert all(cv2.imread(str(file)) is not None and file.suffix == ".jpg" for file in found), found
    return len(found)


def whole_masks(path: Path) -> int:
    return len([read_mask(file) for file in path.iterdir()])


def harvest(disk: Path) -> Sink:
    folder = BoundedFolder(disk / "hard", 10**9)
    return DiskGuard(HarvestSink(folder, HarvestRules(pause_s=0)), str(folder.root))


FOLDERS: dict[str, tuple[Callable[[Path], Sink], str, Callable[[Path], int]]] = {
    "pictures": (to("frames/"), "frames", whole_pictures),
    "harvest": (harvest, "hard", whole_pictures),
    "masks": (save("masks"), "seg", whole_masks),
    "overlays": (save("overlays"), "seg", whole_pictures),
}
FILES: dict[str, tuple[Callable[[Path], Sink], str, Callable[[Path], int]]] = {
    "text": (to("a.txt"), "a.txt", lambda path: len([line.index("pen  cat 0.55") for line in path.open()])),
    "json": (to("a.jsonl"), "a.jsonl", lambda path: len([json.loads(line)["id"] for line in path.open()])),
    "csv": (to("a.csv"), "a.csv", whole_csv),
}
"""Name to what opens a sink on a disk, where it writes, and what counts its records, each of which must be whole."""


@pytest.mark.parametrize("name", [*FILES, *FOLDERS])
def test_full_disk_is_one_line_and_nothing_is_there_by_halves(
    disk: Path, name: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(answer_files, "LEFT_FREE", 0)
    open_it, place, count = {**FILES, **FOLDERS}[name]
    sink = open_it(disk)
    fill(disk)
    for number in range(400):
        sink.write(record(number))
    before = count(disk / place)
    assert 0 < before < 400
    assert len(caplog.messages) == 1
    assert "cannot be written: No space left on device; going on without it" in caplog.messages[0]
    (disk / "filler").unlink()
    sink.write(record(400))
    sink.flush()
    sink.close()
    assert f"is written again; {400 - before} records were lost" in caplog.messages[1]
    assert len(caplog.messages) == 2
    assert count(disk / place) == before + 1


@pytest.mark.parametrize("name", FOLDERS)
def test_disk_that_becomes_read_only_is_one_line_and_it_goes_on_later(
    disk: Path, name: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a kernel makes the file system of an SD card that fails."""
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(answer_files, "LEFT_FREE", 0)
    open_it, place, count = FOLDERS[name]
    sink = open_it(disk)
    sink.write(record(0))
    remount(disk, "ro")
    for number in range(1, 4):
        sink.write(record(number))
    assert "cannot be written: Read-only file system; going on without it" in caplog.messages[0]
    remount(disk, "rw")
    sink.write(record(4))
    sink.close()
    assert "is written again; 3 records were lost" in caplog.messages[1]
    assert len(caplog.messages) == 2
    assert count(disk / place) == 2


@pytest.mark.parametrize("place", ["a.txt", "a.jsonl", "a.csv", "frames/", "a.avi"])
def test_read_only_disk_is_one_line_at_the_start(disk: Path, place: str) -> None:
    remount(disk, "ro")
    with pytest.raises(OutputError, match="cannot be written: .*(Read-only|read-only).*; choose") as caught:
        to(place)(disk)
    assert len(str(caught.value).splitlines()) == 1


def test_video_leaves_the_disk_room_and_says_so_once(disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = to("a.avi")(disk)
    for number in range(5):
        sink.write(record(number))
    sink.close()
    assert len(caplog.messages) == 1
    assert "a.avi cannot be written: No space left on device; going on without it" in caplog.messages[0]
    assert list(disk.iterdir()) == []


def test_line_that_a_full_disk_refused_leaves_the_file_as_it_was(disk: Path) -> None:
    """Also one that a power cut had cut before, whose end comes first."""
    (disk / "a.txt").write_bytes(b"cut" + bytes(4000))
    sink = to("a.txt")(disk)
    fill(disk, 0)  # 92 bytes are left in the file's own page: the end of one line, and half of the next
    sink.write(record(0))
    before = (disk / "a.txt").read_bytes()
    sink.write(record(1))
    assert (disk / "a.txt").read_bytes() == before
    (disk / "filler").unlink()
    sink.write(record(2))
    sink.close()
    lines = (disk / "a.txt").read_text().split("\n")
    assert lines[0] == "cut" + "\0" * 4000
    assert [line.endswith("pen  cat 0.55  dog 0.45") for line in lines[1:]] == [True, True, False]
    assert lines[-1] == ""
