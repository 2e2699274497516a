"""What waits for a network, on the page, in its health and in the metrics."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from edgevit.runtime.backoff import Backoff
from edgevit.runtime.delivery.sender import DeliveryError, Refuse, SpooledSink
from edgevit.runtime.delivery.spool import SMALLEST_QUOTA, Spool
from edgevit.runtime.delivery.stored import Stored
from edgevit.runtime.events.event import Event
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import event_record, result_record
from edgevit.runtime.results import Result
from edgevit.runtime.serve.answers import ROUTES, PageState
from edgevit.runtime.serve.status import RunStatus
from edgevit.runtime.serve.view import View
from edgevit.runtime.sinks.combining import Sinks
from tests.places import DOCS
from tests.waiting import wait_for


class Post:
    """A destination that is away until it is told to be there."""

    name = "mqtt://broker:1883/farm"

    def __init__(self) -> None:
        self.there = False

    def ready(self) -> None:
        if not self.there:
            raise DeliveryError("cannot connect")

    def send(self, batch: Sequence[Stored], refuse: Refuse) -> None:
        """Take everything."""

    def abort(self) -> None:
        """Never waits."""

    def close(self) -> None:
        """Nothing is open."""


class Board:
    """A run that is healthy and sends its events to a post."""

    def __init__(self, folder: Path) -> None:
        self.post, self.status = Post(), RunStatus(3600.0)
        self.spool = Spool(folder / "spool.sqlite", SMALLEST_QUOTA)
        self.sinks = Sinks([Sinks([SpooledSink(self.spool, self.post, backoff=Backoff(0.01, 0.02))])])
        self.status.include(self.sinks.backlogs)
        moment = Moment("pen", 0, 0.0, 0.0)
        self.status.write(result_record(Result(np.array([1.0], np.float32), ("fox",), moment=moment), moment))

    def send(self, count: int, size: int = 10) -> None:
        for number in range(count):
            self.sinks.write(event_record(Event("label", Moment("pen", number, 0.0, 0.0), {"label": "x" * size})))

    def get(self, path: str) -> str:
        about = {"version": "1", "model": "m.onnx", "source": "pen"}
        return ROUTES[path](PageState(View(), self.status, about), {}).body.decode()


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    made = Board(tmp_path)
    yield made
    made.post.there = True
    made.sinks.close()


def samples(board: Board) -> dict[str, float]:
    parser = pytest.importorskip("prometheus_client.parser", reason="prometheus_client is not installed")
    families = parser.text_string_to_metric_families(board.get("/metrics"))
    return {
        sample.name: sample.value
        for family in families
        for sample in family.samples
        if sample.labels.get("destination") == Post.name
    }


def test_what_waits_is_on_the_page_and_in_the_health(board: Board) -> None:
    board.send(3)
    wait_for(lambda: board.status.snapshot().backlogs[0].away)
    waiting = f"results are being produced; {Post.name} is away, 3 records wait"
    assert board.get("/healthz") == f"running: {waiting}\n"
    assert f'<th>waiting for {Post.name}</th><td class="number">3</td>' in board.get("/panel")
    assert '"waiting": 3' in board.get("/state.json")
    board.post.there = True
    wait_for(lambda: board.status.snapshot().backlogs[0].counts.waiting == 0)
    wait_for(lambda: board.get("/healthz") == "running: results are being produced\n")


def test_receiver_that_is_away_is_no_illness_of_the_run(board: Board) -> None:
    """A new start of the service would not bring it back."""
    board.send(1)
    wait_for(lambda: board.status.snapshot().backlogs[0].away)
    assert board.status.health().ok


def test_depth_and_losses_are_metrics(board: Board) -> None:
    board.send(5)
    wait_for(lambda: board.status.snapshot().backlogs[0].away)
    found = samples(board)
    assert found["edgevit_spool_records"] == 5
    assert found["edgevit_spool_bytes"] >= 4096
    assert found["edgevit_destination_away"] == 1
    assert (found["edgevit_spool_dropped_total"], found["edgevit_spool_unsaved_total"]) == (0, 0)


def test_what_the_quota_took_is_told(board: Board) -> None:
    board.send(100, size=5000)
    board.send(1, size=SMALLEST_QUOTA)  # larger than the quota: not saved
    counts = board.spool.counts()
    assert counts.dropped > 0
    assert counts.waiting + counts.dropped == 100
    found = samples(board)
    assert found["edgevit_spool_dropped_total"] == counts.dropped
    assert found["edgevit_spool_unsaved_total"] == 1
    assert f"waiting for {Post.name} ({counts.dropped} dropped, 1 not saved)" in board.get("/panel")
    wait_for(lambda: board.status.snapshot().backlogs[0].away)
    assert f"{counts.dropped} were dropped for the quota, 1 did not fit on the disk" in board.get("/healthz")


def test_run_without_a_network_tells_nothing_of_it() -> None:
    state = PageState(View(), RunStatus(60.0), {"version": "1", "model": "m.onnx", "source": "pen"})
    pytest.importorskip("prometheus_client", reason="prometheus_client is not installed")
    assert b"spool" not in ROUTES["/metrics"](state, {}).body
    assert b"waiting" not in ROUTES["/panel"](state, {}).body


def test_page_may_ask_while_the_run_ends(board: Board) -> None:
    board.send(2)
    before = board.spool.counts()
    board.post.there = True
    board.sinks.close()
    assert board.spool.counts().waiting in (0, before.waiting)
    assert "waiting for" in board.get("/panel")


def test_every_metric_is_described(board: Board) -> None:
    parser = pytest.importorskip("prometheus_client.parser", reason="prometheus_client is not installed")
    board.send(1)
    described = (DOCS / "serve.md").read_text()
    families = list(parser.text_string_to_metric_families(board.get("/metrics")))
    names = [f"{family.name}_total" if family.type == "counter" else family.name for family in families]
    assert len(names) > 10
    assert [name for name in names if f"`{name}" not in described] == []
