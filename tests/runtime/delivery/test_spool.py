"""Records that wait for a network survive whatever happens to the process and the disk."""

import logging
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgevit.errors import OutputError
from edgevit.runtime.delivery.spool import SMALLEST_QUOTA, Spool
from tests.places import ROOT

MB = 1_000_000

WRITER = """
import sys
from pathlib import Path
from edgevit.runtime.delivery.spool import Spool

spool = Spool(Path(sys.argv[1]), 50_000_000)
number = int(sys.argv[2])
while True:
    spool.put(str(number), "label", b"x" * (number % 700))
    print(number, flush=True)
    number += 1
"""
"""Prints the number of each record once the spool has taken it."""


def ids(spool: Spool, limit: int = 100_000) -> list[str]:
    return [stored.id for stored in spool.oldest(limit)]


def test_first_in_is_first_out_and_removed_once_delivered(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "new" / "a.sqlite", MB)
    for number in range(5):
        assert spool.put(str(number), "left/label", f"body {number}".encode())
    first, second = spool.oldest(2)
    assert (first.id, first.channel, first.body, second.id) == ("0", "left/label", b"body 0", "1")
    spool.remove(second.seq)
    assert ids(spool) == ["2", "3", "4"]
    assert spool.counts().waiting == 3


def test_what_waits_is_there_after_a_restart(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a.sqlite", MB)
    for number in range(10):
        spool.put(str(number), "label", b"body")
    spool.remove(spool.oldest(4)[-1].seq)
    spool.close()
    again = Spool(tmp_path / "a.sqlite", MB)
    again.put("10", "label", b"body")
    assert ids(again) == [str(number) for number in range(4, 11)]
    assert again.counts().waiting == 7


def test_place_in_the_queue_is_given_once_also_after_a_restart_with_nothing_left(tmp_path: Path) -> None:
    places = []
    for _ in range(3):
        spool = Spool(tmp_path / "a.sqlite", MB)
        spool.put("0", "label", b"body")
        (stored,) = spool.oldest(2)
        spool.remove(stored.seq)
        spool.close()
        places.append(stored.seq)
    # each start takes a block of 2**20
    assert places == [1, 1048576, 2097152]


def test_above_the_quota_the_oldest_are_dropped_counted_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    quota = SMALLEST_QUOTA
    spool = Spool(tmp_path / "a.sqlite", quota)
    for number in range(500):
        assert spool.put(str(number), "label", bytes(950))
        size = sum(file.stat().st_size for file in tmp_path.iterdir())
        assert size <= quota, f"{size} bytes after {number} records"
    counts, kept = spool.counts(), ids(spool)
    assert counts.waiting + counts.dropped == 500
    # more than half of the quota holds bodies of 950 bytes; the rest is the log and the pages' own
    assert counts.waiting * 950 > 0.5 * quota
    assert kept == [str(number) for number in range(500 - len(kept), 500)]
    assert len(kept) == counts.waiting
    said = [record.getMessage() for record in caplog.records]
    assert "is at its quota; the oldest" in said[0]
    assert len(said) <= 4  # at the first, and as the count grows by a digit
    spool.close()
    assert Spool(tmp_path / "a.sqlite", quota).counts().dropped == counts.dropped


def test_record_larger_than_the_quota_is_refused_and_others_are_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path / "a.sqlite", SMALLEST_QUOTA)
    spool.put("0", "label", b"small")
    assert not spool.put("1", "label", bytes(SMALLEST_QUOTA))
    assert spool.put("2", "label", b"small")
    assert ids(spool) == ["0", "2"]
    assert "a record of 262144 bytes is larger than the quota has room for" in caplog.text


def test_two_processes_do_not_share_a_spool(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a.sqlite", MB)
    with pytest.raises(OutputError, match=r"a.sqlite is in use by another edgevit; stop that one, or choose .* spool="):
        Spool(tmp_path / "a.sqlite", MB)
    spool.close()
    Spool(tmp_path / "a.sqlite", MB).close()


def test_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        OutputError, match=r"^the spool .*a.sqlite cannot be written: .*; choose a folder .* spool=DIR$"
    ):
        Spool(tmp_path / "file" / "a.sqlite", MB)


def test_read_only_folder_is_one_clear_line() -> None:
    # not in tmp_path, whose parents nobody else may enter
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        is_root = os.geteuid() == 0
        try:
            if is_root:
                os.seteuid(65534)  # nobody: root may write anywhere
            assert os.listdir(folder) == []
            with pytest.raises(OutputError, match=r"cannot be written: unable to open database file; choose a folder"):
                Spool(Path(folder) / "a.sqlite", MB)
        finally:
            if is_root:
                os.seteuid(0)


def test_damaged_file_is_put_aside_and_a_new_one_begun(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.sqlite"
    path.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    spool = Spool(path, MB)
    assert spool.put("0", "label", b"body")
    assert ids(spool) == ["0"]
    assert (tmp_path / "a.sqlite.damaged").exists()
    assert "is damaged" in caplog.text


def test_file_damaged_while_running_does_not_end_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.sqlite"
    spool = Spool(path, MB)
    for number in range(50):
        spool.put(str(number), "label", bytes(3000))
    spool.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(random.Random(1).randbytes(path.stat().st_size - 4096))
    spool = Spool(path, MB)
    taken = [spool.put(str(number), "label", b"body") for number in range(3)]
    assert taken[-1]
    assert ids(spool)[-1] == "2"


def test_file_damaged_in_its_middle_is_put_aside_and_the_rest_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.sqlite"
    spool = Spool(path, 5 * MB)
    for number in range(300):
        spool.put(str(number), "label", bytes(3000))
    spool.close()
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 10)
        file.write(random.Random(1).randbytes(path.stat().st_size // 2))
    spool = Spool(path, 5 * MB)
    kept = ids(spool)
    # half of the file is gone, and a tenth before it and four tenths behind it are not
    assert 120 <= len(kept) <= 160
    assert kept == sorted(kept, key=int)
    assert spool.put("new", "label", b"body")
    assert ids(spool) == [*kept, "new"]
    assert "is damaged" in caplog.text
    assert f"{len(kept)} records of it go on" in caplog.text


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kill_at_any_moment_loses_nothing_that_was_taken(tmp_path: Path, seed: int) -> None:
    path, chance = tmp_path / "a.sqlite", random.Random(seed)
    taken = 0
    for _ in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(taken)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert writer.stdout
        writer.stdout.readline()
        time.sleep(chance.uniform(0, 0.15))
        writer.send_signal(signal.SIGKILL)
        # the pipe still holds what was printed before
        lines = writer.stdout.read().split("\n")[:-1]
        writer.wait()
        writer.stdout.close()
        taken = int(lines[-1]) + 1 if lines else taken + 1
        spool = Spool(path, 50 * MB)
        kept = ids(spool)
        # the last one may have been taken without being printed
        assert kept in ([str(n) for n in range(taken)], [str(n) for n in range(taken + 1)])
        taken = len(kept)
        spool.close()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


FULL_DISK = """
import logging, sys
from pathlib import Path
from edgevit.runtime.delivery.spool import Spool

logging.basicConfig(format="%(message)s")
spool = Spool(Path(sys.argv[1]), 50_000_000)
taken = [spool.put(str(number), "label", bytes(2000)) for number in range(1000)]
assert spool.counts().unsaved == taken.count(False) > 0
kept = [stored.id for stored in spool.oldest(1000)]
assert kept == [str(number) for number, done in enumerate(taken) if done], kept
spool.remove(spool.oldest(20)[-1].seq)
assert [stored.id for stored in spool.oldest(1000)] == kept[20:]
assert len(kept) > 20
print(kept[-1])
"""


def _run_full(path: Path, limit: Callable[[], None] | None) -> tuple[str, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], cwd=ROOT, capture_output=True, text=True, preexec_fn=limit
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr.splitlines()


def test_disk_that_takes_no_more_is_one_line_and_keeps_what_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    # files may not grow beyond 300 kB: writes fail as they do on a disk that is full
    last, said = _run_full(path, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)))
    assert len(said) == 1, said
    assert "cannot take a record: disk I/O error; what is stored is kept, make room there" in said[0]
    # with room again, all is there but what was delivered, or perhaps that too: at least once
    spool = Spool(path, 50 * MB)
    assert ids(spool)[-1] == last
    assert spool.put("next", "label", b"body")
    spool.close()


def test_full_disk_is_one_line_and_keeps_what_is_stored(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk takes root")
    try:
        last, said = _run_full(disk / "a.sqlite", None)
        assert len(said) == 1, said
        assert "cannot take a record: database or disk is full; what is stored is kept" in said[0]
        # a restart finds the disk as full as before
        spool = Spool(disk / "a.sqlite", 50 * MB)
        assert ids(spool)[-1] == last
        spool.close()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_records_are_taken_again_once_there_is_room(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    spool = Spool(tmp_path / "a.sqlite", 50 * MB, quiet_s=0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        taken = [spool.put(str(number), "label", bytes(5000)) for number in range(100)]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not taken[-1]
    assert spool.put("last", "label", b"body")
    assert f"takes records again; {taken.count(False)} were lost so far" in caplog.messages[-1]
    assert len(caplog.messages) == 2
    assert ids(spool) == [*(str(number) for number, done in enumerate(taken) if done), "last"]


def test_sync_flushes_what_a_loss_of_power_could_reach(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a.sqlite", MB)
    spool.put("0", "label", b"body")
    spool.sync()
    # the log alone, as it is on the disk now, restores the record
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in ("a.sqlite", "a.sqlite-wal"):
        (copy / file).write_bytes((tmp_path / file).read_bytes())
    assert ids(Spool(copy / "a.sqlite", MB)) == ["0"]
    spool.close()


@pytest.mark.parametrize("seed", range(5))
def test_log_cut_anywhere_by_a_power_cut_is_a_whole_beginning(tmp_path: Path, seed: int) -> None:
    spool = Spool(tmp_path / "a.sqlite", 50 * MB)
    for number in range(60):
        spool.put(str(number), "label", bytes(300))
    database, journal = ((tmp_path / name).read_bytes() for name in ("a.sqlite", "a.sqlite-wal"))
    spool.close()
    chance = random.Random(seed)
    for trial in range(10):
        folder = tmp_path / str(trial)
        folder.mkdir()
        (folder / "a.sqlite").write_bytes(database)
        cut = chance.randrange(len(journal))
        # what was not flushed may also be there as rubbish
        (folder / "a.sqlite-wal").write_bytes(journal[:cut] + chance.randbytes(chance.choice((0, 5000))))
        after = Spool(folder / "a.sqlite", 50 * MB)
        kept = ids(after)
        assert kept == [str(number) for number in range(len(kept))]
        assert after.put("new", "label", b"body")
        after.close()
