"""Records come out of a spool's write-ahead log as they come out of its file, those of several pages too."""

import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from edgevit.runtime.delivery import spool_file
from edgevit.runtime.delivery.salvage import salvage
from edgevit.runtime.delivery.spool import Spool

QUOTA = 20_000_000
"""So large that 600 pages come into the log before it is emptied into the file."""
COUNT = 40
WORDS = 900
"""Words of ten bytes in every second record: a page holds 4096."""


def body(number: int) -> bytes:
    """Return a text of which each word stands nowhere else."""
    return b"".join(b"%04d/%04d " % (number, word) for word in range(WORDS if number % 2 else 2))


def fill(path: Path, numbers: range) -> Spool:
    spool = Spool(path, QUOTA)
    for number in numbers:
        assert spool.put(f"id {number}", "label", body(number))
    return spool


def killed(spool: Spool, folder: Path) -> Path:
    """Return a copy of a spool as it lies on the disk when its process is killed."""
    folder.mkdir()
    for name in ("a.sqlite", "a.sqlite-wal"):
        shutil.copy(spool.path.with_name(name), folder / name)
    spool.close()
    return folder / "a.sqlite"


def destroy(path: Path) -> None:
    """Write over the first page, without which SQLite reads nothing."""
    with path.open("r+b") as file:
        file.write(random.Random(0).randbytes(4096))


def delivered(path: Path) -> dict[str, bytes]:
    spool = Spool(path, QUOTA)
    found = {stored.id: stored.body for stored in spool.oldest(10 * COUNT)}
    spool.close()
    return found


@pytest.fixture
def in_log(tmp_path: Path) -> Path:
    """Return a spool of COUNT records, all of which are in the log alone; nothing is left of its file."""
    path = killed(fill(tmp_path / "a.sqlite", range(COUNT)), tmp_path / "killed")
    assert path.stat().st_size == 4096
    destroy(path)
    return path


def test_all_records_come_back_from_the_log_alone(in_log: Path) -> None:
    assert delivered(in_log) == {f"id {number}": body(number) for number in range(COUNT)}
    assert in_log.with_name("a.sqlite.damaged-wal").exists()


def test_damage_in_the_further_pages_of_a_record_loses_this_one_alone(in_log: Path) -> None:
    log = in_log.with_name("a.sqlite-wal")
    data = bytearray(log.read_bytes())
    # it lies in a page that nothing else shares
    data[data.index(b"0007/0600 ")] ^= 1
    log.write_bytes(data)
    assert delivered(in_log) == {f"id {number}": body(number) for number in range(COUNT) if number != 7}


def test_all_that_waits_comes_back_where_file_and_log_hold_pages_of_one_number(tmp_path: Path) -> None:
    """Delivered records leave pages in the file, which later ones take in the log."""
    path = tmp_path / "a.sqlite"
    fill(path, range(COUNT)).close()
    spool = Spool(path, QUOTA)
    spool.remove(spool.oldest(COUNT // 2)[-1].seq)
    spool.close()
    path = killed(fill(path, range(COUNT, 2 * COUNT)), tmp_path / "killed")
    waits = {f"id {number}": body(number) for number in range(COUNT // 2, 2 * COUNT)}
    destroy(path)
    found = delivered(path)
    assert {name: found[name] for name in waits} == waits
    # what was delivered may come again, but not altered
    assert found == {name: body(int(name.removeprefix("id "))) for name in found}


def test_a_log_cut_short_gives_what_stands_before_the_cut(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a.sqlite", QUOTA)
    log = tmp_path / "a.sqlite-wal"
    ends = []
    for number in range(COUNT):
        spool.put(f"id {number}", "label", body(number))
        ends.append(log.stat().st_size)
    path = killed(spool, tmp_path / "killed")
    destroy(path)
    with path.with_name("a.sqlite-wal").open("r+b") as file:
        file.truncate(ends[24] + 100)
    assert {row[1]: row[3] for row in salvage(path, 0)} == {b"id %d" % number: body(number) for number in range(25)}


def test_rows_without_a_checksum_are_believed_where_there_was_none_and_they_are_whole(tmp_path: Path) -> None:
    """Each is told by its braces, and by its place in the queue: the last ones came after there were checksums."""
    path = tmp_path / "a.sqlite"
    spool = Spool(path, QUOTA)
    for number, text in enumerate((b"{0}", b"{1", b"2}", b"{3}", b"{4}", b"{5}")):
        spool.put(f"id {number}", "label", text)
    place = spool.oldest(4)[-1].seq
    spool.close()
    earlier = sqlite3.connect(path, isolation_level=None)
    earlier.execute("ALTER TABLE record DROP COLUMN sum")
    earlier.close()
    assert {row[3] for row in salvage(path, place)} == {b"{0}", b"{3}"}
    assert set(salvage(path, 0)) == set()


FRAME = 24 + 4096
"""Bytes of a page in the log with its header; the log has 32 before the first."""


def small(number: int) -> str:
    return f"id {number}"


@pytest.fixture
def small_in_log(tmp_path: Path) -> Path:
    """Return a killed spool of COUNT small records; most of its log are versions of one page."""
    spool = Spool(tmp_path / "a.sqlite", QUOTA)
    for number in range(COUNT):
        assert spool.put(small(number), "label", b"%04d" % number)
    return killed(spool, tmp_path / "killed")


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "place",
    [3, 9, 17, 25, 32 + 9, 32 + 5 * FRAME + 9, 32 + 5 * FRAME + 17, 32 + 9 * FRAME + 24 + 4090, 32 + 9 * FRAME + 24],
    ids=["order", "page size", "salt", "sum", "first salt", "frame's salt", "frame's sum", "row", "kind of page"],
)
def test_changed_bit_in_the_log_loses_no_record_that_stands_in_a_later_frame(
    small_in_log: Path, caplog: pytest.LogCaptureFixture, place: int
) -> None:
    log = small_in_log.with_name("a.sqlite-wal")
    flip(log, place)
    assert list(delivered(small_in_log)) == [small(number) for number in range(COUNT)]
    (told,) = caplog.messages
    assert told.startswith(f"{small_in_log}: SQLite leaves out ")
    # once: the new log has none of it
    caplog.clear()
    assert len(delivered(small_in_log)) == COUNT
    assert (caplog.messages, list(small_in_log.parent.glob("*damaged*"))) == ([], [])


def test_changed_record_at_the_end_of_the_log_is_told(small_in_log: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = small_in_log.with_name("a.sqlite-wal")
    flip(log, log.read_bytes().rindex(b"0039"))
    assert list(delivered(small_in_log)) == [small(number) for number in range(COUNT - 1)]
    told = "SQLite leaves out 4096 bytes of its log, as a part of them is damaged; 0 records out of them go on"
    assert caplog.messages == [f"{small_in_log}: {told}"]


def test_what_was_delivered_does_not_come_back_from_a_damaged_log(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a.sqlite", QUOTA)
    for number in range(COUNT):
        spool.put(small(number), "label", b"")
    spool.remove(spool.oldest(COUNT - 3)[-1].seq)
    path = killed(spool, tmp_path / "killed")
    flip(path.with_name("a.sqlite-wal"), 17)
    assert list(delivered(path)) == [small(number) for number in range(COUNT - 3, COUNT)]


def test_commit_that_was_cut_short_is_no_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = killed(fill(tmp_path / "a.sqlite", range(COUNT)), tmp_path / "killed")
    log = path.with_name("a.sqlite-wal")
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size - FRAME)
    # the last record is of several pages
    assert list(delivered(path)) == [small(number) for number in range(COUNT - 1)]
    assert caplog.messages == []


def test_records_of_a_damaged_log_that_the_disk_does_not_take_are_told(
    small_in_log: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip(small_in_log.with_name("a.sqlite-wal"), 25)
    monkeypatch.setattr(spool_file, "INSERT", "INSERT INTO record VALUES (?, ?, ?, ?, zeroblob(0 * ? + (1 << 40)))")
    assert delivered(small_in_log) == {}
    assert caplog.messages[0].endswith("; 40 records in them cannot be kept: string or blob too big")
