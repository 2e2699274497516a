"""A validation of detectors as tables for people: counts, precision, and the pictures in which most is wrong."""

from collections.abc import Sequence
from pathlib import Path

from edgevit.cli.tables import table
from edgevit.cli.validation_text import share
from edgevit.runtime.evaluation.average_precision import BoxQuality
from edgevit.runtime.evaluation.box_difference import BoxDifference
from edgevit.runtime.evaluation.counting import ClassCounts, CountQuality
from edgevit.runtime.evaluation.detection import DetectionValidation
from edgevit.text import printable

CLASSES = 20
"""Classes shown: those with the most boxes."""
PICTURES = 5
"""Pictures named for each model."""


def describe(found: DetectionValidation) -> str:
    """Return the whole text: counts and precision of each model, then of each class, then the worst pictures."""
    known = "" if found.labelled else ", boxes not known"
    parts = [printable(f"{found.data}: {found.judged.text}{known}")]
    if found.labelled:
        parts += [table(_counts(found)), table(_precisions(found)), table(_classes(found))]
    else:
        parts.append(table(_boxes(found)))
    for number, model in enumerate(found.models, start=1):
        name = printable(f"{number} {Path(model.model).name}")
        if model.worst:
            parts.append(f"{name}, pictures with the most missed and wrong boxes\n{_pictures(model.worst, 'wrong')}")
        if model.agreement is not None and model.agreement.changed:
            parts.append(f"{name}, pictures with other boxes than 1\n{_pictures(model.agreement.changed, 'more')}")
    if len(found.models) > 1:
        parts.append(table(_agreements(found)))
    return "\n\n".join(parts)


def _numbered(found: DetectionValidation) -> list[str]:
    return [f"{number} {model.model}" for number, model in enumerate(found.models, start=1)]


def _known(found: DetectionValidation) -> list[tuple[str, BoxQuality, CountQuality]]:
    """Return each model's number and path, and its figures."""
    return [
        (name, model.precision, model.counts)
        for name, model in zip(_numbered(found), found.models, strict=True)
        if model.precision is not None and model.counts is not None
    ]


def _precisions(found: DetectionValidation) -> list[list[str]]:
    compared = len(found.models) > 1
    rows = [["model", "AP", "AP50", "AP75", "small", "medium", "large", *(["AP beside 1"] if compared else [])]]
    known = _known(found)
    for name, one, _ in known:
        values = (one.ap, one.ap50, one.ap75, one.ap_small, one.ap_medium, one.ap_large)
        rows.append([name, *map(share, values), *([_points(known[0][1].ap, one.ap)] if compared else [])])
    if compared:
        rows[1][-1] = ""
    return rows


def _points(before: float | None, now: float | None) -> str:
    return "-" if before is None or now is None else f"{round(100 * (now - before), 1) + 0:+.1f}"


def _counts(found: DetectionValidation) -> list[list[str]]:
    """Return how well each model counts, all classes together."""
    compared = len(found.models) > 1
    heads = ["model", "from score", "counted", "of", "wrong by", "bias", "right", "found", "best from"]
    rows = [[*heads, *(["wrong beside 1"] if compared else [])]]
    known = _known(found)
    for name, _, counts in known:
        rows.append([name, _thresholds(counts), *_count_cells(counts.total)])
        if compared:
            first = known[0][2].total.error
            rows[-1].append(f"{counts.total.error / first - 1:+.1%}" if first and len(rows) > 2 else "")
    return rows


def _thresholds(counts: CountQuality) -> str:
    least, most = min(counts.thresholds), max(counts.thresholds)
    return f"{least:g}" if least == most else f"{least:g} to {most:g}"


def _count_cells(counts: ClassCounts) -> list[str]:
    best = "-" if counts.best_threshold is None else f"{counts.best_threshold:g}"
    figures = [
        f"{counts.error:.2f}",
        f"{round(counts.bias, 2) + 0:+.2f}",
        share(counts.precision),
        share(counts.recall),
    ]
    return [f"{counts.found:,}", f"{counts.true:,}", *figures, best]


def _classes(found: DetectionValidation) -> list[list[str]]:
    """Return for each class, the most frequent first, a row for each model."""
    known = _known(found)
    order = sorted(range(len(found.labels)), key=lambda i: -known[0][2].per_class[i].true)
    present = [i for i in order if known[0][2].per_class[i].true]
    title = "class" if len(present) <= CLASSES else f"first {CLASSES} of {len(present)} classes"
    rows = [[title, "model", "AP", "AP50", "counted", "of", "wrong by", "bias", "right", "found", "best from"]]
    for i in present[:CLASSES]:
        for number, (_, precision, counts) in enumerate(known, start=1):
            average = [share(precision.per_class[i]), share(precision.per_class50[i])]
            rows.append([found.labels[i], str(number), *average, *_count_cells(counts.per_class[i])])
    return rows


def _boxes(found: DetectionValidation) -> list[list[str]]:
    """Return how many boxes of each class each model found."""
    rows = [["boxes of", *(str(number) for number in range(1, len(found.models) + 1))]]
    every = [sum(model.found[i] for model in found.models) for i in range(len(found.labels))]
    for i in sorted(range(len(every)), key=lambda i: -every[i])[:CLASSES]:
        rows.append([found.labels[i], *(f"{model.found[i]:,}" for model in found.models)])
    return rows


def _pictures(differences: Sequence[BoxDifference], extra: str) -> str:
    return "\n".join(
        printable(f"  {one.source}: {one.missed} missed, {one.extra} {extra}") for one in differences[:PICTURES]
    )


def _agreements(found: DetectionValidation) -> list[list[str]]:
    """Return a row for each model but the first."""
    rows = [["beside 1", "same boxes", "share", "lost", "gained"]]
    for name, model in zip(_numbered(found), found.models, strict=True):
        if (agreement := model.agreement) is not None:
            counts = [f"{agreement.lost:,}", f"{agreement.gained:,}"]
            rows.append([name, f"{agreement.same:,}", share(agreement.share), *counts])
    return rows
