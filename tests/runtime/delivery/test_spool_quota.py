"""Room within a spool's quota: what is dropped for a record, and what is refused."""

import sqlite3
from pathlib import Path

import pytest

from edgevit.runtime.delivery.spool import SMALLEST_QUOTA, Spool
from tests.runtime.delivery.test_spool_damage import Failing
from tests.runtime.delivery.test_spool_refused import QUOTA, block, filled, waiting


def test_dropping_that_fails_half_way_is_undone_and_done_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a.sqlite", SMALLEST_QUOTA)
    count = 0
    while not spool.counts().dropped:
        assert spool.put(str(count), "label", bytes(3000))
        count += 1
    before = spool.counts()
    failing = Failing(spool._connection, "INSERT INTO counter VALUES ('dropped'")
    spool._connection = failing  # type: ignore[assignment]
    while not failing.failed:
        assert spool.put(str(count), "label", bytes(3000))
        count += 1
    after = spool.counts()
    assert after.dropped > before.dropped
    assert after.waiting + after.dropped == count
    assert waiting(spool) == [str(number) for number in range(after.dropped, count)]
    spool.close()


def test_log_is_emptied_where_the_disk_takes_nothing(tmp_path: Path) -> None:
    spool = filled(tmp_path / "a.sqlite", 3)
    asked: list[str] = []
    spool._connection.set_trace_callback(asked.append)
    block(spool, True)
    assert not spool.put("new", "label", b"")
    assert "PRAGMA wal_checkpoint(RESTART)" in asked
    spool.close()


@pytest.mark.parametrize("removed", [True, False])
def test_large_record_finds_a_file_that_was_shrunk_in_steps_and_an_empty_log(tmp_path: Path, removed: bool) -> None:
    spool = Spool(tmp_path / "a.sqlite", QUOTA)
    for number in range(100 if removed else 20):
        assert spool.put(str(number), "label", bytes(4000))
    if removed:
        spool.remove(spool.oldest(100)[-1].seq)
    logs: list[tuple[str, int]] = []
    log = tmp_path / "a.sqlite-wal"
    spool._connection.set_trace_callback(lambda asked: logs.append((asked[:18], log.stat().st_size)))
    assert spool.put("large", "label", bytes(QUOTA * 2 // 5))
    # 100 pages are free, and a log of 30 has room for 15 of them
    steps = [size for asked, size in logs if asked == "PRAGMA incremental"]
    assert steps[1:] == ([0] * (len(steps) - 1))
    assert (len(steps) >= 6) == removed
    assert [size for asked, size in logs if asked == "INSERT OR IGNORE I"] == [0]
    assert (tmp_path / "a.sqlite-wal").stat().st_size == 0
    # 98 pages, and those of the 20 records
    assert ((tmp_path / "a.sqlite").stat().st_size < 110 * 4096) == removed
    spool.close()


@pytest.mark.parametrize(
    ("quota", "largest"),
    [
        # 64 pages, 5 of which are SQLite's: 28 for the record and 30 for it in the log; of the 28 it fills 26
        (262_144, 26 * 4092),
        # 976 pages: 5, 483 and 488, as a page of the log takes 24 bytes more; the record fills 481
        (4_000_000, 481 * 4092),
        # 777 pages: 5, 383 and 387; 384 pages of a record take three for those bytes, and 389
        (3_182_592, 381 * 4092),
    ],
)
def test_largest_record_is_taken_and_a_byte_more_is_refused_without_dropping_any(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, quota: int, largest: int
) -> None:
    spool = Spool(tmp_path / "a.sqlite", quota)
    for number in range(3):
        assert spool.put(str(number), "label", b"")
    assert not spool.put("too large", "label", bytes(largest + 1))
    assert f"a record of {largest + 1} bytes is larger than the quota has room for" in caplog.text
    assert waiting(spool) == ["0", "1", "2"]
    assert spool.put("largest", "label", bytes(largest))
    assert waiting(spool) == ["0", "1", "2", "largest"]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= quota
    spool.close()


def test_file_of_an_earlier_version_that_cannot_shrink_stays_within_the_quota(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filled(tmp_path / "a.sqlite", 0).close()
    earlier = sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None)
    for change in ("PRAGMA journal_mode = DELETE", "PRAGMA auto_vacuum = NONE", "VACUUM", "PRAGMA journal_mode = WAL"):
        earlier.execute(change)
    earlier.close()
    spool = Spool(tmp_path / "a.sqlite", QUOTA)
    for number in range(150):
        assert spool.put(str(number), "label", bytes(4000))
    spool.remove(spool.oldest(150)[-1].seq)
    # 244 pages: the file keeps some 150, and in the log the record takes 102
    assert not spool.put("large", "label", bytes(QUOTA * 2 // 5))
    assert f"a record of {QUOTA * 2 // 5} bytes is larger than the quota has room for" in caplog.text
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= QUOTA
    # 64 and 66
    assert spool.put("smaller", "label", bytes(62 * 4092))
    assert waiting(spool) == ["smaller"]
    spool.close()


def test_what_is_dropped_for_one_record_is_told_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = Spool(tmp_path / "a.sqlite", SMALLEST_QUOTA)
    path = tmp_path / "a.sqlite"
    while not spool.counts().dropped:
        assert spool.put("small", "label", bytes(3000))
    assert caplog.messages == [f"{path} is at its quota; the oldest 1 records so far were dropped"]
    assert spool.put("small", "label", bytes(3000))
    assert len(caplog.messages) == 1
    assert spool.put("large", "label", bytes(20 * 4092))
    dropped = spool.counts().dropped
    assert 10 < dropped < 100
    assert caplog.messages[1:] == [f"{path} is at its quota; the oldest {dropped} records so far were dropped"]
    spool.close()


@pytest.mark.parametrize(("count", "dropped"), [(0, 0), (1, 1), (63, 1), (64, 2), (127, 2), (128, 3)])
def test_one_record_is_dropped_and_one_more_for_each_sixty_four(tmp_path: Path, count: int, dropped: int) -> None:
    spool = filled(tmp_path / "a.sqlite", count)
    assert spool._drop() == dropped
    assert not spool._connection.in_transaction
    counts = spool.counts()
    assert (counts.waiting, counts.dropped) == (count - dropped, dropped)
    assert [stored.id for stored in spool.oldest(200)] == [f"id {number}" for number in range(dropped, count)]
    spool.close()


def test_refused_and_delivered_records_make_room_and_count_as_no_loss(tmp_path: Path) -> None:
    spool = filled(tmp_path / "a.sqlite", 66)
    first, second, *_ = spool.oldest(3)
    spool.refuse(first, "no")
    block(spool, True)
    spool.remove(second.seq)
    block(spool, False)
    assert spool._drop() == 2
    counts = spool.counts()
    assert (counts.waiting, counts.dropped, counts.refused) == (64, 0, 0)
    spool.close()
