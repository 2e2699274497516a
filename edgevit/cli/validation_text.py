"""A validation as tables for people."""

from pathlib import Path

from edgevit.cli.tables import table
from edgevit.runtime.evaluation.report import Agreement, ModelQuality, Validation
from edgevit.text import printable

CLASSES = 20
"""Classes shown: those that the models get wrong most often."""
CONFUSIONS = 5
"""Mistakes shown for each model: the most frequent ones."""


def describe(found: Validation) -> str:
    """Return the whole text: one line a model, then classes, mistakes and changed answers."""
    classes = f", {len(found.labels)} classes" if found.labelled else ", classes not known"
    parts = [printable(f"{found.data}: {found.judged.text}{classes}"), table(_summary(found))]
    if found.labelled:
        parts.append(table(_classes(found)))
    for number, model in enumerate(found.models, start=1):
        name = printable(f"{number} {Path(model.model).name}")
        if mistakes := _mistakes(found, model):
            parts.append(f"{name}, most frequent mistakes\n{mistakes}")
        if model.agreement is not None and model.agreement.flipped:
            parts.append(f"{name}, {_heading(model.agreement)}\n{_flips(model.agreement)}")
    return "\n\n".join(parts)


def _summary(found: Validation) -> list[list[str]]:
    columns = ["model"]
    columns += ["top-1", "top-5", "calibration error"] if found.labelled else []
    columns += ["confidence"]
    compared = len(found.models) > 1
    columns += ["agrees with 1", "drift", "logit SQNR", "cosine", "flips"] if compared else []
    rows = [columns]
    for number, model in enumerate(found.models, start=1):
        row = [f"{number} {model.model}"]
        if (accuracy := model.accuracy) is not None:
            row += [f"{accuracy.top1:.2%}", share(accuracy.top5, 2), f"{accuracy.ece:.4f}"]
        row.append(f"{model.mean_confidence:.4f}")
        if (agreement := model.agreement) is not None:
            decibels = agreement.logit_sqnr_db
            row += [
                f"{agreement.top1:.2%}",
                f"{round(agreement.confidence_drift, 4) + 0:+.4f}",
                "-" if decibels is None else f"{decibels:.1f} dB",
                "-" if agreement.logit_cosine is None else f"{agreement.logit_cosine:.4f}",
                f"{agreement.flips:,}",
            ]
        rows.append(row + ["-"] * (len(columns) - len(row)))
    return rows


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


def _mistakes(found: Validation, model: ModelQuality) -> str:
    if model.accuracy is None:
        return ""
    counted = [
        (count, found.labels[label], found.labels[answer])
        for label, row in enumerate(model.accuracy.confusion)
        for answer, count in enumerate(row)
        if count and label != answer
    ]
    counted.sort(key=lambda mistake: -mistake[0])
    return "\n".join(
        printable(f"  {count:5,}  {label} taken for {answer}") for count, label, answer in counted[:CONFUSIONS]
    )


def _heading(agreement: Agreement) -> str:
    shown = len(agreement.flipped)
    which = "the surest first" if shown == agreement.flips else f"the {shown} surest"
    balance = "" if agreement.lost is None else f" ({agreement.lost} right before, {agreement.gained} right now)"
    return f"{agreement.flips:,} other answers than 1{balance}, {which}"


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
