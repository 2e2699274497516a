"""The thread between a spool and whatever it delivers to."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from edgevit.runtime.backoff import Backoff
from edgevit.runtime.delivery.sender import DeliveryError, Refuse, SpooledSink
from edgevit.runtime.delivery.spool import SMALLEST_QUOTA, Spool
from edgevit.runtime.delivery.stored import Stored
from edgevit.runtime.events.event import Event
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import Record, event_record
from edgevit.runtime.run.summary import RunSummary
from edgevit.runtime.sinks.combining import Sinks
from tests.places import ROOT
from tests.waiting import no_thread_left, own_threads, wait_for

FAST = Backoff(first_s=0.01, most_s=0.02)


def record(number: int, roi: str | None = None) -> Record:
    return event_record(Event("label", Moment("pen", number, number, number, roi), {"label": "fox"}))


class Clerk:
    """Takes what it is sent, after the troubles that it was given."""

    name = "clerk"

    def __init__(self, *troubles: Exception) -> None:
        self.troubles = list(troubles)
        self.taken: list[Stored] = []
        self.closed = False

    def ready(self) -> None:
        """Always there."""

    def send(self, batch: Sequence[Stored], refuse: Refuse) -> None:
        if self.troubles:
            trouble = self.troubles.pop(0)
            if isinstance(trouble, DeliveryError):
                self.taken += batch[: trouble.delivered]
            raise trouble
        self.taken += batch

    def abort(self) -> None:
        """Never waits."""

    def close(self) -> None:
        self.closed = True


def test_what_arrived_before_the_trouble_is_not_sent_again(tmp_path: Path) -> None:
    clerk = Clerk(DeliveryError("one moment"), DeliveryError("lost after two", delivered=2))
    spool = Spool(tmp_path / "a.sqlite", 1_000_000)
    for number in range(4):
        spool.put(str(number), "label", b"{}")
    sink = SpooledSink(spool, clerk, backoff=FAST)
    wait_for(lambda: len(clerk.taken) == 4)
    sink.close()
    assert [stored.id for stored in clerk.taken] == ["0", "1", "2", "3"]
    assert clerk.closed


def test_unforeseen_trouble_is_logged_and_does_not_end_the_thread(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clerk = Clerk(RuntimeError("a bug"), RuntimeError("a bug"))
    sink = SpooledSink(Spool(tmp_path / "a.sqlite", 1_000_000), clerk, backoff=FAST, steady_s=0)
    sink.write(record(1, "left"))
    wait_for(lambda: clerk.taken)
    sink.close()
    assert caplog.text.count("Traceback") == 1
    assert "clerk: a bug; records wait in" in caplog.text
    assert "clerk: back, " in caplog.text
    assert clerk.taken[0].channel == "left/label"


def test_clock_set_back_by_a_day_changes_no_order_and_no_id_comes_twice(tmp_path: Path) -> None:
    """Also over restarts, after each of which frames are numbered from 0 again."""
    noon = 1_763_640_000.0
    clerk = Clerk()
    written = []
    for begun_s in (noon, noon - 86_400, noon + 60):
        sink = SpooledSink(Spool(tmp_path / "spool.sqlite", 1_000_000), clerk, backoff=FAST)
        for number in range(3):
            event = Event("label", Moment("pen", number, float(number), begun_s + number), {"label": "fox"})
            written.append(event_record(event))
            sink.write(written[-1])
        sink.close()
    assert [stored.id for stored in clerk.taken] == [record.id for record in written]
    assert len({record.id for record in written}) == 9


def test_name_that_is_not_utf8_is_sent_all_the_same(tmp_path: Path) -> None:
    clerk = Clerk()
    sink = SpooledSink(Spool(tmp_path / "a.sqlite", 1_000_000), clerk, backoff=FAST)
    sink.write(record(1, "g\udc80te"))
    wait_for(lambda: clerk.taken)
    sink.close()
    assert clerk.taken[0].channel == "g?te/label"


def test_what_the_disk_does_not_take_counts_as_lost_in_what_the_run_tells(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a.sqlite", 1_000_000)
    sink = SpooledSink(spool, Clerk(DeliveryError("away")), backoff=Backoff(first_s=600, most_s=600))
    sink.write(record(1))
    spool._connection.execute("PRAGMA query_only = 1")  # as a full disk does, it takes nothing
    sink.write(record(2))
    sink.write(record(3))
    (told,) = Sinks([sink]).written()
    spool._connection.execute("PRAGMA query_only = 0")
    sink.close()
    assert (told.count, told.lost) == (1, 2)
    assert str(told) == "1 record in the queue for clerk, 2 records lost"
    assert not RunSummary(results=3, unreadable=0, live=False, written=(told,)).complete


def test_what_was_dropped_for_the_quota_counts_as_lost_in_what_the_run_tells(tmp_path: Path) -> None:
    """Only what this run dropped: the file counts what earlier ones did, too."""
    path, away = tmp_path / "a.sqlite", Backoff(first_s=600, most_s=600)
    dropped_before = 0
    for _ in range(2):
        sink = SpooledSink(Spool(path, SMALLEST_QUOTA), Clerk(DeliveryError("away")), backoff=away, drain_s=0)
        for number in range(2000):
            sink.write(record(number))
        counts, (told,) = sink.counts(), Sinks([sink]).written()
        sink.close()
        assert told.lost == counts.dropped - dropped_before > 0
        assert Sinks([sink]).written() == (told,)
        dropped_before = counts.dropped
    assert counts.waiting + counts.dropped == 4000


def test_thread_ends_with_its_sink(tmp_path: Path) -> None:
    before = own_threads()
    with no_thread_left():
        sink = SpooledSink(Spool(tmp_path / "a.sqlite", 1_000_000), Clerk(), backoff=FAST)
        assert own_threads() - before == {sink._thread}
        sink.close()
        sink.close()  # twice is no trouble


def test_records_are_flushed_to_the_disk_while_the_receiver_is_away(tmp_path: Path) -> None:
    synced: list[float] = []

    class Watched(Spool):
        def sync(self) -> None:
            synced.append(time.monotonic())
            super().sync()

    away = Clerk(*[DeliveryError("away")] * 10_000)
    sink = SpooledSink(Watched(tmp_path / "a.sqlite", 1_000_000), away, backoff=Backoff(60, 60), drain_s=0)
    written_s = time.monotonic()
    sink.write(record(1))
    wait_for(lambda: synced)
    assert synced[0] - written_s >= 0.9  # not for each record: an SD card takes its time
    sink.close()


class FailingSync(Spool):
    """A spool whose disk refuses to flush so many times."""

    def __init__(self, path: Path, failures: int) -> None:
        super().__init__(path, 1_000_000)
        self.failures, self.tried_s = failures, list[float]()

    def sync(self) -> None:
        self.tried_s.append(time.monotonic())
        if len(self.tried_s) <= self.failures:
            raise OSError(5, "Input/output error")
        super().sync()


def test_flush_that_failed_is_tried_again_without_a_new_record(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = FailingSync(tmp_path / "a.sqlite", 2)
    sink = SpooledSink(spool, Clerk(), backoff=FAST)
    sink.write(record(1))
    wait_for(lambda: len(spool.tried_s) == 3)
    time.sleep(1.2)  # once it is flushed there is nothing more to try
    assert len(spool.tried_s) == 3
    assert caplog.text.count("cannot be flushed: [Errno 5] Input/output error") == 2
    assert sink._thread.is_alive()
    sink.close()


def test_flush_that_the_caller_asked_for_and_that_failed_stays_due(tmp_path: Path) -> None:
    spool = FailingSync(tmp_path / "a.sqlite", 1_000_000)
    sink = SpooledSink(spool, Clerk(), backoff=FAST)
    sink.write(record(1))
    with pytest.raises(OSError, match="Input/output error"):
        sink.flush()
    tried = len(spool.tried_s)
    wait_for(lambda: len(spool.tried_s) > tried)
    sink.close()


def test_closing_on_a_failing_disk_closes_the_database(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = SpooledSink(FailingSync(tmp_path / "a.sqlite", 1000), Clerk(), backoff=FAST)
    sink.write(record(1))
    sink.close()
    assert "cannot be flushed" in caplog.text
    # another one may open it now
    Spool(tmp_path / "a.sqlite", 1_000_000).close()


def test_closing_delivers_more_than_one_batch_and_flushes(tmp_path: Path) -> None:
    spool = FailingSync(tmp_path / "a.sqlite", 0)
    for number in range(120):
        spool.put(str(number), "label", b"{}")
    clerk = Clerk(DeliveryError("one moment"))
    sink = SpooledSink(spool, clerk, backoff=FAST)
    wait_for(lambda: clerk.taken)
    sink.close()
    assert [stored.id for stored in clerk.taken] == [str(number) for number in range(120)]
    assert spool.tried_s


def test_pause_that_the_receiver_asks_for_is_a_lower_bound(tmp_path: Path) -> None:
    asked: list[float] = []

    class Busy(Clerk):
        def ready(self) -> None:
            asked.append(time.monotonic())

    busy = Busy(DeliveryError("busy", wait_s=0.7))
    sink = SpooledSink(Spool(tmp_path / "a.sqlite", 1_000_000), busy, backoff=FAST)
    sink.write(record(1))
    wait_for(lambda: busy.taken)
    sink.close()
    # the attempt that failed was the last one without a record, or the first one with it
    pauses_s = [later - earlier for earlier, later in zip(asked, asked[1:], strict=False)]
    assert max(pauses_s) >= 0.7


def test_what_the_other_side_says_is_one_line_of_300_characters() -> None:
    assert str(DeliveryError("a\nb\x1b" + "x" * 1000)) == "a?b?" + "x" * 296


def test_destination_that_comes_only_to_go_again_is_not_hurried(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clerk = Clerk(*[DeliveryError("gone")] * 1)
    sink = SpooledSink(Spool(tmp_path / "a.sqlite", 1_000_000), clerk, backoff=FAST, steady_s=3600)
    for number in range(4):
        sink.write(record(number))
        wait_for(lambda: len(clerk.taken) == number + 1)  # noqa: B023
        clerk.troubles.append(DeliveryError("gone"))
        # what is sent was taken before it is known to be there
        wait_for(lambda: not sink.backlog().away)
    assert sink._failures == 4
    sink.close()
    assert caplog.text.count("clerk: gone; records wait in") == 1
    assert "back" not in caplog.text


def _without_paho(code: str) -> str:
    absent = "import sys; sys.modules.update(dict.fromkeys(('paho', 'torch', 'onnx', 'PIL'))); "
    done = subprocess.run(
        [sys.executable, "-c", absent + code], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout


def test_sinks_need_no_package_that_a_board_lacks() -> None:
    modules = [
        f"edgevit.runtime.{room}.{path.stem}"
        for room in ("delivery", "events", "sinks")
        for path in (ROOT / "runtime" / room).glob("[!_]*.py")
    ]
    assert len(modules) > 20
    _without_paho(f"import {', '.join(modules)}")


def test_broker_without_the_extra_says_what_to_install(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from edgevit.runtime.addresses.destinations import parse_sinks
from edgevit.runtime.sinks.opening import *
try:
    open_sinks(parse_sinks(["mqtt://host/a"]), SinkContext(spool=Path({str(tmp_path)!r})))
except ImportError as error:
    print(error)
"""
    expected = "paho-mqtt is not installed, and talking to an MQTT broker needs it; run: pip install 'edgevit[mqtt]'\n"
    assert _without_paho(f"exec({code!r})") == expected
