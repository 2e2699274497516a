"""A validation of segmentation models as tables for people."""

from edgevit.cli.tables import table
from edgevit.cli.validation_text import share
from edgevit.runtime.evaluation.segmentation import SegmentationValidation
from edgevit.text import printable

CLASSES = 40
"""Classes shown: those with the largest area."""


def describe(found: SegmentationValidation) -> str:
    """Return one line a model, then its classes."""
    known = f", {len(found.labels)} classes" if found.labelled else ", masks not known"
    columns = ["model"] + (["mean IoU", "pixel accuracy"] if found.labelled else [])
    columns += ["pixels agree with 1"] if len(found.models) > 1 else []
    rows = [columns]
    for number, model in enumerate(found.models, start=1):
        row = [f"{number} {model.model}"]
        row += [share(model.miou, 2), share(model.pixel_accuracy, 2)] if found.labelled else []
        row += [share(model.agreement, 2)] if len(found.models) > 1 else []
        rows.append(row)
    return "\n\n".join([printable(f"{found.data}: {found.judged.text}{known}"), table(rows), table(_classes(found))])


def _classes(found: SegmentationValidation) -> list[list[str]]:
    """Return a row for each class that occurs: its IoU where masks are known, else its area, by model."""
    first = found.models[0]
    order = sorted(range(len(found.labels)), key=lambda i: -first.areas[i])
    present = [
        i for i in order if any(model.areas[i] or (model.iou and model.iou[i] is not None) for model in found.models)
    ]
    what = "IoU" if found.labelled else "area"
    title = f"{what} of" if len(present) <= CLASSES else f"{what} of the {CLASSES} largest of {len(present)}"
    rows = [[title, *(str(number) for number in range(1, len(found.models) + 1))]]
    for i in present[:CLASSES]:
        values = [model.iou[i] if model.iou is not None else model.areas[i] for model in found.models]
        rows.append([found.labels[i], *(share(value) for value in values)])
    return rows
