"""A validation of classifiers as one page: accuracy, confusion matrices, and the photographs with wrong answers.

It is built without jinja2, so that a board can write it too.
"""

import base64
from html import escape
from pathlib import Path

from edgevit.errors import ImageError
from edgevit.export.report.confusion import MOST_CLASSES, STYLE, confusion_svg
from edgevit.export.report.thumbnails import THUMBNAIL_SIDE, THUMBNAILS, thumbnail
from edgevit.runtime.evaluation.report import Accuracy, Agreement, ModelQuality, Validation
from edgevit.runtime.images.read import read_image
from edgevit.system.files import replacing_output
from edgevit.text import printable

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
PAGE_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:0 auto;padding:1rem}"
    "h1{font-size:1.5rem;overflow-wrap:anywhere}h2{margin-top:2.5rem;overflow-wrap:anywhere}"
    ".scroll{overflow-x:auto}table{border-collapse:collapse}th,td{padding:.3rem .8rem;text-align:right;"
    "border-top:1px solid #8886}th:first-child{text-align:left;font-weight:400}thead th{font-weight:600}"
    ".photos{display:grid;grid-template-columns:repeat(auto-fill,minmax(8rem,1fr));gap:1rem;padding:0;list-style:none}"
    ".photos img{display:block;width:100%;aspect-ratio:1;object-fit:contain;background:#8882}"
    "small{overflow-wrap:anywhere;opacity:.75}"
)


def write_validation(found: Validation, path: Path) -> None:
    """Write the page.

    Raises:
        OutputError: the file cannot be written.
    """
    with replacing_output(path) as temporary:
        # a file name may hold what is no UTF-8
        temporary.write_bytes(validation_page(found).encode("utf-8", "replace"))


def validation_page(found: Validation) -> str:
    """Return the page; the photographs that it shows are read from their files."""
    title = _text(f"{found.data}: {found.judged.text}")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>{title}</title><style>{PAGE_STYLE}{STYLE}</style></head><body><h1>{title}</h1>"
        f"{_summary(found)}{''.join(_model(found, model) for model in found.models)}</body></html>\n"
    )


def _summary(found: Validation) -> str:
    ranked = any(model.accuracy is not None and model.accuracy.top5 is not None for model in found.models)
    heads = ["model", *(["top-1", *(["top-5"] if ranked else []), "calibration error"] if found.labelled else [])]
    heads += ["confidence", *(["agrees with the first"] if len(found.models) > 1 else [])]
    rows = []
    for model in found.models:
        cells = [_text(model.model)]
        if (accuracy := model.accuracy) is not None:
            cells += [f"{accuracy.top1:.1%}", *([_share(accuracy.top5)] if ranked else []), f"{accuracy.ece:.3f}"]
        cells.append(f"{model.mean_confidence:.3f}")
        if len(found.models) > 1:
            cells.append("" if model.agreement is None else f"{model.agreement.top1:.1%}")
        rows.append(cells)
    return _table(heads, rows)


def _model(found: Validation, model: ModelQuality) -> str:
    parts = [f"<h2>{_text(Path(model.model).name)}</h2>"]
    if model.accuracy is not None:
        parts.append(_accuracy(found, model.accuracy))
    if model.agreement is not None:
        parts.append(_changed(model.agreement))
    return "".join(parts) if len(parts) > 1 else ""


def _accuracy(found: Validation, accuracy: Accuracy) -> str:
    counts = [sum(row) for row in accuracy.confusion]
    more = f" (the {MOST_CLASSES} most confused classes)" if len(found.labels) > MOST_CLASSES else ""
    rows = [
        [_text(label), f"{count:,}", _share(accuracy.per_class[i])]
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
        f"<details><summary>Each class</summary>{_table(['class', 'images', 'right'], rows)}</details>"
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
        picture = f"<small>{_text(str(error))}</small>"
    else:
        picture = f'<img src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" alt="" loading="lazy">'
    name = "/".join(Path(source).parts[-2:])
    return f"<li>{picture}<b>{_text(answer)}</b><br>{_text(label)}<br><small>{_text(name)}</small></li>"


def _table(heads: list[str], rows: list[list[str]]) -> str:
    """Return a table; the cells are markup."""
    head = "".join(f"<th>{text}</th>" for text in heads)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{text}</td>" for text in others)}</tr>'
        for first, *others in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _text(text: str) -> str:
    return escape(printable(text))
