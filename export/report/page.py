"""Facts of an export to one page that needs neither network nor JavaScript, and the same as JSON beside it."""

import base64
import json
from pathlib import Path, PurePath

import markupsafe

from edgevit.export.report.boxes import BOX_STYLE, box_legend
from edgevit.export.report.chart import draw_chart
from edgevit.export.report.facts import LayerFacts, ReportData
from edgevit.export.report.place import MARK, check_report_path
from edgevit.export.report.template import page_environment
from edgevit.system.files import replacing_output

TEMPLATE = "report.html.jinja"
MOST_SENSITIVE = 5
"""Layers marked in the table because they are the last ones to make int8."""


def write_report(report: ReportData, path: Path) -> None:
    """Write FILE.html and FILE.json.

    Raises:
        OptionError: the path does not end in .html, or what is there is no report.
        OutputError: a file cannot be written.
    """
    check_report_path(path, figures=True)
    figures = json.dumps(report.to_dict(), indent=1, allow_nan=False)
    for target, text in ((path, render(report)), (path.with_suffix(".json"), figures)):
        with replacing_output(target) as temporary:
            # a file name may hold what is no UTF-8
            temporary.write_bytes(text.encode("utf-8", "replace"))


def render(report: ReportData) -> str:
    """Return the page."""
    environment = page_environment(Path(__file__).parent)
    environment.filters |= FILTERS
    return environment.get_template(TEMPLATE).render(
        mark=markupsafe.Markup(MARK),
        report=report,
        result=report.result,
        manifest=report.result.manifest,
        chart=draw_chart(report.points),
        total_macs=sum(layer.macs for layer in report.layers),
        sensitive=most_sensitive(report.layers),
        box_style=markupsafe.Markup(BOX_STYLE),
        box_legend=markupsafe.Markup(box_legend("expected, not found", "found, not expected")),
        measured_sensitivity=any(layer.sensitivity_db is not None for layer in report.layers),
    )


def most_sensitive(layers: tuple[LayerFacts, ...]) -> set[str]:
    """Return the names of the layers that disturb the answers most when they are int8."""
    measured = [(layer.sensitivity_db, layer.name) for layer in layers if layer.sensitivity_db is not None]
    return {name for _, name in sorted(measured)[:MOST_SENSITIVE]}


def percent(share: float, digits: int = 1) -> str:
    return f"{share:.{digits}%}".replace("%", "\u2009%")


def decibel(value: float | None, nothing: str = "\u2013") -> str:
    return nothing if value is None else f"{value:.1f}".replace("-", "\u2212")


def breakable(name: str) -> markupsafe.Markup:
    """Let a dotted name be broken after its dots."""
    return markupsafe.Markup(".<wbr>").join(name.split("."))


def last_parts(path: str) -> str:
    """Return the last two parts of a path: the class and the file."""
    return "/".join(PurePath(path).as_posix().split("/")[-2:])


def jpeg_uri(data: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


FILTERS = {
    "percent": percent,
    "decibel": decibel,
    "breakable": breakable,
    "ending": last_parts,
    "jpeg": jpeg_uri,
    "markup": markupsafe.Markup,
}
