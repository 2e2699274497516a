"""A validation as tables for people: how often a model is right, where not, how sure it is, how much it differs."""

from pathlib import Path

from edgevit.cli.tables import table
from edgevit.runtime.evaluation.interval import wilson_interval
from edgevit.runtime.evaluation.report import Agreement, ModelQuality, Validation
from edgevit.text import printable

CLASSES = 20
"""Classes shown: those that the models get wrong most often."""
CONFUSIONS = 5
"""Kinds of mistakes shown for each model: the most frequent ones."""


def describe(found: Validation) -> str:
    """Return the whole text: accuracy, classes, named images; below it confidence, and what differs from the first."""
    classes = f", {len(found.labels)} classes" if found.labelled else ", classes not known"
    parts = [printable(f"{found.data}: {found.judged.text}{classes}")]
    if found.labelled:
        parts += [table(_accuracies(found)), table(_classes(found))]
    for number, model in enumerate(found.models, start=1):
        name = printable(f"{number} {Path(model.model).name}")
        parts += _mistakes(found, model, name)
        if model.agreement is not None and model.agreement.flipped:
            parts.append(f"{name}, {_heading(model.agreement)}\n{_flips(model.agreement)}")
    parts.append(table(_confidences(found)))
    if len(found.models) > 1:
        parts.append(table(_agreements(found)))
    return "\n\n".join(parts)


def _accuracies(found: Validation) -> list[list[str]]:
    accuracies = [model.accuracy for model in found.models if model.accuracy is not None]
    ranked = accuracies[0].top5 is not None
    rows = [["model", "right", "top-1", "with 95% certainty", *(["top-5"] if ranked else [])]]
    for name, accuracy in zip(_numbered(found), accuracies, strict=True):
        right = sum(accuracy.confusion[i][i] for i in range(len(found.labels)))
        low, high = wilson_interval(right, found.images)
        row = [name, f"{right:,} of {found.images:,}", f"{accuracy.top1:.2%}", f"{low:.0%} to {high:.0%}"]
        rows.append([*row, share(accuracy.top5, 2)] if ranked else row)
    return rows


def _confidences(found: Validation) -> list[list[str]]:
    rows = [["model", "confidence", *(["calibration error"] if found.labelled else [])]]
    for name, model in zip(_numbered(found), found.models, strict=True):
        error = [] if model.accuracy is None else [f"{model.accuracy.ece:.4f}"]
        rows.append([name, f"{model.mean_confidence:.4f}", *error])
    return rows


def _agreements(found: Validation) -> list[list[str]]:
    """Return a row for each model but the first."""
    rows = [["beside 1", "agrees", "flips", "drift", "logit SQNR", "cosine"]]
    for name, model in zip(_numbered(found), found.models, strict=True):
        if (agreement := model.agreement) is not None:
            decibels = agreement.logit_sqnr_db
            rows.append(
                [
                    name,
                    f"{agreement.top1:.2%}",
                    f"{agreement.flips:,}",
                    f"{round(agreement.confidence_drift, 4) + 0:+.4f}",
                    "-" if decibels is None else f"{decibels:.1f} dB",
                    "-" if agreement.logit_cosine is None else f"{agreement.logit_cosine:.4f}",
                ]
            )
    return rows


def _numbered(found: Validation) -> list[str]:
    return [f"{number} {model.model}" for number, model in enumerate(found.models, start=1)]


def _classes(found: Validation) -> list[list[str]]:
    """Return a row for each class, or for the worst of them where there are many."""
    accuracies = [model.accuracy for model in found.models if model.accuracy is not None]
    counts = [sum(row) for row in accuracies[0].confusion]
    present = [i for i, count in enumerate(counts) if count]
    worst = sorted(present, key=lambda i: sum(accuracy.per_class[i] or 0 for accuracy in accuracies))[:CLASSES]
    title = "class" if len(worst) == len(present) else f"worst {len(worst)} of {len(present)} classes"
    rows = [[title, "images", *(str(number) for number in range(1, len(accuracies) + 1))]]
    for i in sorted(worst) if len(worst) == len(present) else worst:
        rows.append([found.labels[i], f"{counts[i]:,}", *(share(accuracy.per_class[i]) for accuracy in accuracies)])
    if absent := len(counts) - len(present):
        rows.append([f"({absent} without images)"] + [""] * (len(rows[0]) - 1))
    return rows


def _mistakes(found: Validation, model: ModelQuality, name: str) -> list[str]:
    """Return the kinds of mistakes by how frequent they are, then the images by name; nothing if all are right."""
    if model.accuracy is None:
        return []
    counted = [
        (count, found.labels[label], found.labels[answer])
        for label, row in enumerate(model.accuracy.confusion)
        for answer, count in enumerate(row)
        if count and label != answer
    ]
    counted.sort(key=lambda mistake: -mistake[0])
    kinds = "\n".join(
        printable(f"  {count:5,}  {label} taken for {answer}") for count, label, answer in counted[:CONFUSIONS]
    )
    named = "\n".join(
        printable(f"  {mistake.source}: {mistake.answer} {mistake.conf:.2f}  (is {mistake.label})")
        for mistake in model.accuracy.mistakes
    )
    wrong, shown = sum(count for count, *_ in counted), len(model.accuracy.mistakes)
    which = "the surest first" if shown == wrong else f"the {shown} surest"
    return [
        *([f"{name}, most frequent mistakes\n{kinds}"] if kinds else []),
        *([f"{name}, {wrong:,} wrong {'answer' if wrong == 1 else 'answers'}, {which}\n{named}"] if named else []),
    ]


def _heading(agreement: Agreement) -> str:
    shown = len(agreement.flipped)
    which = "the surest first" if shown == agreement.flips else f"the {shown} surest"
    balance = "" if agreement.lost is None else f" ({agreement.lost} right before, {agreement.gained} right now)"
    answers = "other answer" if agreement.flips == 1 else "other answers"
    return f"{agreement.flips:,} {answers} than 1{balance}, {which}"


def _flips(agreement: Agreement) -> str:
    return "\n".join(
        printable(
            f"  {flip.source}: {flip.before} {flip.before_conf:.2f} -> {flip.after} {flip.after_conf:.2f}"
            + ("" if flip.label is None else f"  (is {flip.label})")
        )
        for flip in agreement.flipped
    )


def share(value: float | None, digits: int = 1) -> str:
    """Return a share as per cent, "-" for none."""
    return "-" if value is None else f"{value:.{digits}%}"
