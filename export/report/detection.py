"""A validation of detectors as one page: precision, counts, and the photographs in which most is missed or wrong."""

from pathlib import Path

from edgevit.export.report.boxes import BOX_STYLE, box_legend, box_pictures
from edgevit.export.report.markup import page, plain, share, table, write_page
from edgevit.export.report.thumbnails import THUMBNAILS
from edgevit.runtime.evaluation.detection import DetectionQuality, DetectionValidation


def write_detection(found: DetectionValidation, path: Path) -> None:
    """Write the page.

    Raises:
        OutputError: the file cannot be written.
    """
    write_page(detection_page(found), path)


def detection_page(found: DetectionValidation) -> str:
    """Return the page; the photographs that it shows are read from their files."""
    title = plain(f"{found.data}: {found.judged.text}")
    return page(title, BOX_STYLE, _summary(found) + "".join(_model(found, model) for model in found.models))


def _summary(found: DetectionValidation) -> str:
    heads = ["model", *(["AP", "AP50", "counts wrong by", "bias"] if found.labelled else ["boxes"])]
    heads += ["boxes as the first"] if len(found.models) > 1 else []
    rows = []
    for model in found.models:
        cells = [plain(model.model)]
        if model.precision is not None and model.counts is not None:
            cells += [share(model.precision.ap), share(model.precision.ap50)]
            cells += [f"{model.counts.total.error:.2f}", f"{model.counts.total.bias:+.2f}"]
        else:
            cells.append(f"{sum(model.found):,}")
        if len(found.models) > 1:
            cells.append("" if model.agreement is None else share(model.agreement.share))
        rows.append(cells)
    return table(heads, rows)


def _model(found: DetectionValidation, model: DetectionQuality) -> str:
    parts = [f"<h2>{plain(Path(model.model).name)}</h2>"]
    if model.counts is not None:
        parts += [_classes(found, model), "<h3>Pictures with the most missed and wrong boxes</h3>"]
        parts += [box_legend("missed", "wrong"), box_pictures(model.worst[:THUMBNAILS])] if model.worst else [NONE]
    if model.agreement is not None:
        parts.append("<h3>Pictures with other boxes than the first model's</h3>")
        legend = box_legend("only the first model found it", "only this one found it")
        changed = model.agreement.changed[:THUMBNAILS]
        parts += [legend, box_pictures(changed)] if changed else [NONE]
    return "".join(parts) if len(parts) > 1 else ""


NONE = "<p>None.</p>"


def _classes(found: DetectionValidation, model: DetectionQuality) -> str:
    assert model.counts is not None
    assert model.precision is not None
    heads = ["class", "boxes", "counted", "wrong by", "bias", "AP", "AP50", "right", "found", "best threshold"]
    rows = []
    for i, label in enumerate(found.labels):
        one = model.counts.per_class[i]
        if one.true or one.found:
            ap = [share(model.precision.per_class[i]), share(model.precision.per_class50[i])]
            counts = [f"{one.true:,}", f"{one.found:,}", f"{one.error:.2f}", f"{one.bias:+.2f}"]
            best = "" if one.best_threshold is None else f"{one.best_threshold:.2f}"
            rows.append([plain(label), *counts, *ap, share(one.precision), share(one.recall), best])
    return table(heads, rows)
