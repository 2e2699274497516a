"""Frames in which a detector is unsure: kept with labels beside them, under one quota, ready to correct."""

import os
from pathlib import Path

import pytest

from edgevit.errors import OutputError
from edgevit.runtime.events.labels import LabelRules
from edgevit.runtime.sinks.folder import MARK, BoundedFolder
from edgevit.runtime.sinks.hard_boxes import BoxHarvestSink, UnsureRules, unsure
from tests.made_detections import BODY, NAMES, Box, counted, detections, record
from tests.made_records import small_disk

EAGER = UnsureRules(pause_s=0)
SURE: Box = ("fox", 0.9, (0, 0, 16, 12))
UNSURE: Box = ("hen", 0.4, BODY)
PICTURE = b"p" * (80 - len(MARK))
"""80 bytes on the disk."""


def harvest(root: Path, quota: int = 10**6, rules: UnsureRules = EAGER) -> BoxHarvestSink:
    return BoxHarvestSink(root, quota, NAMES, rules)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("score", "hard"), [(0.19, False), (0.2, True), (0.49, True), (0.5, False), (0.9, False)])
def test_box_is_unsure_between_a_fifth_and_a_half(score: float, hard: bool) -> None:
    assert (unsure(detections(("hen", score, BODY)), EAGER) is not None) == hard


@pytest.mark.parametrize(("score", "hard"), [(0.6, True), (0.75, True), (0.81, False), (0.2, True), (0.19, False)])
def test_box_close_to_the_threshold_of_its_class_is_unsure_too(score: float, hard: bool) -> None:
    rules = UnsureRules(LabelRules(thresholds={"hen": 0.7}))
    assert (unsure(detections(weak=[("hen", score, BODY)]), rules) is not None) == hard
    assert (unsure(detections(("fox", score, BODY)), rules) is not None) == (score < 0.5 and hard)


def test_boxes_that_do_not_count_make_a_frame_hard_and_are_no_labels(tmp_path: Path) -> None:
    sink = harvest(tmp_path)
    sink.write(record(0, detections(SURE, weak=[UNSURE])))
    assert names(tmp_path / "images") == ["00000000-hen-unsure-0.40.jpg"]
    # of 160 x 120 pixels: 16 x 12 in the upper left corner
    text = (tmp_path / "labels" / "00000000-hen-unsure-0.40.txt").read_text()
    assert text == "1 0.050000 0.050000 0.100000 0.100000\n"


def test_sure_frames_and_empty_ones_are_not_kept(tmp_path: Path) -> None:
    sink = harvest(tmp_path)
    for number, answer in enumerate((counted(hen=3), counted(), detections(SURE, weak=[]))):
        sink.write(record(number, answer))
    assert (sink.written, names(tmp_path / "images")) == (0, [])


def test_neighbours_and_regions_of_a_hard_frame_are_not_kept_too(tmp_path: Path) -> None:
    sink = harvest(tmp_path, rules=UnsureRules(pause_s=2))
    for number in range(5):
        sink.write(record(number, detections(UNSURE)))
        sink.write(record(number, detections(UNSURE), roi="coop"))
    assert [name[:8] for name in names(tmp_path / "images")] == ["00000000", "00000001", "00000002"]


def test_folder_says_what_its_numbers_mean(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    BoxHarvestSink(tmp_path, 10**6, ('he said "hen"', "Küken: 1"))
    read = yaml.safe_load((tmp_path / "data.yaml").read_text("utf-8"))
    assert read == {"train": "images", "names": {0: 'he said "hen"', 1: "Küken: 1"}}
    assert (tmp_path / "classes.txt").read_text("utf-8") == 'he said "hen"\nKüken: 1\n'


def test_folder_of_another_models_classes_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    harvest(tmp_path).write(record(0, detections(UNSURE)))
    harvest(tmp_path)
    before = (tmp_path / "data.yaml").read_text()
    with pytest.raises(OutputError, match="data.yaml is of other classes than this model's, and the labels there"):
        BoxHarvestSink(tmp_path, 10**6, ("fox", "hen", "egg"))
    assert (tmp_path / "data.yaml").read_text() == before


def test_classes_as_windows_saves_them_are_read_and_in_another_encoding_are_one_message(tmp_path: Path) -> None:
    names = ("Küken", "hen")
    (tmp_path / "classes.txt").write_bytes("Küken\r\nhen\r\n".encode("utf-8-sig"))
    BoxHarvestSink(tmp_path, 10**6, names)
    (tmp_path / "classes.txt").write_bytes("Küken\nhen\n".encode("latin-1"))
    with pytest.raises(
        OutputError, match=r"classes\.txt is not UTF-8 text .*; save it as UTF-8, or choose another folder"
    ):
        BoxHarvestSink(tmp_path, 10**6, names)


def bounded(root: Path, quota: int) -> BoundedFolder:
    return BoundedFolder(root / "images", quota, labels=root / "labels")


def store(folder: BoundedFolder, text: bytes = b"x" * 20) -> Path:
    path = folder.store("hen", "", PICTURE, sort=False, text=text)
    assert path is not None
    return path


def test_quota_counts_and_deletes_a_picture_with_its_label(tmp_path: Path) -> None:
    """Each takes 80 + 20 bytes: two fit into 250, as the third would have made 300."""
    folder = bounded(tmp_path, 250)
    for _ in range(3):
        store(folder)
    assert [name[:8] for name in names(tmp_path / "images")] == ["00000001", "00000002"]
    assert [name[:8] for name in names(tmp_path / "labels")] == ["00000001", "00000002"]
    # the same after a restart, with less room
    folder.close()
    bounded(tmp_path, 150)
    assert names(tmp_path / "labels") == ["00000002-hen.txt"]
    assert bounded(tmp_path, 99).store("hen", "", PICTURE, sort=False, text=b"x" * 20) is None


@pytest.mark.parametrize("restarted", [False, True])
def test_label_that_somebody_corrected_is_never_deleted_nor_replaced(tmp_path: Path, restarted: bool) -> None:
    folder = bounded(tmp_path, 250)
    first = store(folder)
    label = tmp_path / "labels" / f"{first.stem}.txt"
    label.write_bytes(b"corrected")
    later_ns = first.stat().st_mtime_ns + 10**9
    os.utime(label, ns=(later_ns, later_ns))
    if restarted:
        folder.close()
        folder = bounded(tmp_path, 250)
    for _ in range(5):
        store(folder)
    assert (first.is_file(), label.read_bytes()) == (True, b"corrected")
    assert [name[:8] for name in names(tmp_path / "images")] == ["00000000", "00000004", "00000005"]


def test_full_disk_leaves_no_label_without_its_picture(tmp_path: Path) -> None:
    folder = bounded(tmp_path, 10**6)
    store(folder)
    with small_disk(50), pytest.raises(OSError, match="File too large"):
        store(folder)
    assert names(tmp_path / "images") == ["00000000-hen.jpg"]
    assert names(tmp_path / "labels") == ["00000000-hen.txt"]
    assert store(folder).name == "00000001-hen.jpg"


def test_picture_that_somebody_took_away_takes_its_label_into_no_trouble(tmp_path: Path) -> None:
    folder = bounded(tmp_path, 250)
    store(folder).unlink()
    for _ in range(4):
        store(folder)
    # what is left of the pair is not this folder's to delete
    assert [name[:8] for name in names(tmp_path / "labels")] == ["00000000", "00000003", "00000004"]
