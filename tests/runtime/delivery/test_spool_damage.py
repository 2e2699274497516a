"""Damage that shows while a spool is open, in whichever call meets it first."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgevit.runtime.delivery import spool_file
from edgevit.runtime.delivery.spool import Spool
from tests.runtime.delivery.test_spool_refused import QUOTA, block, filled, waiting


def damage(spool: Spool, table: str = "record") -> None:
    """Change a table's name, as a flipped bit does; its rows stand where they stood."""
    spool._connection.execute(f"ALTER TABLE {table} RENAME TO {table}s")


@pytest.mark.parametrize(
    ("use", "left"),
    [
        (lambda spool: spool.put("new", "label", b""), ["id 0", "id 1", "id 2", "id 3", "new"]),
        (lambda spool: spool.oldest(1), ["id 0", "id 1", "id 2", "id 3"]),
        (lambda spool: spool.remove(spool._next - 3), ["id 2", "id 3"]),
    ],
    ids=["put", "oldest", "remove"],
)
def test_whoever_meets_the_damage_goes_on_with_all_that_waits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, use: Callable[[Spool], object], left: list[str]
) -> None:
    spool = filled(tmp_path / "a.sqlite", 4)
    damage(spool)
    use(spool)
    assert (tmp_path / "a.sqlite.damaged").exists()
    assert (waiting(spool), spool.counts().waiting) == (left, len(left))
    assert spool.counts().unsaved == 0
    assert f"is damaged (no such table: record); moved to {tmp_path / 'a.sqlite.damaged'}, and" in caplog.text
    # the new file is a whole one, and in order
    spool.put("last", "label", b"")
    spool.close()
    again = Spool(tmp_path / "a.sqlite", QUOTA)
    assert waiting(again) == [*left, "last"]
    assert not (tmp_path / "a.sqlite.damaged-2").exists()
    again.close()


def test_refusal_that_meets_the_damage_is_told_and_the_next_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = filled(tmp_path / "a.sqlite", 3)
    first, second, _ = spool.oldest(3)
    damage(spool, "refused")
    spool.refuse(first, "no cats")
    assert "record id 0 is given up: no cats; it cannot be kept: no such table: refused" in caplog.text
    spool.refuse(second, "no dogs")
    assert [(stored.id, reason) for stored, reason in spool.refused(9)] == [("id 1", "no dogs")]
    assert (waiting(spool), spool.counts().waiting) == (["id 0", "id 2"], 2)
    spool.close()


def test_what_was_delivered_does_not_come_back_with_the_new_file(tmp_path: Path) -> None:
    spool = filled(tmp_path / "a.sqlite", 4)
    _, second, *_ = spool.oldest(4)
    block(spool, True)
    spool.remove(second.seq)
    block(spool, False)
    damage(spool)
    assert (waiting(spool), spool.counts().waiting) == (["id 2", "id 3"], 2)
    spool.close()
    again = Spool(tmp_path / "a.sqlite", QUOTA)
    assert waiting(again) == ["id 2", "id 3"]
    again.close()


def test_what_was_refused_and_counted_goes_on_in_the_new_file(tmp_path: Path) -> None:
    spool = filled(tmp_path / "a.sqlite", 5)
    assert spool._drop() == 1
    spool.refuse(spool.oldest(1)[0], "no")
    damage(spool)
    assert waiting(spool) == ["id 2", "id 3", "id 4"]
    assert [(stored.id, reason) for stored, reason in spool.refused(9)] == [("id 1", "no")]
    assert (spool.counts().dropped, spool.counts().refused, spool.counts().waiting) == (1, 1, 3)
    spool.close()


def test_what_was_refused_before_the_first_that_waits_goes_on_in_the_new_file(tmp_path: Path) -> None:
    spool = filled(tmp_path / "a.sqlite", 3)
    first, second, _ = spool.oldest(3)
    spool.refuse(first, "no")
    spool.remove(second.seq)
    damage(spool)
    assert waiting(spool) == ["id 2"]
    assert [stored.id for stored, _ in spool.refused(9)] == ["id 0"]
    spool.close()


def test_damaged_file_is_put_aside_with_its_log_as_both_lay_on_the_disk(tmp_path: Path) -> None:
    spool = filled(tmp_path / "a.sqlite", 3)
    damage(spool)
    lay = [(tmp_path / name).read_bytes() for name in ("a.sqlite", "a.sqlite-wal")]
    assert waiting(spool) == ["id 0", "id 1", "id 2"]
    assert [(tmp_path / f"a.sqlite.damaged{end}").read_bytes() for end in ("", "-wal")] == lay
    spool.close()


def test_record_that_the_disk_changed_in_the_log_comes_from_the_table(tmp_path: Path) -> None:
    """SQLite writes the log over the table without a look at it when the file is closed."""
    filled(tmp_path / "a.sqlite", 3).close()
    spool = Spool(tmp_path / "a.sqlite", QUOTA)
    spool.put("new", "label", b"")
    log = tmp_path / "a.sqlite-wal"
    data = bytearray(log.read_bytes())
    data[data.index(b"id 1")] ^= 1
    with log.open("r+b") as file:
        file.write(data)
    damage(spool)
    assert waiting(spool) == ["id 0", "id 1", "id 2", "new"]
    spool.close()


@pytest.mark.parametrize("ending", ["closing", "salvaged"])
def test_process_that_ended_between_two_renamings_has_lost_nothing(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "a.sqlite"
    filled(path, 3).close()
    if ending == "closing":
        # what an earlier attempt left is no whole file
        Path(f"{path}.salvaged").write_bytes(b"")
    path.replace(f"{path}.{ending}")
    spool = Spool(path, QUOTA)
    assert waiting(spool) == ["id 0", "id 1", "id 2"]
    spool.close()


def test_log_of_a_damaged_file_is_not_taken_for_that_of_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    spool = filled(path, 3)
    # ended after the first of three renamings
    log = Path(f"{path}-wal").read_bytes()
    spool.close()
    filled(tmp_path / "new.sqlite", 2).close()
    (tmp_path / "new.sqlite").replace(f"{path}.salvaged")
    path.replace(f"{path}.damaged")
    Path(f"{path}-wal").write_bytes(log)
    again = Spool(path, QUOTA)
    assert waiting(again) == ["id 0", "id 1"]
    again.close()


def test_disk_that_cannot_be_read_is_told_to_who_asks(tmp_path: Path) -> None:
    spool = filled(tmp_path / "a.sqlite", 2)
    spool._connection = Failing(spool._connection, "SELECT")  # type: ignore[assignment]
    with pytest.raises(sqlite3.OperationalError, match=r"^disk I/O error$"):
        spool.oldest(1)
    assert waiting(spool) == ["id 0", "id 1"]
    spool.close()


def test_names_that_the_disk_has_changed_to_no_text_are_shown_as_far_as_they_are(tmp_path: Path) -> None:
    spool = filled(tmp_path / "a.sqlite", 2)
    spool._connection.execute("UPDATE record SET id = CAST(x'66ff' AS TEXT), channel = CAST(x'fe67' AS TEXT)")
    assert waiting(spool) == []
    assert [(stored.id, stored.channel, reason) for stored, reason in spool.refused(1)] == [
        ("f\ufffd", "\ufffdg", "the disk has changed it")
    ]
    spool.close()


def test_batch_of_nothing_but_changed_records_hides_no_later_ones(tmp_path: Path) -> None:
    spool = filled(tmp_path / "a.sqlite", 4)
    spool._connection.execute("UPDATE record SET body = 'changed' WHERE id IN ('id 0', 'id 1')")
    assert [stored.id for stored in spool.oldest(2)] == ["id 2", "id 3"]
    assert (spool.counts().waiting, spool.counts().refused) == (2, 2)
    spool.close()


def test_only_records_of_an_earlier_version_are_believed_without_a_checksum(tmp_path: Path) -> None:
    filled(tmp_path / "a.sqlite", 3).close()
    earlier = sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None)
    for change in ("ALTER TABLE record DROP COLUMN sum", "DROP TABLE refused"):
        earlier.execute(change)
    earlier.close()
    spool = Spool(tmp_path / "a.sqlite", QUOTA)
    assert waiting(spool) == ["id 0", "id 1", "id 2"]
    for name in ("new", "newer"):
        assert spool.put(name, "label", b"")
    # an old one with a wrong checksum, and a new one without
    spool._connection.execute("UPDATE record SET sum = 1 WHERE id = 'id 1'")
    spool._connection.execute("UPDATE record SET sum = NULL WHERE id = 'new'")
    assert waiting(spool) == ["id 0", "id 2", "newer"]
    assert [stored.id for stored, _ in spool.refused(9)] == ["new", "id 1"]
    spool.close()


def test_confirmation_that_comes_after_closing_is_told_and_raises_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = filled(tmp_path / "a.sqlite", 3)
    first, *_ = spool.oldest(3)
    spool.close()
    spool.remove(first.seq)
    trouble = "cannot take a record: Cannot operate on a closed database.; what is stored is kept, make room there"
    assert caplog.messages == [f"{tmp_path / 'a.sqlite'} {trouble}"]
    again = Spool(tmp_path / "a.sqlite", QUOTA)
    assert waiting(again) == ["id 0", "id 1", "id 2"]
    again.close()


def test_damage_that_cannot_be_mended_loses_the_record_and_raises_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = filled(tmp_path / "a.sqlite", 3)
    damage(spool)
    # stands where the new file is to be made
    (tmp_path / "a.sqlite.salvaged").mkdir()
    assert not spool.put("new", "label", b"")
    assert "cannot take a record: " in caplog.text
    spool.close()
    (tmp_path / "a.sqlite.salvaged").rmdir()
    again = Spool(tmp_path / "a.sqlite", QUOTA)
    assert waiting(again) == ["id 0", "id 1", "id 2"]
    again.close()


def lost(path: Path) -> Spool:
    """Return a spool of three records whose damaged file could not be replaced."""
    spool = filled(path, 3)
    damage(spool)
    Path(f"{path}.salvaged").mkdir()
    assert not spool.put("lost", "label", b"")
    return spool


def in_a_minute(monkeypatch: pytest.MonkeyPatch, after_s: float = 60.0) -> None:
    now_s = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: now_s() + after_s)


@pytest.mark.parametrize(
    ("use", "left"),
    [
        (lambda spool: spool.put("new", "label", b""), ["id 0", "id 1", "id 2", "new"]),
        (lambda spool: spool.oldest(1), ["id 0", "id 1", "id 2"]),
        (lambda spool: spool.remove(spool._next - 2), ["id 2"]),
    ],
    ids=["put", "oldest", "remove"],
)
def test_damaged_file_that_could_not_be_replaced_is_replaced_a_minute_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: Callable[[Spool], object], left: list[str]
) -> None:
    spool = lost(tmp_path / "a.sqlite")
    (tmp_path / "a.sqlite.salvaged").rmdir()
    in_a_minute(monkeypatch)
    use(spool)
    assert (tmp_path / "a.sqlite.damaged").exists()
    assert (waiting(spool), spool.counts().waiting, spool.counts().unsaved) == (left, len(left), 1)
    # what goes wrong from now on is no damage
    block(spool, True)
    assert not spool.put("lost", "label", b"")
    block(spool, False)
    assert spool.put("last", "label", b"")
    spool.close()
    again = Spool(tmp_path / "a.sqlite", QUOTA)
    assert waiting(again)[-1] == "last"
    again.close()


def test_count_that_fails_after_a_replacement_raises_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(spool: Spool) -> int:
        raise sqlite3.OperationalError("disk I/O error")

    spool = filled(tmp_path / "a.sqlite", 3)
    damage(spool)
    monkeypatch.setattr(Spool, "_count_waiting", fail)
    assert spool.put("new", "label", b"")
    assert waiting(spool) == ["id 0", "id 1", "id 2", "new"]
    spool.close()


def test_damaged_file_that_cannot_be_replaced_is_told_once_and_read_once_a_minute(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.sqlite"
    opened: list[Path] = []
    spool = lost(path)

    def open_file(path: Path, log_pages: int) -> sqlite3.Connection:
        opened.append(path)
        return spool_file.open_file(path, log_pages)

    monkeypatch.setattr("edgevit.runtime.delivery.spool.open_file", open_file)
    in_a_minute(monkeypatch, 50.0)
    assert not spool.put("lost", "label", b"")
    assert opened == []
    for count in (1, 2):
        in_a_minute(monkeypatch)
        # the second comes too early again
        assert [spool.put("lost", "label", b"") for _ in range(2)] == [False, False]
        assert len(opened) == count
    told = [message for message in caplog.messages if "cannot be replaced" in message]
    assert len(told) == 1
    assert told[0].startswith(f"{path} is damaged (no such table: record) and cannot be replaced: ")
    assert told[0].endswith("; it is tried again every 60 s")
    assert spool.counts().unsaved == 6
    spool.close()


def test_closed_spool_opens_no_damaged_file_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = lost(tmp_path / "a.sqlite")
    spool.close()
    (tmp_path / "a.sqlite.salvaged").rmdir()
    in_a_minute(monkeypatch)
    spool.remove(3)
    assert not spool.put("new", "label", b"")
    assert not (tmp_path / "a.sqlite.damaged").exists()


class Failing:
    """A connection of which one statement fails, once."""

    def __init__(self, connection: sqlite3.Connection, beginning: str) -> None:
        self.connection, self.beginning, self.failed = connection, beginning, False

    def execute(self, question: str, *values: Any) -> sqlite3.Cursor:
        if question.startswith(self.beginning) and not self.failed:
            self.failed = True
            raise sqlite3.OperationalError("disk I/O error")
        return self.connection.execute(question, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)


def test_flushing_leaves_no_file_open(tmp_path: Path) -> None:
    spool = filled(tmp_path / "a.sqlite", 1)
    before = open_below(tmp_path)
    spool.sync()
    assert open_below(tmp_path) == before
    spool.close()


def open_below(folder: Path) -> list[str]:
    """Return what this process has open of a folder; other tests may have left something to be closed at any time."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{number}"))
    return sorted(path for path in found if path.startswith(str(folder)))
