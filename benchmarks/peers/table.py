"""A comparison as text: a table for each model, what is absent and why, and the verdict on edgevit's default."""

from collections.abc import Iterator

from peers.result import ALLOWED_DROP, Comparison, Measured, Model, keeps_accuracy

WITHIN = 1.05
"""The default may take this many times as long as the fastest."""
FLOAT_TOLERANCE = 0.01


def describe(comparison: Comparison) -> str:
    """Return Markdown."""
    packages = ", ".join(f"{name} {version}" for name, version in comparison.packages.items())
    lines = [
        f"{comparison.machine}, {comparison.cores} cores, {comparison.date}; batch 1, medians of {comparison.rounds} "
        f"interleaved rounds of {comparison.calls} calls, in brackets the middle half of the calls.",
        f"{packages}.",
    ]
    if comparison.tainted:
        lines.append(f"**Tainted, not to be trusted:** {'; '.join(comparison.tainted)}.")
    for model in comparison.models:
        lines += ["", *_model(comparison, model)]
    return "\n".join(lines) + "\n"


def _model(comparison: Comparison, model: Model) -> Iterator[str]:
    threads = sorted({time.threads for row in model.rows for time in row.times})
    random = "" if model.trained else " (random: times only)"
    yield f"### {model.name}, weights {model.weights}{random}"
    yield ""
    heads = [head for count in threads for head in (f"ms, {count} thread{'s' if count > 1 else ''}", "of default")]
    yield _line("runtime", *heads, "MB", "top-1 %", "drop", "same answers %", "")
    yield _line("---", *["---:"] * (len(heads) + 4), "---")
    for row in by_speed(model):
        cells = []
        for count in threads:
            time = next((time for time in row.times if time.threads == count), None)
            cells += (
                ["", ""]
                if time is None
                else [
                    f"{time.median_ms:.2f} ({time.low_ms:.2f}-{time.high_ms:.2f})",
                    "" if time.ratio is None else f"{time.ratio:.2f}",
                ]
            )
        drop = model.drop(row)
        name = f"**{row.label}**" if row.label == comparison.default else row.label
        yield _line(
            name,
            *cells,
            "" if row.size_mb is None else f"{row.size_mb:.2f}",
            "" if row.top1 is None else f"{100 * row.top1:.2f}",
            "" if drop is None else f"{drop:+.2f}",
            "" if row.agreement is None else f"{100 * row.agreement:.1f}",
            remark(comparison, model, row),
        )
    yield ""
    yield from (f"- {label}: {reason}" for label, reason in model.absent.items())
    yield ""
    yield verdict(comparison, model)


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def by_speed(model: Model) -> list[Measured]:
    """Return the rows, fastest with the fewest threads first."""
    return sorted(model.rows, key=lambda row: row.times[0].median_ms)


def remark(comparison: Comparison, model: Model, row: Measured) -> str:
    """Return what a reader must know before taking a row for an alternative."""
    if row.deviation >= 1e9:
        return "answers are no numbers"
    if row.precision == "fp32":
        return f"logits off by {row.deviation:.1%}" if row.deviation >= FLOAT_TOLERANCE else ""
    kept = keeps_accuracy(comparison, model, row)
    if kept is None:
        return "accuracy not known"
    if kept:
        return ""
    loses = f"loses over {ALLOWED_DROP:g} point"
    return loses if model.drop(row) is not None else f"{loses} where trained weights exist"


def verdict(comparison: Comparison, model: Model) -> str:
    """Say how the default compares with the fastest row that is an alternative, for each number of threads.

    Where the default's own accuracy is not known, other int8 rows are measured against it all the same: they are as
    unknown, and to leave them out would let a slow float row win.
    """
    default = model.row(comparison.default)
    if default is None:
        return f"edgevit's default, {comparison.default}, was not measured."
    known = keeps_accuracy(comparison, model, default) is not None
    among = "fastest of those that keep accuracy" if known else "fastest"
    parts = []
    for time in default.times:
        sound = [
            (other.median_ms, row.label)
            for row in model.rows
            if _is_alternative(comparison, model, row, known)
            for other in row.times
            if other.threads == time.threads
        ]
        if not sound:
            continue
        best, label = min(sound)
        judged = "within 5 %" if time.median_ms <= WITHIN * best else "**slower**"
        threads = f"{time.threads} thread{'s' if time.threads > 1 else ''}"
        parts.append(
            f"{threads}: {time.median_ms:.2f} ms, {among}: {label}, {best:.2f} ms "
            f"({time.median_ms / best:.2f} times, {judged})"
        )
    unknown = "" if known else " Accuracy was not measured: whether the int8 rows keep it is not known."
    return f"edgevit's default, {comparison.default}; " + "; ".join(parts) + f".{unknown}"


def _is_alternative(comparison: Comparison, model: Model, row: Measured, known: bool) -> bool:
    """Tell whether a row could take the default's place, as far as is known."""
    kept = keeps_accuracy(comparison, model, row)
    return kept is True or (kept is None and not known)
