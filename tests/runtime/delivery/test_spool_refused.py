"""What a spool keeps aside, and what it says and remembers while its disk takes nothing."""

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgevit.errors import OutputError
from edgevit.runtime.delivery.spool import Spool
from edgevit.runtime.delivery.stored import Stored
from tests.made_records import record_fsync

QUOTA = 1_000_000


def filled(path: Path, count: int, quiet_s: float = 60.0) -> Spool:
    spool = Spool(path, QUOTA, quiet_s)
    for number in range(count):
        assert spool.put(f"id {number}", f"region {number}/label", b"%d" % number)
    return spool


def block(spool: Spool, on: bool) -> None:
    """Let the database take nothing, as a full disk does, or take it again."""
    spool._connection.execute(f"PRAGMA query_only = {int(on)}")


def waiting(spool: Spool) -> list[str]:
    return [stored.id for stored in spool.oldest(100)]


def test_refused_records_are_kept_whole_the_newest_first(tmp_path: Path) -> None:
    spool = filled(tmp_path / "a.sqlite", 5)
    first, _, third, fourth, _ = spool.oldest(5)
    for stored, reason in ((third, "no cats"), (first, "no dogs"), (fourth, "no foxes")):
        spool.refuse(stored, reason)
    kept = spool.refused(2)
    assert kept == [
        (Stored(fourth.seq, "id 3", "region 3/label", b"3"), "no foxes"),
        (Stored(third.seq, "id 2", "region 2/label", b"2"), "no cats"),
    ]
    assert [stored.id for stored, _ in spool.refused(9)] == ["id 3", "id 2", "id 0"]
    assert waiting(spool) == ["id 1", "id 4"]
    counts = spool.counts()
    assert (counts.waiting, counts.refused, counts.dropped) == (2, 3, 0)
    # what is delivered leaves those that were refused where they are
    spool.remove(fourth.seq + 1)
    assert (waiting(spool), len(spool.refused(9)), spool.counts().waiting) == ([], 3, 0)
    spool.close()


def test_refusal_is_told_at_the_first_and_the_tenth_and_each_counts_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = filled(tmp_path / "a.sqlite", 12)
    for stored in spool.oldest(12):
        spool.refuse(stored, "no")
        spool.refuse(stored, "no, again")
    assert caplog.messages == [
        f"{tmp_path / 'a.sqlite'}: record id 0 is given up and kept: no; 1 so far",
        f"{tmp_path / 'a.sqlite'}: record id 9 is given up and kept: no; 10 so far",
    ]
    assert {record.levelno for record in caplog.records} == {logging.ERROR}
    assert (spool.counts().waiting, spool.counts().refused) == (0, 12)
    assert {reason for _, reason in spool.refused(99)} == {"no"}
    spool.close()


def test_trouble_of_the_disk_is_said_once_and_its_end_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.sqlite"
    spool = filled(path, 3, quiet_s=0)
    block(spool, True)
    assert [spool.put("lost", "label", b"") for _ in range(3)] == [False] * 3
    assert (spool.counts().unsaved, spool.counts().waiting) == (3, 3)
    assert waiting(spool) == ["id 0", "id 1", "id 2"]
    block(spool, False)
    assert spool.put("id 3", "label", b"") is True
    assert spool.put("id 4", "label", b"") is True
    trouble = "cannot take a record: attempt to write a readonly database; what is stored is kept, make room there"
    assert caplog.messages == [f"{path} {trouble}", f"{path} takes records again; 3 were lost so far"]
    assert (spool.counts().unsaved, spool.counts().waiting) == (3, 5)
    spool.close()


def test_disk_that_takes_a_record_now_and_then_is_not_told_of_each_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = filled(tmp_path / "a.sqlite", 0, quiet_s=3600)
    for number in range(4):
        block(spool, True)
        assert not spool.put("lost", "label", b"")
        block(spool, False)
        assert spool.put(str(number), "label", b"")
    assert len(caplog.messages) == 1
    assert waiting(spool) == ["0", "1", "2", "3"]
    spool.close()


def test_trouble_is_over_once_the_disk_has_taken_records_for_the_quiet_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now_s[0])
    spool = filled(tmp_path / "a.sqlite", 0, quiet_s=60.0)
    for now_s[0] in (100.0, 110.0):
        block(spool, True)
        assert not spool.put("lost", "label", b"")
        block(spool, False)
    told = []
    # counted from the last trouble, and once
    for now_s[0] in (169.5, 170.0, 500.0):
        assert spool.put("id", "label", b"")
        told.append(len(caplog.messages))
    assert told == [1, 2, 2]
    assert caplog.messages[1] == f"{tmp_path / 'a.sqlite'} takes records again; 2 were lost so far"
    # the next trouble is news
    block(spool, True)
    assert not spool.put("lost", "label", b"")
    assert len(caplog.messages) == 3
    spool.close()


def test_what_was_delivered_while_the_disk_takes_nothing_is_remembered(tmp_path: Path) -> None:
    spool = filled(tmp_path / "a.sqlite", 5)
    first, second, *_ = spool.oldest(5)
    block(spool, True)
    spool.remove(second.seq)
    assert (waiting(spool), spool.counts().waiting) == (["id 2", "id 3", "id 4"], 3)
    # an older confirmation that comes late takes nothing back
    spool.remove(first.seq)
    assert (waiting(spool), spool.counts().waiting) == (["id 2", "id 3", "id 4"], 3)
    block(spool, False)
    spool.remove(first.seq)
    spool.close()
    again = Spool(tmp_path / "a.sqlite", QUOTA)
    assert (waiting(again), again.counts().waiting) == (["id 2", "id 3", "id 4"], 3)
    again.close()


def test_refusal_that_cannot_be_written_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = filled(tmp_path / "a.sqlite", 2)
    block(spool, True)
    spool.refuse(spool.oldest(1)[0], "no")
    assert caplog.messages == [
        f"{tmp_path / 'a.sqlite'}: record id 0 is given up: no; it cannot be kept: attempt to write a readonly database"
    ]
    assert (spool.counts().waiting, spool.refused(9)) == (2, [])
    spool.close()


def test_folder_is_flushed_also_where_no_log_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = filled(tmp_path / "a.sqlite", 1)
    (tmp_path / "a.sqlite-wal").unlink()
    flushed = record_fsync(monkeypatch)
    spool.sync()
    assert flushed == [tmp_path]
    spool.close()


def test_counts_of_a_closed_spool_are_those_that_it_had(tmp_path: Path) -> None:
    spool = filled(tmp_path / "a.sqlite", 3)
    spool.refuse(spool.oldest(1)[0], "no")
    before = spool.counts()
    assert (before.waiting, before.refused) == (2, 1)
    assert before.bytes > 4096
    assert before.bytes % 4096 == 0
    spool.close()
    assert spool.counts() == before


class Guarded:
    """A connection that nobody may use without the spool's lock."""

    def __init__(self, spool: Spool) -> None:
        self.lock, self.connection, self.used = spool._lock, spool._connection, 0

    def __getattr__(self, name: str) -> Any:
        assert self.lock.locked(), f"{name} without the lock"
        self.used += 1
        return getattr(self.connection, name)


@pytest.mark.parametrize(
    "use",
    [
        lambda spool, stored: spool.put("new", "label", b""),
        lambda spool, stored: spool.oldest(1),
        lambda spool, stored: spool.remove(stored.seq),
        lambda spool, stored: spool.refuse(stored, "no"),
        lambda spool, stored: spool.refused(1),
        lambda spool, stored: spool.counts(),
        lambda spool, stored: spool.close(),
    ],
    ids=["put", "oldest", "remove", "refuse", "refused", "counts", "close"],
)
def test_database_is_used_by_one_thread_at_a_time(tmp_path: Path, use: Callable[[Spool, Stored], object]) -> None:
    """Threads that race show this now and then only: so each method is asked whether it holds the lock."""
    spool = filled(tmp_path / "a.sqlite", 2)
    stored, connection = spool.oldest(1)[0], spool._connection
    guarded = Guarded(spool)
    spool._connection = guarded  # type: ignore[assignment]
    use(spool, stored)
    assert guarded.used
    assert not spool._lock.locked()
    connection.close()


def test_spool_below_a_file_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a folder")
    with pytest.raises(OutputError, match=f"{re.escape(str(file))} is no folder"):
        Spool(file / "a.sqlite", QUOTA)
    assert file.read_text() == "not a folder"
