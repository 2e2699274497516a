"""Whether results are being produced, of one source or several."""

import numpy as np

from edgevit.runtime.events.event import Event
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import event_record, result_record
from edgevit.runtime.results import Result
from edgevit.runtime.serve.status import RunStatus


def write_result(status: RunStatus, source: str, dropped: int = 0) -> None:
    moment = Moment(source, 0, 0, 0)
    result = Result(np.array([1.0], np.float32), ("fox",), source, moment=moment, dropped=dropped)
    status.write(result_record(result, moment))


def lose(status: RunStatus, source: str) -> None:
    status.write(event_record(Event("source_lost", Moment(source, 0, 0, 0), {"reason": "gone"})))


def test_run_of_several_sources_is_lost_only_when_all_are() -> None:
    status = RunStatus(60.0, sources=2)
    write_result(status, "a")
    write_result(status, "b")
    lose(status, "a")
    assert status.health().state == "running"
    assert "a is lost: gone" in status.health().reason
    lose(status, "b")
    assert status.health().state == "lost"
    write_result(status, "b")
    assert (status.health().state, "a is lost" in status.health().reason) == ("running", True)
    write_result(status, "a")
    assert status.health().reason == "results are being produced"


def test_run_of_one_source_is_lost_with_it() -> None:
    status = RunStatus(60.0)
    write_result(status, "a")
    lose(status, "a")
    assert status.health().state == "lost"


def test_dropped_pictures_of_all_sources_are_counted_together() -> None:
    status = RunStatus(60.0, sources=2)
    for source, dropped in (("a", 3), ("b", 4), ("a", 5)):
        write_result(status, source, dropped)
    assert status.snapshot().dropped == 9
