"""A finished run as one page that needs neither network nor JavaScript."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from edgevit.export.report.confusion import STYLE, confusion_svg
from edgevit.export.report.template import page_environment
from edgevit.export.report.thumbnails import THUMBNAIL_SIDE, thumbnail
from edgevit.runtime.evaluation.interval import how_sure, wilson_interval
from edgevit.runtime.images.read import read_image
from edgevit.system.files import replacing_output
from edgevit.training.accuracy import Accuracy
from edgevit.training.data import Data
from edgevit.training.detection.measure import BoxAccuracy
from edgevit.training.drawing import Curve, draw_curve
from edgevit.training.kinds import Quality
from edgevit.training.masked import MaskAccuracy
from edgevit.training.result import ADVICE

TEMPLATE = "page.html.jinja"
PHOTO_SIDE = 480
"""Longest side of a photo with boxes in pixels."""
CURVES = {
    "loss": "Loss on the training images",
    "top1": "Held-out images that are right",
    "miou": "Held-out mean IoU",
    "ap": "Average precision, held out",
    "ap50": "AP50, held out",
}
"""Figures of the log that are drawn, with their headings."""


@dataclass(frozen=True)
class ClassRow:
    """One class in the page's table."""

    name: str
    trained: int
    """Images, pixels of masks or boxes trained on."""
    held_out: int
    share: float | None
    """The share of those held out that is right, their intersection over union, or average precision; None where there
    are none."""
    interval: tuple[float, float] | None
    """Where that share lies with 95 % certainty; None for masks, whose pixels resemble each other, and for boxes."""


@dataclass(frozen=True)
class Head:
    """What the page begins with."""

    headline: str
    explanation: str
    unit: str
    """What is counted of each class."""
    share: str
    """What the classes' shares are."""
    sure: bool
    """Whether it is told how sure the shares are."""


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
    labelled = quality if isinstance(quality, Accuracy) else None
    shown = quality.shown if isinstance(quality, BoxAccuracy) else ()
    text = (
        page_environment(Path(__file__).parent)
        .get_template(TEMPLATE)
        .render(
            model=model,
            quality=quality,
            head=describe(quality),
            rows=class_rows(data, quality),
            most=max(data.train.counts()),
            curves=draw_curves(log),
            matrix=Markup(confusion_svg(data.val.classes, labelled.confusion)) if labelled else None,  # noqa: S704 (escaped)
            confusion_style=Markup(STYLE),
            mistakes=[(mistake, picture_uri(mistake.path)) for mistake in labelled.mistakes] if labelled else [],
            shown=[(one, picture_uri(one.path, PHOTO_SIDE)) for one in shown],
            facts=facts,
            recipe=json.dumps(facts["recipe"]),
        )
    )
    with replacing_output(path, ADVICE) as file:
        # a file name may hold what is no UTF-8
        file.write_bytes(text.encode("utf-8", "replace"))


def describe(quality: Quality) -> Head:
    """Return what the figures mean, in words."""
    if isinstance(quality, MaskAccuracy):
        return Head(
            f"Mean IoU {100 * quality.miou:.1f} %",
            f"{100 * quality.pixel_accuracy:.1f} % of the pixels of {quality.images:,} held-out images are right. "
            "Pixels of one image resemble each other, so how sure that is cannot be told from their number.",
            "pixels",
            "IoU",
            sure=False,
        )
    if isinstance(quality, BoxAccuracy):
        return Head(
            f"AP50 {100 * quality.ap50:.1f} %, AP {100 * quality.ap:.1f} %",
            f"On {quality.images:,} held-out images. AP50 asks that a box overlaps the true one by half; AP is the "
            f"mean over overlaps from 50 to 95 %. Boxes with a score of {quality.threshold:.2f} or more are the best "
            f"compromise between wrong and missed ones; their number in an image is then off by "
            f"{quality.count_error:.2g} on average.",
            "boxes",
            "AP",
            sure=False,
        )
    return Head(
        f"{100 * quality.top1:.0f} % of the held-out images are right",
        f"{how_sure(quality.right, quality.images)}. None of these images was trained on. Few images say little: with "
        "four times as many the range is half as wide. Images of one scene count as one.",
        "images",
        "Right",
        sure=True,
    )


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


def picture_uri(path: str, side: int = THUMBNAIL_SIDE) -> str:
    """Return a small picture, its longest side at most `side` pixels, as a data: address."""
    image = read_image(Path(path), min_size=(side, side))
    return f"data:image/jpeg;base64,{base64.b64encode(thumbnail(image, side)).decode()}"
