"""What a sink with a spool takes, in which order, what it tells of its backlog, and how it ends."""

import dataclasses
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from edgevit.runtime.delivery import sender
from edgevit.runtime.delivery.sender import BATCH, Backlog, DeliveryError, Refuse, SpooledSink
from edgevit.runtime.delivery.spool import Spool
from edgevit.runtime.delivery.stored import SpoolCounts, Stored
from edgevit.runtime.records import RESULT, Record
from tests.runtime.delivery.test_sender import FAST, Clerk, record
from tests.waiting import GENEROUS_S, wait_for


def result(number: int) -> Record:
    return dataclasses.replace(record(number), kind=RESULT)


def spool_in(folder: Path) -> Spool:
    return Spool(folder / "a.sqlite", 1_000_000)


@pytest.mark.parametrize(
    ("backlog", "text"),
    [
        (Backlog("clerk", False, SpoolCounts(0, 0, 0, 0)), "clerk is there, 0 records wait"),
        (Backlog("clerk", True, SpoolCounts(3, 0, 0, 9)), "clerk is away, 3 records wait"),
        (
            Backlog("clerk", False, SpoolCounts(3, 4, 0, 9)),
            "clerk is there, 3 records wait, 4 were dropped for the quota",
        ),
        (
            Backlog("clerk", False, SpoolCounts(3, 0, 5, 9)),
            "clerk is there, 3 records wait, 5 did not fit on the disk",
        ),
        (
            Backlog("clerk", False, SpoolCounts(3, 0, 0, 9, 6)),
            "clerk is there, 3 records wait, 6 were refused and are kept",
        ),
    ],
)
def test_backlog_is_a_line_for_people(backlog: Backlog, text: str) -> None:
    assert str(backlog) == text


def test_backlog_tells_who_is_away_and_what_waits(tmp_path: Path) -> None:
    clerk = Clerk(*[DeliveryError("away")] * 10_000)
    sink = SpooledSink(spool_in(tmp_path), clerk, backoff=FAST, drain_s=0)
    assert sink.name == "clerk"
    for number in range(2):
        sink.write(record(number))
    wait_for(lambda: sink.backlog().away)
    backlog = sink.backlog()
    assert (backlog.name, backlog.counts.waiting, sink.counts().waiting) == ("clerk", 2, 2)
    clerk.troubles.clear()
    wait_for(lambda: len(clerk.taken) == 2)
    wait_for(lambda: not sink.backlog().away)
    sink.close()
    assert sink.backlog().counts.waiting == 0


def test_events_are_taken_and_results_are_not_unless_asked_for(tmp_path: Path) -> None:
    clerk = Clerk()
    sink = SpooledSink(spool_in(tmp_path), clerk, backoff=FAST)
    sink.write(result(1))
    assert sink.stored == 0
    sink.write(record(2))
    assert sink.stored == 1
    sink.close()
    assert [stored.id for stored in clerk.taken] == [record(2).id]


def test_first_records_come_first_and_states_after_each_record_wanted_or_not(tmp_path: Path) -> None:
    clerk = Clerk()

    def states(of: Record) -> Iterable[Record]:
        yield record(of.moment.sequence + 100)
        yield record(of.moment.sequence + 200, "left")

    sink = SpooledSink(spool_in(tmp_path), clerk, backoff=FAST, first=[record(0)], states=states)
    sink.write(result(1))
    sink.write(record(2))
    sink.close()
    expected = [*map(record, (0, 100)), record(200, "left"), record(101), record(201, "left"), record(2), record(102)]
    expected.append(record(202, "left"))
    assert [stored.id for stored in clerk.taken] == [each.id for each in expected]
    assert [stored.body for stored in clerk.taken] == [each.to_json().encode() for each in expected]
    assert [stored.channel for stored in clerk.taken[:3]] == ["label", "label", "left/label"]
    assert sink.stored == 8


def test_records_are_sent_in_batches_of_fifty(tmp_path: Path) -> None:
    sizes: list[int] = []

    class Counting(Clerk):
        def send(self, batch: Sequence[Stored], refuse: Refuse) -> None:
            sizes.append(len(batch))
            super().send(batch, refuse)

    spool = spool_in(tmp_path)
    for number in range(120):
        spool.put(str(number), "label", b"{}")
    SpooledSink(spool, Counting(), backoff=FAST).close()
    assert (BATCH, sizes) == (50, [50, 50, 20])


def test_what_is_refused_is_kept_and_not_sent_again(tmp_path: Path) -> None:
    class Picky(Clerk):
        def send(self, batch: Sequence[Stored], refuse: Refuse) -> None:
            refuse(batch[0], "no foxes")
            super().send(batch[1:], refuse)

    spool, picky = spool_in(tmp_path), Picky()
    for number in range(3):
        spool.put(str(number), "label", b"{}")
    SpooledSink(spool, picky, backoff=FAST).close()
    assert [stored.id for stored in picky.taken] == ["1", "2"]
    again = spool_in(tmp_path)
    assert [(stored.id, reason) for stored, reason in again.refused(9)] == [("0", "no foxes")]
    again.close()


def test_what_is_left_at_the_end_is_told_and_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = SpooledSink(spool_in(tmp_path), Clerk(*[DeliveryError("away")] * 10_000), backoff=FAST, drain_s=0)
    for number in range(3):
        sink.write(record(number))
    sink.close()
    assert f"3 records for clerk stay in {tmp_path / 'a.sqlite'} for the next start" in caplog.messages
    clerk = Clerk()
    SpooledSink(spool_in(tmp_path), clerk, backoff=FAST).close()
    assert [stored.id for stored in clerk.taken] == [record(number).id for number in range(3)]


def test_nothing_is_said_where_nothing_is_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = SpooledSink(spool_in(tmp_path), Clerk(), backoff=FAST)
    sink.write(record(1))
    sink.close()
    assert caplog.messages == []


class Hanging(Clerk):
    """Holds the first batch until it is aborted."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.aborted = threading.Event(), threading.Event()

    def send(self, batch: Sequence[Stored], refuse: Refuse) -> None:
        self.began.set()
        assert self.aborted.wait(GENEROUS_S)
        time.sleep(0.1)  # it takes a moment to end
        raise DeliveryError("aborted")

    def abort(self) -> None:
        self.aborted.set()


def test_delivery_that_hangs_is_aborted_once_its_time_is_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hanging = Hanging()
    sink = SpooledSink(spool_in(tmp_path), hanging, backoff=FAST, drain_s=0.2)
    sink.write(record(1))
    assert hanging.began.wait(GENEROUS_S)
    # nothing has failed so far
    assert not sink.backlog().away
    begun_s = time.monotonic()
    sink.close()
    assert time.monotonic() - begun_s >= 0.2
    assert hanging.aborted.is_set()
    assert hanging.closed
    assert not sink._thread.is_alive()
    # the failure that closing itself has made is none to tell of
    assert not any("aborted" in message for message in caplog.messages)


def test_end_that_was_begun_before_gives_no_more_time(tmp_path: Path) -> None:
    hanging = Hanging()
    sink = SpooledSink(spool_in(tmp_path), hanging, backoff=FAST, drain_s=0.3)
    sink.write(record(1))
    assert hanging.began.wait(GENEROUS_S)
    begun_s = time.monotonic()
    sink.finish()
    deadline_s = sink._deadline_s
    assert begun_s + 0.3 <= deadline_s <= time.monotonic() + 0.3
    time.sleep(0.05)
    sink.finish()
    sink.close()
    assert sink._deadline_s == deadline_s


def test_delivery_is_closed_once_however_often_its_sink_is(tmp_path: Path) -> None:
    closings: list[int] = []

    class Closing(Clerk):
        def close(self) -> None:
            closings.append(1)

    sink = SpooledSink(spool_in(tmp_path), Closing(), backoff=FAST)
    sink.close()
    sink.close()
    assert closings == [1]


def test_thread_bears_its_destinations_name_and_keeps_no_program_alive(tmp_path: Path) -> None:
    sink = SpooledSink(spool_in(tmp_path), Clerk(), backoff=FAST)
    assert (sink._thread.name, sink._thread.daemon) == ("edgevit sender clerk", True)
    sink.close()


def test_flush_that_failed_stays_due_though_another_one_fails_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "SYNC_S", 3600.0)
    began, goes_on = threading.Event(), threading.Event()

    class Failing(Spool):
        def sync(self) -> None:
            if threading.current_thread() is other:
                began.set()
                goes_on.wait(GENEROUS_S)
            else:
                other.start()
                began.wait(GENEROUS_S)
            raise OSError(5, "Input/output error")

    sink = SpooledSink(Failing(tmp_path / "a.sqlite", 1_000_000), Clerk(), backoff=FAST)

    def flush() -> None:
        with pytest.raises(OSError, match="Input/output error"):
            sink.flush()

    other = threading.Thread(target=flush)
    sink.write(record(1))
    flush()
    goes_on.set()
    other.join()
    assert sink._unsynced_s is not None
    monkeypatch.setattr(Failing, "sync", Spool.sync)
    sink.close()


@pytest.mark.parametrize(
    ("trouble", "traced"),
    [(DeliveryError("away"), 0), (sqlite3.OperationalError("disk I/O error"), 0), (ValueError("a bug"), 1)],
)
def test_only_trouble_that_nobody_has_thought_of_leaves_a_trace(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, trouble: Exception, traced: int
) -> None:
    spool = spool_in(tmp_path)
    spool.put("1", "label", b"{}")
    clerk = Clerk(trouble)
    sink = SpooledSink(spool, clerk, backoff=FAST, steady_s=3600)
    wait_for(lambda: clerk.taken)
    sink.close()
    assert caplog.messages == [f"clerk: {trouble}; records wait in {tmp_path / 'a.sqlite'}, trying again"]
    assert caplog.text.count("Traceback") == traced


def test_return_is_told_with_what_waits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = spool_in(tmp_path)
    for number in range(53):
        spool.put(str(number), "label", b"{}")
    clerk = Clerk(DeliveryError("away"))
    sink = SpooledSink(spool, clerk, backoff=FAST, steady_s=0)
    wait_for(lambda: len(clerk.taken) == 53)
    sink.close()
    assert caplog.messages[1:] == ["clerk: back, 3 records to deliver"]


def test_trouble_says_what_arrived_and_how_long_to_wait() -> None:
    assert (DeliveryError("away").delivered, DeliveryError("away").wait_s) == (0, 0.0)
    trouble = DeliveryError("busy", 3, 1.5)
    assert (str(trouble), trouble.delivered, trouble.wait_s) == ("busy", 3, 1.5)


def test_thread_that_waits_is_woken_by_a_record_and_by_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "SYNC_S", 3600.0)
    asked: list[int] = []

    class Asked(Clerk):
        def ready(self) -> None:
            asked.append(1)

    clerk = Asked()
    sink = SpooledSink(spool_in(tmp_path), clerk, backoff=FAST)
    wait_for(lambda: asked)
    time.sleep(0.2)  # until it has found nothing, and waits
    assert len(asked) == 1
    sink.write(record(1))
    wait_for(lambda: clerk.taken)
    wait_for(lambda: len(asked) == 3)
    time.sleep(0.2)  # it would be asked again in this time
    # for the record, and once more until it waits again
    assert len(asked) == 3
    sink.finish()
    wait_for(lambda: not sink._thread.is_alive())
    sink.close()


def test_pause_is_that_of_the_backoff_or_what_the_other_side_asks_for_if_longer(tmp_path: Path) -> None:
    pauses_s: list[float] = []

    class Paused(SpooledSink):
        def _pause(self, pause_s: float) -> None:
            pauses_s.append(pause_s)

    spool = spool_in(tmp_path)
    spool.put("1", "label", b"{}")
    clerk = Clerk(ValueError("a bug"), DeliveryError("away"), DeliveryError("busy", wait_s=0.7))
    sink = Paused(spool, clerk, backoff=FAST)
    wait_for(lambda: clerk.taken)
    sink.close()
    bug_s, away_s, busy_s = pauses_s
    assert 0 < bug_s <= 0.02
    assert 0 < away_s <= 0.02
    assert busy_s == 0.7
