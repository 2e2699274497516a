"""What a site relies on is on the disk, whole, before the next file is written."""

from pathlib import Path

import pytest

from edgevit.errors import OutputError, SiteError
from edgevit.fleet.writing import told, write_file, writing
from tests.flushes import note_flushes


def test_a_file_is_flushed_then_named_then_its_name_is_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted = note_flushes(monkeypatch)
    write_file(tmp_path / "metadata" / "2.stable.json", b"signed", mode=0o640)
    assert noted == ["flush part", "name 2.stable.json", "flush folder"]
    assert (tmp_path / "metadata" / "2.stable.json").read_bytes() == b"signed"
    assert (tmp_path / "metadata" / "2.stable.json").stat().st_mode & 0o777 == 0o640


def test_a_block_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "timestamp.json"
    path.write_bytes(b"before")

    def write_half() -> None:
        with writing(path) as temporary:
            temporary.write_bytes(b"after")
            raise SiteError("it is another")

    with pytest.raises(SiteError, match="^it is another$"):
        write_half()
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_the_disk_does_not_take_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "metadata").write_text("a file in the place of the folder")
    path = tmp_path / "metadata" / "1.root.json"
    with pytest.raises(OutputError, match=f"^{path} cannot be written: {path.parent} is no folder; mend that, and"):
        write_file(path, b"")
    with pytest.raises(OutputError, match=f"^{path} cannot be written: it is worn; mend that, and repeat$"), told(path):
        raise OSError("it is worn")
