"""The spool against a naive model, with damage of single bits, several writers, and what was given to fsync."""

import json
import logging
import random
import shutil
import sqlite3
import threading
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edgevit.runtime.delivery.spool import SMALLEST_QUOTA, Spool
from tests.made_records import record_fsync
from tests.places import SHARED

BODY = st.one_of(st.integers(0, 400), st.integers(3000, 9000), st.integers(60_000, 104_000))
"""Sizes: some in a page, some of a page or two, some of about two fifths of the smallest quota."""


def json_body(number: int, size: int) -> bytes:
    return json.dumps({"id": number, "text": "x" * size}).encode()


class SpoolAndModel(RuleBasedStateMachine):
    """A spool of the smallest quota beside a list: what waits is always the newest part of what the list has."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[tuple[str, bytes]] = []
        self.refused: set[str] = set()
        self.put_count = self.removed = 0

    @initialize()
    def begin(self) -> None:
        import tempfile

        self.folder = Path(tempfile.mkdtemp())
        self.open()

    def open(self) -> None:
        self.spool = Spool(self.folder / "a.sqlite", SMALLEST_QUOTA)

    @rule(sizes=st.lists(BODY, min_size=1, max_size=20))
    def put(self, sizes: list[int]) -> None:
        for size in sizes:
            record = (str(self.put_count), json_body(self.put_count, size))
            self.put_count += 1
            # no record is half of the quota, so that each is taken
            assert self.spool.put(record[0], "label", record[1])
            self.waiting.append(record)
            self.is_within_the_quota()

    @rule(count=st.integers(1, 20))
    def deliver(self, count: int) -> None:
        found = self.spool.oldest(count)
        if found:
            self.spool.remove(found[-1].seq)
            self.forget_dropped(found[0].id)
            assert [stored.id for stored in found] == [identity for identity, _ in self.waiting[: len(found)]]
            del self.waiting[: len(found)]

    @rule()
    def refuse(self) -> None:
        for stored in self.spool.oldest(1):
            self.spool.refuse(stored, "no")
            self.forget_dropped(stored.id)
            self.waiting.pop(0)
            self.refused.add(stored.id)

    @rule()
    def reopen(self) -> None:
        self.spool.close()
        self.open()

    def forget_dropped(self, first: str) -> None:
        while self.waiting[0][0] != first:
            self.waiting.pop(0)

    @invariant()
    def what_waits_is_the_newest_and_whole(self) -> None:
        if not hasattr(self, "spool"):
            return
        found = [(stored.id, stored.body) for stored in self.spool.oldest(10_000)]
        assert found == self.waiting[len(self.waiting) - len(found) :]
        assert bool(found) == bool(self.waiting)
        counts = self.spool.counts()
        assert counts.waiting == len(found)
        assert {stored.id for stored, _ in self.spool.refused(10_000)} <= self.refused
        self.is_within_the_quota()

    def is_within_the_quota(self) -> None:
        size = sum(path.stat().st_size for path in self.folder.glob("a.sqlite*"))
        assert size <= SMALLEST_QUOTA, f"{size} bytes"

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            self.spool.close()
            shutil.rmtree(self.folder)


TestSpoolAndModel = SpoolAndModel.TestCase
TestSpoolAndModel.settings = settings(max_examples=12, stateful_step_count=10)


@pytest.mark.parametrize("quota", [SMALLEST_QUOTA, 1_000_000, 4_000_000])
def test_quota_is_kept_with_records_of_unlike_sizes(tmp_path: Path, quota: int) -> None:
    spool = Spool(tmp_path / "a.sqlite", quota)
    largest = 0
    for number in range(quota // 2500):
        spool.put(str(number), "label", bytes(2000))
        largest = max(largest, sum(path.stat().st_size for path in tmp_path.iterdir()))
    for number in range(4):
        assert spool.put(f"large {number}", "label", bytes(2 * quota // 5))
        largest = max(largest, sum(path.stat().st_size for path in tmp_path.iterdir()))
        assert spool.oldest(10_000)[-1].id == f"large {number}"
    for number in range(400):
        spool.put(f"small {number}", "label", bytes(100))
        largest = max(largest, sum(path.stat().st_size for path in tmp_path.iterdir()))
    assert largest <= quota
    spool.close()


def filled(path: Path, count: int = 200) -> dict[str, bytes]:
    """Write a spool with so many records, a few of which go on in pages of their own; return them."""
    spool = Spool(path, 5_000_000)
    records = {f"{number:032d}": json_body(number, 9000 if number % 50 == 7 else number) for number in range(count)}
    for identity, body in records.items():
        spool.put(identity, "label", body)
    spool.close()
    return records


def delivered(path: Path) -> list[tuple[str, bytes]]:
    """Take all that a spool gives, batch by batch, as the sender does."""
    spool, found = Spool(path, 5_000_000), []
    while batch := spool.oldest(50):
        found += [(stored.id, stored.body) for stored in batch]
        spool.remove(batch[-1].seq)
    spool.close()
    return found


@pytest.mark.parametrize("seed", range(60))
def test_flipped_bit_blocks_nothing_and_delivers_nothing_altered(tmp_path: Path, seed: int) -> None:
    path, chance = tmp_path / "a.sqlite", random.Random(seed)
    records = filled(path)
    data = bytearray(path.read_bytes())
    # half of the flips in the first pages, on which all others depend
    place = chance.randrange(4 * 4096 if seed % 2 else len(data))
    data[place] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    found = delivered(path)
    assert found == sorted(found)
    assert set(found) <= set(records.items())
    # one page of 4096 bytes holds at most 36 of these records
    assert len(found) >= 200 - 36, f"bit in byte {place} lost {200 - len(found)}"


@pytest.mark.parametrize("seed", range(30))
def test_many_flipped_bits_in_file_and_log_raise_nothing_and_alter_nothing(tmp_path: Path, seed: int) -> None:
    """The state of a process that was killed: part of the records is in the log alone, or all are."""
    chance = random.Random(seed)
    quota = 5_000_000 if seed % 3 == 0 else 20_000_000
    spool, log = Spool(tmp_path / "a.sqlite", quota), tmp_path / "a.sqlite-wal"
    ends: list[int] = []
    records = {f"{number:032d}": json_body(number, 9000 if number % 50 == 7 else number) for number in range(200)}
    for identity, body in records.items():
        spool.put(identity, "label", body)
        ends.append(log.stat().st_size)
    killed = tmp_path / "killed"
    killed.mkdir()
    for name in ("a.sqlite", log.name):
        data = bytearray((tmp_path / name).read_bytes())
        count = chance.choice((0, 1, 3, 20))
        flips = [chance.randrange(min(len(data), 12_288) if seed % 2 else len(data)) for _ in range(count)]
        for place in flips:
            data[place] ^= 1 << chance.randrange(8)
        (killed / name).write_bytes(data)
    spool.close()
    found = delivered(killed / "a.sqlite")
    assert found == sorted(found)
    assert set(found) <= set(records.items())
    if quota > 5_000_000:
        # SQLite itself believes a log up to its first damage; the header, of 32 bytes, is about all of it
        first = min(flips, default=ends[-1])
        assert len(found) >= sum(end <= first for end in ends if first >= 32)


@pytest.mark.parametrize("pages", [(0, 1), (1, 1), (2, 3), (0, 6), (10, 20)])
def test_pages_that_are_gone_lose_only_their_own_records(tmp_path: Path, pages: tuple[int, int]) -> None:
    path = tmp_path / "a.sqlite"
    records = filled(path)
    first, count = pages
    with path.open("r+b") as file:
        file.seek(first * 4096)
        file.write(random.Random(1).randbytes(count * 4096))
    found = delivered(path)
    assert found == sorted(found)
    assert set(found) <= set(records.items())
    assert len(found) >= 200 - 36 * count
    if count < 6:
        assert len(found) >= 100


def test_every_damaged_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    for number in range(3):
        path.write_bytes(b"%d is not a database" % number * 1000)
        Spool(path, 1_000_000).close()
    kept = sorted(each.name for each in tmp_path.iterdir() if "damaged" in each.name)
    assert kept == ["a.sqlite.damaged", "a.sqlite.damaged-2", "a.sqlite.damaged-3"]
    assert (tmp_path / "a.sqlite.damaged-2").read_bytes().startswith(b"1 is not a database")


def test_record_that_the_disk_changed_is_put_aside_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.sqlite"
    records = filled(path, 5)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE record SET body = replace(body, '\"id\": 2', '\"id\": 3') WHERE id LIKE '%2'")
    connection.commit()
    connection.close()
    found = delivered(path)
    assert [identity for identity, _ in found] == [identity for identity in records if not identity.endswith("2")]
    assert f"record {2:032d} is given up and kept: the disk has changed it" in caplog.text
    spool = Spool(path, 5_000_000)
    ((kept, reason),) = spool.refused(9)
    assert (kept.id, reason, spool.counts().refused) == (f"{2:032d}", "the disk has changed it", 1)
    spool.close()


def test_stuck_spool_of_an_earlier_version_delivers_all_but_the_damaged_row(tmp_path: Path) -> None:
    case = SHARED / "cases/spool/stuck.sqlite"
    if not case.exists():
        pytest.skip("../shared is not there")
    path = tmp_path / "stuck.sqlite"
    path.write_bytes(case.read_bytes())
    connection = sqlite3.connect(f"file:{case}?immutable=1", uri=True)
    rows = connection.execute("SELECT CAST(id AS BLOB), body FROM record ORDER BY seq").fetchall()
    connection.close()
    whole = [(identity.decode(), body) for identity, body in rows if not _is_damaged(identity)]
    assert len(whole) == len(rows) - 1
    assert delivered(path) == whole
    spool = Spool(path, 5_000_000)
    assert spool.counts().refused == 1
    spool.close()


def _is_damaged(identity: bytes) -> bool:
    try:
        return not identity.decode().isprintable()
    except UnicodeDecodeError:
        return True


def test_several_writers_and_a_reader_lose_nothing_and_keep_the_order_of_each(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a.sqlite", 50_000_000)
    found: list[str] = []
    done = threading.Event()
    errors: list[BaseException] = []

    def write(writer: int) -> None:
        try:
            for number in range(200):
                assert spool.put(f"{writer} {number}", "label", b"{}")
        except BaseException as error:
            errors.append(error)

    def read() -> None:
        try:
            while not done.is_set() or spool.counts().waiting:
                if batch := spool.oldest(7):
                    found.extend(stored.id for stored in batch)
                    spool.remove(batch[-1].seq)
                spool.sync()
        except BaseException as error:
            errors.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    reader = threading.Thread(target=read)
    for thread in (*writers, reader):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert errors == []
    for writer in range(4):
        assert [each for each in found if each.startswith(f"{writer} ")] == [f"{writer} {n}" for n in range(200)]
    assert len(found) == 800
    spool.close()


def test_sync_gives_the_log_and_then_its_folder_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path / "a.sqlite", 1_000_000)
    spool.put("0", "label", b"{}")
    flushed = record_fsync(monkeypatch)
    spool.sync()
    assert flushed == [tmp_path / "a.sqlite-wal", tmp_path]
    spool.close()


def test_damage_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    path = tmp_path / "a.sqlite"
    filled(path, 20)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)
    delivered(path)
    delivered(path)
    assert [message for message in caplog.messages if "is damaged" in message] == caplog.messages
    assert len(caplog.messages) == 1
