"""Counters for Prometheus, through its own client library; docs/serve.md lists them."""

from collections.abc import Callable, Iterator
from typing import Any

from edgevit.errors import MissingExtraError
from edgevit.runtime.board.report import BoardReport
from edgevit.runtime.board.status import BoardStatus, unix_time
from edgevit.runtime.delivery.sender import Backlog
from edgevit.runtime.serve.status import RunStatus, StatusSnapshot

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(status: RunStatus, about: dict[str, str], board: BoardReport | None = None) -> bytes:
    """Return Prometheus' text format.

    Args:
        status: are read now.
        about: labels of edgevit_info.
        board: what it says of itself, also read now; None where no model runs.

    Raises:
        MissingExtraError: prometheus_client is not installed.
    """
    try:
        import prometheus_client
    except ModuleNotFoundError as error:
        raise MissingExtraError("prometheus_client", "/metrics", "serve") from error
    registry = prometheus_client.CollectorRegistry()
    registry.register(_Collector(status.snapshot(), about, None if board is None else board.status()))
    return prometheus_client.generate_latest(registry)


class _Collector:
    """See prometheus_client's custom collectors."""

    def __init__(self, snapshot: StatusSnapshot, about: dict[str, str], board: BoardStatus | None) -> None:
        # the digest belongs to what answers now, which a reload may have changed
        self._about = about if board is None else about | {"sha256": board.sha256}
        self._tally, self._board = snapshot, board

    def collect(self) -> Iterator[Any]:
        from prometheus_client import core

        snapshot, answers = self._tally, sum(self._tally.results.values())
        yield core.InfoMetricFamily("edgevit", "What runs.", value=self._about)
        for name, text, value in (
            ("edgevit_healthy", "1 while results are being produced.", float(snapshot.health.ok)),
            ("edgevit_source_lost", "1 while the source gives no new picture.", float(snapshot.health.state == "lost")),
            ("edgevit_uptime_seconds", "Since the run began.", snapshot.uptime_s),
            ("edgevit_last_result_age_seconds", "Since the last result.", snapshot.last_age_s),
            ("edgevit_frame_age_seconds", "Age of the last live frame when it was classified.", snapshot.frame_age_s),
        ):
            if value is not None:
                yield core.GaugeMetricFamily(name, text, value=value)
        for name, text, label, counts in (
            ("edgevit_results", "Answers, by their best class.", "label", snapshot.results),
            ("edgevit_events", "Events, by kind.", "kind", snapshot.events),
        ):
            family = core.CounterMetricFamily(name, text, labels=[label])
            for key, count in counts.items():
                # a class name may hold bytes that are not UTF-8
                family.add_metric([key.encode("utf-8", "replace").decode()], count)
            yield family
        for name, text, count in (
            (
                "edgevit_frames_dropped",
                "Live frames replaced by a newer one before they were classified.",
                snapshot.dropped,
            ),
            ("edgevit_pictures_black", "Live pictures not classified, as nothing is on them.", snapshot.black),
            ("edgevit_pictures_damaged", "Pictures that could not be read.", snapshot.damaged),
        ):
            yield core.CounterMetricFamily(name, text, value=count)
        if self._board is not None:
            yield from _board_families(self._board)
        yield from _count_families(snapshot)
        yield from _crossing_families(snapshot)
        yield from _backlog_families(snapshot.backlogs)
        for name, text, total_s in (
            ("edgevit_preprocess_seconds", "Reading, decoding, scaling, normalising.", snapshot.preprocess_s),
            ("edgevit_inference_seconds", "The model.", snapshot.inference_s),
        ):
            yield core.SummaryMetricFamily(name, text, count_value=answers, sum_value=total_s)


def _board_families(board: BoardStatus) -> Iterator[Any]:
    """Yield what the board says of itself, as far as it knows."""
    from prometheus_client import core

    for name, text, value in (
        ("edgevit_model_loaded_timestamp_seconds", "When the model was loaded, in Unix time.", unix_time(board.since)),
        ("edgevit_frames_per_second", "Pictures that were classified, over the last minute.", board.frames_per_second),
        ("edgevit_temperature_celsius", "Temperature of the hottest zone.", board.temperature_c),
        ("edgevit_throttled", "1 while the board is short of power or slows down for heat.", board.throttled),
    ):
        if value is not None:
            yield core.GaugeMetricFamily(name, text, value=float(value))
    failed = float(board.reload_error is not None)
    yield core.GaugeMetricFamily("edgevit_reload_failed", "1 if the last reload left the old model in place.", failed)


def _count_families(snapshot: StatusSnapshot) -> Iterator[Any]:
    """Yield how many objects there are; nothing where no detector looks."""
    from prometheus_client import core

    if not snapshot.counts:
        return
    family = core.GaugeMetricFamily(
        "edgevit_count", "Objects in the newest picture.", labels=["label", "roi", "source"]
    )
    for (source, roi), counts in snapshot.counts.items():
        for label, count in counts.items():
            names = [text.encode("utf-8", "replace").decode() for text in (label, roi or "", source)]
            family.add_metric(names, count)
    yield family


def _crossing_families(snapshot: StatusSnapshot) -> Iterator[Any]:
    """Yield how many went over lines; nothing before the first."""
    from prometheus_client import core

    if not snapshot.crossings:
        return
    family = core.CounterMetricFamily(
        "edgevit_line_crossings", "Objects that went over a line.", labels=["source", "line", "label", "direction"]
    )
    for place, count in snapshot.crossings.items():
        family.add_metric([text.encode("utf-8", "replace").decode() for text in place], count)
    yield family


def _backlog_families(backlogs: tuple[Backlog, ...]) -> Iterator[Any]:
    """Yield what waits for each destination; nothing where nothing goes over a network."""
    from prometheus_client import core

    gauge, counter = core.GaugeMetricFamily, core.CounterMetricFamily
    table: tuple[tuple[Any, str, str, Callable[[Backlog], float]], ...] = (
        (gauge, "edgevit_spool_records", "Records that wait on disk.", lambda backlog: backlog.counts.waiting),
        (gauge, "edgevit_spool_bytes", "Bytes that they take.", lambda backlog: backlog.counts.bytes),
        (gauge, "edgevit_destination_away", "1 if the last attempt to deliver failed.", lambda backlog: backlog.away),
        (counter, "edgevit_spool_dropped", "Oldest given up for the quota.", lambda backlog: backlog.counts.dropped),
        (counter, "edgevit_spool_unsaved", "Not taken by the disk.", lambda backlog: backlog.counts.unsaved),
        (gauge, "edgevit_spool_refused", "Refused, and kept.", lambda backlog: backlog.counts.refused),
    )
    for kind, title, text, value in table if backlogs else ():
        family = kind(title, text, labels=["destination"])
        for number, backlog in enumerate(backlogs):
            # what is hidden of two web addresses may be all in which they differ
            before = [other.name for other in backlogs[:number]].count(backlog.name)
            name = f"{backlog.name} ({before + 1})" if before else backlog.name
            family.add_metric([name], float(value(backlog)))
        yield family
