"""Builds docs/grafana.json: a dashboard of many boards, from the metrics that `edgevit run --serve` offers.

    python tools/grafana_dashboard.py > docs/grafana.json

Needs grafana-foundation-sdk (the extra dev).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import dashboard as boards
from grafana_foundation_sdk.builders import prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef, VariableRefresh, VariableSort
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

JOB = 'job="edgevit"'
SOURCE = DataSourceRef(type_val="prometheus", uid="${prometheus}")
BOARDS = 'instance=~"$board"'
WIDE, HALF, QUARTER = 24, 12, 6
"""Columns that a panel takes, of the 24 that there are."""


@dataclass(frozen=True)
class Chart:
    """One panel."""

    title: str
    kind: Callable[[], Any]
    width: int
    queries: dict[str, str]
    """Legend to query."""
    about: str
    unit: str = "short"


CHARTS = (
    Chart("Boards", stat.Panel, QUARTER, {"boards": f"count(up{{{JOB}}})"}, "That Prometheus is told to ask."),
    Chart(
        "Silent boards",
        stat.Panel,
        QUARTER,
        {"silent": f"count(up{{{JOB}}} == 0) or vector(0)"},
        "Did not answer the last time they were asked.",
    ),
    Chart(
        "Boards without results",
        stat.Panel,
        QUARTER,
        {"ill": "count(edgevit_healthy == 0) or vector(0)"},
        "Answer, but classify nothing: their camera is lost or dark, or the model is late.",
    ),
    Chart(
        "Different models",
        stat.Panel,
        QUARTER,
        {"models": "count(count by (sha256) (edgevit_info)) or vector(0)"},
        "More than one while a new model rolls out.",
    ),
    Chart(
        "What runs",
        table.Panel,
        WIDE,
        {"": f"edgevit_info{{{BOARDS}}}"},
        "The digest is of the model that answers now, and changes with a reload.",
    ),
    Chart(
        "Pictures a second",
        timeseries.Panel,
        HALF,
        {"{{instance}}": f"edgevit_frames_per_second{{{BOARDS}}}"},
        "Classified, over the last minute.",
    ),
    Chart(
        "Time for one answer",
        timeseries.Panel,
        HALF,
        {
            "{{instance}} model": f"rate(edgevit_inference_seconds_sum{{{BOARDS}}}[5m])"
            f" / rate(edgevit_inference_seconds_count{{{BOARDS}}}[5m])",
            "{{instance}} picture": f"rate(edgevit_preprocess_seconds_sum{{{BOARDS}}}[5m])"
            f" / rate(edgevit_preprocess_seconds_count{{{BOARDS}}}[5m])",
        },
        "The model, and reading and scaling the picture.",
        "s",
    ),
    Chart(
        "Heat",
        timeseries.Panel,
        HALF,
        {"{{instance}}": f"edgevit_temperature_celsius{{{BOARDS}}}"},
        "Temperature of the hottest zone; a Raspberry Pi slows down from 80 degrees on.",
        "celsius",
    ),
    Chart(
        "Throttled",
        timeseries.Panel,
        HALF,
        {"{{instance}}": f"edgevit_throttled{{{BOARDS}}}"},
        "1 while a Raspberry Pi is short of power or slows down for heat.",
    ),
    Chart(
        "Records that wait for a network",
        timeseries.Panel,
        HALF,
        {"{{instance}}": f"sum by (instance) (edgevit_spool_records{{{BOARDS}}})"},
        "On disk, until a broker or web address takes them.",
    ),
    Chart(
        "Lost cameras",
        timeseries.Panel,
        HALF,
        {"{{instance}}": f"edgevit_source_lost{{{BOARDS}}}"},
        "1 while no new picture comes.",
    ),
    Chart(
        "Answers by their class",
        timeseries.Panel,
        HALF,
        {"{{label}}": f"sum by (label) (rate(edgevit_results_total{{{BOARDS}}}[5m]))"},
        "A second, of all boards together.",
    ),
    Chart(
        "Events",
        timeseries.Panel,
        HALF,
        {"{{kind}}": f"sum by (kind) (increase(edgevit_events_total{{{BOARDS}}}[1h]))"},
        "An hour, of all boards together.",
    ),
)


def panel(chart: Chart) -> Any:
    """Return the panel of a chart."""
    built = chart.kind().title(chart.title).description(chart.about).datasource(SOURCE).unit(chart.unit)
    built = built.span(chart.width).height(4 if chart.width == QUARTER else 8)
    for letter, (legend, query) in zip("ABC", chart.queries.items(), strict=False):
        asked = prometheus.Dataquery().expr(query).ref_id(letter).legend_format(legend).datasource(SOURCE)
        if chart.kind is table.Panel:
            asked = asked.instant().format(PromQueryFormat.TABLE)
        built = built.with_target(asked)
    return built


def dashboard() -> str:
    """Return the dashboard as JSON text."""
    built = (
        boards.Dashboard("edgevit boards")
        .uid("edgevit-boards")
        .tags(["edgevit"])
        .time("now-6h", "now")
        .refresh("1m")
        .with_variable(boards.DatasourceVariable("prometheus").label("Prometheus").type("prometheus"))
        .with_variable(
            boards.QueryVariable("board")
            .label("Board")
            .datasource(SOURCE)
            .query("label_values(edgevit_info, instance)")
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(VariableSort.ALPHABETICAL_ASC)
            .multi(True)
            .include_all(True)
            .all_value(".*")
        )
    )
    for chart in CHARTS:
        built = built.with_panel(panel(chart))
    return json.dumps(_without_nothing(json.loads(JSONEncoder().encode(built.build()))), sort_keys=True, indent=2)


def _without_nothing(value: Any) -> Any:
    """Leave out what the builder writes as null: it was not said."""
    if isinstance(value, dict):
        return {key: _without_nothing(item) for key, item in value.items() if item is not None}
    return [_without_nothing(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    print(dashboard())
