"""Records as pictures: annotated, as a video, and the hard ones in folders under a quota."""

import errno
import os
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgevit.errors import OutputError
from edgevit.runtime.addresses.destinations import parse_sinks
from edgevit.runtime.images.draw import annotate, plain_text
from edgevit.runtime.images.read import read_image
from edgevit.runtime.results import Result
from edgevit.runtime.sinks.combining import DiskGuard
from edgevit.runtime.sinks.folder import MARK, BoundedFolder, folder_name
from edgevit.runtime.sinks.opening import SinkContext, open_sinks
from edgevit.runtime.sinks.pictures import HarvestRules, HarvestSink, hardness, jpeg
from tests.made_records import DAY_S, NAMES, NOON, event, open_one, record, scene, small_disk


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


@pytest.mark.parametrize("place", ["a.jsonl", "a.csv", "a.txt", "a.avi", "pictures/"])
def test_folder_that_is_missing_is_made_whatever_is_written_there(tmp_path: Path, place: str) -> None:
    sink = open_one(f"{tmp_path}/new/deep/{place}")
    sink.write(record(0, image=scene(100, (48, 64))))
    sink.close()
    assert len(list((tmp_path / "new" / "deep").iterdir())) == 1


def test_folder_of_a_video_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"a\.avi cannot be written: .*; choose another place after to="):
        open_one(f"{tmp_path}/file/a.avi")


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


def test_video_that_is_there_stays_and_the_next_has_a_number(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As of a service that starts again."""
    (tmp_path / "a.avi").write_bytes(b"the recording of yesterday")
    for number in (2, 3):
        sinks = open_sinks(parse_sinks([f"{tmp_path}/a.avi"]), SinkContext())
        sinks.write(record(0, image=scene()))
        sinks.close()
        assert [each.place for each in sinks.written()] == [f"{tmp_path}/a-{number}.avi"]
    assert (tmp_path / "a.avi").read_bytes() == b"the recording of yesterday"
    assert all(cv2.VideoCapture(str(tmp_path / f"a-{number}.avi")).read()[0] for number in (2, 3))
    assert caplog.messages[0] == f"{tmp_path}/a.avi is there already; this video is {tmp_path}/a-2.avi"


def test_frame_is_hard_if_two_classes_are_close_or_the_answer_flips() -> None:
    rules = HarvestRules(margin=0.2)
    close = Result(np.array([0.5, 0.31, 0.19], np.float32), NAMES)
    clear = Result(np.array([0.5, 0.29, 0.21], np.float32), NAMES)
    assert hardness(close, "cat", rules) == "unsure"
    assert hardness(clear, "cat", rules) is None
    assert hardness(clear, None, rules) is None
    assert hardness(clear, "dog", rules) == "flip"


def test_hard_frames_are_kept_in_a_folder_for_each_class(tmp_path: Path) -> None:
    sink = open_one(f"hard:{tmp_path}/hard?quota=1MB")
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
    sink = HarvestSink(BoundedFolder(tmp_path / "hard", 1_000_000), HarvestRules(pause_s=10))
    for number in range(25):
        sink.write(record(number, "cat", 0.4, image=scene(number)))
    sink.close()
    assert len(list(tmp_path.rglob("*.jpg"))) == 3


def test_quota_is_kept_and_the_oldest_go_first(tmp_path: Path) -> None:
    picture = bytes(1000 - len(MARK))
    folder = BoundedFolder(tmp_path, 5500)
    paths = [folder.store(("cat", "dog")[number % 2], "-flip", picture, sort=True) for number in range(20)]
    assert sorted(tmp_path.rglob("*.jpg")) == sorted(path for path in paths[-5:] if path)
    # a smaller quota holds from the start of the next run on
    folder.close()
    again = BoundedFolder(tmp_path, 2000)
    assert sorted(tmp_path.rglob("*.jpg")) == sorted(path for path in paths[-2:] if path)
    assert again.store("cat", "", bytes(6000), sort=True) is None


def test_clock_set_back_does_not_delete_the_newest(tmp_path: Path) -> None:
    folder = BoundedFolder(tmp_path, 2500)
    for number in range(4):
        path = folder.store("cat", "", bytes(1000), sort=True)
        assert path
        os.utime(path, (NOON - number * DAY_S,) * 2)
    folder.close()
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
    first.close()
    BoundedFolder(tmp_path, 500)
    assert sorted(path.name for path in tmp_path.rglob("*.jpg")) == [moved.name, "holiday.jpg"]


def test_two_runs_do_not_share_a_folder_of_pictures(tmp_path: Path) -> None:
    """Both would give their pictures the same names, and each would delete what the other is writing."""
    first = BoundedFolder(tmp_path, 10_000)
    (tmp_path / ".part-1").write_bytes(b"hal")
    with pytest.raises(OutputError, match=f"^{tmp_path} is being written by another run"):
        BoundedFolder(tmp_path, 10_000)
    assert (tmp_path / ".part-1").exists()
    HarvestSink(first).close()
    BoundedFolder(tmp_path, 10_000)
    assert not (tmp_path / ".part-1").exists()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_folder_is_free_after_its_run_though_a_forked_process_goes_on(tmp_path: Path) -> None:
    read, write = os.pipe()
    folder = BoundedFolder(tmp_path, 10_000)
    child = os.fork()
    if not child:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    try:
        folder.close()
        BoundedFolder(tmp_path, 10_000).close()
    finally:
        os.close(write)
        os.waitpid(child, 0)
        os.close(read)


def test_folder_that_could_not_be_written_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as full:
        full.setattr(tempfile, "TemporaryFile", lambda **_: raise_(OSError(errno.ENOSPC, "No space left on device")))
        with pytest.raises(OutputError, match="No space left on device") as kept:
            BoundedFolder(tmp_path, 10_000)
    # as who told of it may keep what was raised, and all that it refers to
    BoundedFolder(tmp_path, 10_000).close()
    assert kept.value


def raise_(error: OSError) -> None:
    raise error


def test_picture_larger_than_the_quota_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = BoundedFolder(tmp_path, 500)
    assert [folder.store("cat", "", bytes(501 - len(MARK)), sort=False) for _ in range(3)] == [None] * 3
    (told,) = caplog.messages
    assert told.startswith(f"{tmp_path}: a picture of 501 bytes is larger than the quota of 500, and so not kept; give")


def test_photo_whose_name_looks_like_ours_is_never_counted_nor_deleted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As cameras name photos, and as a version before the mark named pictures."""
    for name in ("20240501-garden.jpg", "00000000-cat.jpg", "cat/00000007-cat.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(jpeg(scene()))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.jpg")}
    folder = BoundedFolder(tmp_path, 2500)
    stored = [folder.store("cat", "", jpeg(scene(number)), sort=number % 2 == 0) for number in range(20)]
    assert {path: path.read_bytes() for path in before} == before
    written = {path for path in stored if path and path.is_file()}
    assert set(tmp_path.rglob("*.jpg")) == {*before, *written}
    assert 1 < len(written) < 20
    (told,) = caplog.messages
    assert told.startswith(f"{tmp_path}: pictures that the quota neither counts nor deletes")
    assert told.endswith(": 3")
    # numbers go on from 0, but for those that are taken
    assert not {int(path.name[:8]) for path in written} & {0, 7}
    assert max(int(path.name[:8]) for path in written) == 21


def test_mark_of_a_picture_changes_none_of_its_pixels(tmp_path: Path) -> None:
    picture = jpeg(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))
    stored = BoundedFolder(tmp_path, 10**6).store("cat", "", picture, sort=False)
    assert stored
    assert stored.read_bytes()[:20] == picture[:20]  # the JFIF header comes first
    assert (read_image(stored) == read_image(picture)).all()
    assert stored.read_bytes().replace(MARK, b"") == picture


def test_power_cut_while_writing_leaves_no_half_picture(tmp_path: Path) -> None:
    folder = BoundedFolder(tmp_path, 10_000)
    folder.store("cat", "", b"whole", sort=True)
    (tmp_path / ".part-1").write_bytes(b"hal")
    (tmp_path / "cat" / "00000007-cat.jpg").write_bytes(b"")  # the name without the picture
    folder.close()
    again = BoundedFolder(tmp_path, 10_000)
    again.store("cat", "", b"whole", sort=True)
    assert {path.read_bytes().replace(MARK, b"") for path in tmp_path.rglob("*.jpg")} == {b"whole"}
    assert not list(tmp_path.glob(".part-*"))


def test_harvest_on_a_full_disk_is_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = DiskGuard(HarvestSink(BoundedFolder(tmp_path, 1_000_000), HarvestRules(pause_s=0)), str(tmp_path))
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
