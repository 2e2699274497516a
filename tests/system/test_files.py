import contextlib
import errno
import os
from pathlib import Path

import pytest

from edgevit.errors import OutputError
from edgevit.system.files import check_folder, flush_names, lock, make_folders, replacing, replacing_output
from tests.flushes import note_flushes


def test_a_written_file_takes_the_place_of_the_older_one(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("old")
    with replacing(path, durable=True) as temporary:
        assert (temporary.parent, temporary.suffix) == (tmp_path, ".onnx")
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["model.onnx"]


def test_a_file_that_is_not_finished_leaves_the_older_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("old")
    with contextlib.suppress(KeyboardInterrupt), replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["model.onnx"]


def test_a_written_file_may_be_read_as_far_as_the_mask_of_the_process_lets(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "page.html") as temporary:
            temporary.write_text("page")
    finally:
        os.umask(before)
    assert (tmp_path / "page.html").stat().st_mode & 0o777 == 0o640


def test_a_name_of_the_longest_length_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".jpg")
    with replacing(path) as temporary:
        temporary.write_bytes(b"picture")
    assert path.read_bytes() == b"picture"


def test_a_missing_folder_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "none" / "model.onnx"):
        pass


@pytest.mark.parametrize("folder", ["notes.txt", "notes.txt/deep", "notes.txt/deep/deeper"])
def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path, folder: str) -> None:
    (tmp_path / "notes.txt").write_text("a file")
    with pytest.raises(NotADirectoryError) as caught:
        make_folders(tmp_path / folder)
    assert caught.value.strerror == f"{tmp_path}/notes.txt is no folder"
    with pytest.raises(NotADirectoryError) as caught, replacing(tmp_path / folder / "model.onnx"):
        pass
    assert caught.value.strerror == f"{tmp_path}/notes.txt is no folder"


def test_a_place_without_its_folder_is_told_apart_from_one_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("a file")
    check_folder(tmp_path, "-o farm.onnx")
    with pytest.raises(OutputError, match=f"^-o farm.onnx: the folder {tmp_path}/none does not exist; make it first$"):
        check_folder(tmp_path / "none", "-o farm.onnx")
    with pytest.raises(OutputError, match=f"^-o farm.onnx: {tmp_path}/notes.txt is no folder; choose another place$"):
        check_folder(tmp_path / "notes.txt" / "deep", "-o farm.onnx")


def test_a_folder_is_made_with_those_that_it_lies_in(tmp_path: Path) -> None:
    for _ in range(2):
        make_folders(tmp_path / "deep" / "keys", mode=0o700)
    assert (tmp_path / "deep" / "keys").stat().st_mode & 0o777 == 0o700


def test_a_full_disk_is_told_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with pytest.raises(OutputError) as caught, replacing_output(path, "give another -o"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert str(caught.value) == f"{path} cannot be written: No space left on device; give another -o"
    assert os.listdir(tmp_path) == []


def test_a_durable_file_is_flushed_before_it_has_its_name_and_then_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = note_flushes(monkeypatch)
    with replacing(tmp_path / "state.json", durable=True) as temporary:
        temporary.write_text("{}")
    with replacing_output(tmp_path / "plan.json", durable=True) as temporary:
        temporary.write_text("{}")
    with replacing(tmp_path / "page.html") as temporary:
        temporary.write_text("page")
    whole = [["flush part", f"name {name}", "flush folder"] for name in ("state.json", "plan.json")]
    assert steps == [*whole[0], *whole[1], "name page.html"]


def test_a_folder_is_flushed_for_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = note_flushes(monkeypatch)
    flush_names(tmp_path)
    assert steps == ["flush folder"]


@pytest.mark.parametrize("mode", [0o600, 0o640])
def test_a_file_is_for_no_others_before_its_first_byte(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key.pem"
    with replacing(path, mode=mode) as temporary:
        assert temporary.stat().st_mode & 0o777 == mode
        temporary.write_text("secret")
    assert path.stat().st_mode & 0o777 == mode


def test_a_locked_file_is_had_by_nobody_else_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with path.open("w") as mine, path.open("w") as other:
        assert lock(mine.fileno())
        assert not lock(other.fileno())
        mine.close()
        assert lock(other.fileno())
