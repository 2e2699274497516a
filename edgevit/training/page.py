"""A finished run as one page that needs neither network nor JavaScript."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from edgevit.export.report.confusion import STYLE, confusion_svg
from edgevit.export.report.thumbnails import THUMBNAIL_SIDE, thumbnail
from edgevit.runtime.evaluation.interval import how_sure, wilson_interval
from edgevit.runtime.images.read import read_image
from edgevit.system.files import replacing_output
from edgevit.training.accuracy import Accuracy, Mistake
from edgevit.training.data import Data
from edgevit.training.drawing import Curve, draw_curve
from edgevit.training.kinds import Quality
from edgevit.training.result import ADVICE

TEMPLATE = "page.html.jinja"
CURVES = {"loss": "Loss on the training images", "top1": "Held-out images that are right", "miou": "Held-out mean IoU"}
"""Figures of the log that are drawn, with their headings."""


@dataclass(frozen=True)
class ClassRow:
    """One class in the page's table."""

    name: str
    trained: int
    """Images, or pixels of masks, trained on."""
    held_out: int
    share: float | None
    """The share of those held out that is right, or their intersection over union; None where there are none."""
    interval: tuple[float, float] | None
    """Where that share lies with 95 % certainty; None for masks, whose pixels resemble each other."""


def write_page(
    path: Path, model: str, data: Data, quality: Quality, log: list[dict[str, Any]], facts: dict[str, Any]
) -> None:
    """Write the page of a run.

    Args:
        path: where to.
        model: name of the model.
        data: what it was trained on and judged by.
        quality: the accuracy.
        log: the records of log.jsonl.
        facts: of the model card.

    Raises:
        OutputError: the file cannot be written.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    labelled = quality if isinstance(quality, Accuracy) else None
    text = environment.get_template(TEMPLATE).render(
        model=model,
        quality=quality,
        unit="images" if labelled else "pixels",
        sure=how_sure(labelled.right, labelled.images) if labelled else "",
        interval=wilson_interval(labelled.right, labelled.images) if labelled else None,
        rows=class_rows(data, quality),
        most=max(data.train.counts()),
        curves=draw_curves(log),
        matrix=Markup(confusion_svg(data.val.classes, labelled.confusion)) if labelled else None,  # noqa: S704 (escaped)
        confusion_style=Markup(STYLE),
        mistakes=[(mistake, picture_uri(mistake)) for mistake in labelled.mistakes] if labelled else [],
        facts=facts,
        recipe=json.dumps(facts["recipe"]),
    )
    with replacing_output(path, ADVICE) as file:
        # a file name may hold what is no UTF-8
        file.write_bytes(text.encode("utf-8", "replace"))


def class_rows(data: Data, quality: Quality) -> list[ClassRow]:
    """Return a row for each class, in the order of the classes."""
    hits = [row[i] for i, row in enumerate(quality.confusion)] if isinstance(quality, Accuracy) else None
    rows = []
    for i, (name, trained, held) in enumerate(
        zip(data.train.classes, data.train.counts(), data.val.counts(), strict=True)
    ):
        interval = wilson_interval(hits[i], held) if hits is not None and held else None
        rows.append(ClassRow(name, trained, held, quality.per_class.get(name), interval))
    return rows


def draw_curves(log: list[dict[str, Any]]) -> list[Curve]:
    """Return the curves of the figures that the log has; none where nothing was trained epoch by epoch."""
    curves = []
    for figure, name in CURVES.items():
        points = [(record["epoch"], record[figure]) for record in log if record.get(figure) is not None]
        if len(points) > 1:
            curves.append(draw_curve(name, points, percent=figure != "loss"))
    return curves


def read_log(out: Path) -> list[dict[str, Any]]:
    """Return the records of a run's log."""
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def picture_uri(mistake: Mistake) -> str:
    """Return a small picture as a data: address."""
    image = read_image(Path(mistake.path), min_size=(THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    return f"data:image/jpeg;base64,{base64.b64encode(thumbnail(image)).decode()}"
