"""The file of an archive's rows: whole pictures, however the run before has ended."""

import errno
import json
from pathlib import Path

import pytest

from edgevit.errors import OutputError
from edgevit.runtime.sinks.row_file import RowFile


def row(source: str, **more: object) -> str:
    return json.dumps({"source": source, **more})


def write(path: Path, *pictures: list[str], resume: bool = False, several: bool = False) -> set[str]:
    """Write the rows of pictures; return those that were done before."""
    file = RowFile(path, resume=resume, several=several)
    try:
        for rows in pictures:
            file.write(rows)
        return file.done
    finally:
        file.close()


def test_rows_are_added_after_those_of_the_run_before(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "out.jsonl"
    assert write(path, [row("a.jpg")], [row("b.jpg", error="is damaged")]) == set()
    assert write(path, [row("c.jpg")], resume=True) == {"a.jpg", "b.jpg"}
    assert [json.loads(line)["source"] for line in path.read_text().splitlines()] == ["a.jpg", "b.jpg", "c.jpg"]


@pytest.mark.parametrize("cut", range(1, len(row("b.jpg")) + 1))
def test_line_that_is_cut_is_taken_back_wherever_it_was_cut(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text(f"{row('a.jpg')}\n{row('b.jpg')[:cut]}")
    assert write(path, [row("b.jpg")], resume=True) == {"a.jpg"}
    assert path.read_text() == f"{row('a.jpg')}\n{row('b.jpg')}\n"


def test_picture_that_may_lack_some_of_its_rows_is_taken_back_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    whole = f"{row('a.jpg', roi='left')}\n{row('a.jpg', roi='right')}\n"
    path.write_text(f"{whole}{row('b.jpg', roi='left')}\n{row('b.jpg', roi='right')[:-5]}")
    assert write(path, resume=True, several=True) == {"a.jpg"}
    assert path.read_text() == whole


def test_file_name_that_is_not_text_is_known_again(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write(path, [row("caf\udce9.png")])
    assert write(path, resume=True) == {"caf\udce9.png"}


def test_events_of_a_run_without_jobs_are_no_answers(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text(f"{row('a.jpg')}\n{row('b.jpg', event='label')}\n")
    assert write(path, resume=True) == {"a.jpg"}


@pytest.mark.parametrize("line", ["hello", "3", '{"label": "hen"}', "\0\0\0"])
def test_file_of_something_else_is_refused_and_stays_as_it_was(tmp_path: Path, line: str) -> None:
    path = tmp_path / "out.jsonl"
    before = f"{row('a.jpg')}\n{line}\n{row('b.jpg')[:4]}"
    path.write_text(before)
    with pytest.raises(OutputError, match=r"line 2 of .*out\.jsonl is no row of `edgevit run`"):
        write(path, resume=True)
    assert path.read_text() == before


def test_rows_are_not_mixed_with_those_of_a_run_that_is_not_resumed(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write(path, [row("a.jpg")])
    with pytest.raises(OutputError, match="has rows already; add resume="):
        RowFile(path, resume=False, several=False)
    assert path.read_text() == f"{row('a.jpg')}\n"


def test_two_runs_do_not_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    file = RowFile(path, resume=False, several=False)
    with pytest.raises(OutputError, match="is being written by another run"):
        RowFile(path, resume=True, several=False)
    file.close()
    write(path, resume=True)


def test_place_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written: Is a directory; choose another place"):
        RowFile(tmp_path, resume=False, several=False)


def test_full_disk_leaves_no_half_row_and_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk takes ten bytes of a picture's rows, then none."""
    file = RowFile(tmp_path / "out.jsonl", resume=False, several=False)
    file.write([row("a.jpg")])
    disk = file._file

    class Full:
        left = 10

        def write(self, data: memoryview) -> int:
            if not self.left:
                raise OSError(errno.ENOSPC, "No space left on device")
            taken, self.left = disk.write(data[: self.left]) or 0, 0
            return taken

        def __getattr__(self, name: str) -> object:
            return getattr(disk, name)

    monkeypatch.setattr(file, "_file", Full())
    with pytest.raises(OutputError, match="No space left on device; free some space, and go on with resume="):
        file.write([row("b.jpg")])
    file.close()
    assert file.path.read_text() == f"{row('a.jpg')}\n"
