"""A validation of classifiers as one page: accuracy, confusion matrices, and the photographs with wrong answers."""

from pathlib import Path

from edgevit.errors import ImageError
from edgevit.export.report.confusion import MOST_CLASSES, STYLE, confusion_svg
from edgevit.export.report.markup import jpeg_uri, page, plain, share, short_path, table, write_page
from edgevit.export.report.thumbnails import THUMBNAIL_SIDE, THUMBNAILS, thumbnail
from edgevit.runtime.evaluation.report import Accuracy, Agreement, ModelQuality, Validation
from edgevit.runtime.images.read import read_image


def write_validation(found: Validation, path: Path) -> None:
    """Write the page.

    Raises:
        OutputError: the file cannot be written.
    """
    write_page(validation_page(found), path)


def validation_page(found: Validation) -> str:
    """Return the page; the photographs that it shows are read from their files."""
    title = plain(f"{found.data}: {found.judged.text}")
    return page(title, STYLE, _summary(found) + "".join(_model(found, model) for model in found.models))


def _summary(found: Validation) -> str:
    ranked = any(model.accuracy is not None and model.accuracy.top5 is not None for model in found.models)
    heads = ["model", *(["top-1", *(["top-5"] if ranked else []), "calibration error"] if found.labelled else [])]
    heads += ["confidence", *(["agrees with the first"] if len(found.models) > 1 else [])]
    rows = []
    for model in found.models:
        cells = [plain(model.model)]
        if (accuracy := model.accuracy) is not None:
            cells += [f"{accuracy.top1:.1%}", *([share(accuracy.top5)] if ranked else []), f"{accuracy.ece:.3f}"]
        cells.append(f"{model.mean_confidence:.3f}")
        if len(found.models) > 1:
            cells.append("" if model.agreement is None else f"{model.agreement.top1:.1%}")
        rows.append(cells)
    return table(heads, rows)


def _model(found: Validation, model: ModelQuality) -> str:
    parts = [f"<h2>{plain(Path(model.model).name)}</h2>"]
    if model.accuracy is not None:
        parts.append(_accuracy(found, model.accuracy))
    if model.agreement is not None:
        parts.append(_changed(model.agreement))
    return "".join(parts) if len(parts) > 1 else ""


def _accuracy(found: Validation, accuracy: Accuracy) -> str:
    counts = [sum(row) for row in accuracy.confusion]
    more = f" (the {MOST_CLASSES} most confused classes)" if len(found.labels) > MOST_CLASSES else ""
    rows = [
        [plain(label), f"{count:,}", share(accuracy.per_class[i])]
        for i, (label, count) in enumerate(zip(found.labels, counts, strict=True))
        if count
    ]
    wrong = sum(counts) - sum(accuracy.confusion[i][i] for i in range(len(counts)))
    photos = [
        _photo(mistake.source, f"{mistake.answer} {mistake.conf:.2f}", f"is {mistake.label}")
        for mistake in accuracy.mistakes[:THUMBNAILS]
    ]
    return (
        f"<p>Each row is a class, each column an answer{more}.</p>"
        f'<div class="scroll">{confusion_svg(found.labels, accuracy.confusion)}</div>'
        f"<h3>Wrong answers</h3>{_photos(photos, wrong)}"
        f"<details><summary>Each class</summary>{table(['class', 'images', 'right'], rows)}</details>"
    )


def _changed(agreement: Agreement) -> str:
    photos = [
        _photo(
            flip.source,
            f"{flip.before} {flip.before_conf:.2f} → {flip.after} {flip.after_conf:.2f}",
            "" if flip.label is None else f"is {flip.label}",
        )
        for flip in agreement.flipped[:THUMBNAILS]
    ]
    return f"<h3>Other answers than the first model's</h3>{_photos(photos, agreement.flips)}"


def _photos(photos: list[str], of: int) -> str:
    if not of:
        return "<p>None.</p>"
    which = "the surest first" if len(photos) == of else f"the {len(photos)} surest are shown"
    return f'<p>{of:,}, {which}.</p><ul class="photos">{"".join(photos)}</ul>'


def _photo(source: str, answer: str, label: str) -> str:
    """Return a photograph and its answer; one that cannot be read any more is shown by its name alone."""
    try:
        jpeg = thumbnail(read_image(source, min_size=(THUMBNAIL_SIDE, THUMBNAIL_SIDE)))
    except ImageError as error:
        picture = f"<small>{plain(str(error))}</small>"
    else:
        picture = f'<img src="{jpeg_uri(jpeg)}" alt="" loading="lazy">'
    return f"<li>{picture}<b>{plain(answer)}</b><br>{plain(label)}<br><small>{short_path(source)}</small></li>"
