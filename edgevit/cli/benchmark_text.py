"""A benchmark as tables for people."""

from collections.abc import Sequence
from pathlib import Path

from edgevit.cli.tables import table
from edgevit.runtime.benchmark.compare import Change
from edgevit.runtime.benchmark.report import Report, Run
from edgevit.text import printable

COLUMNS = ("model", "threads", "p50 ms", "p90", "p99", "fps", "preprocess", "inference", "postprocess", "cores", "of 1")
FIRST_COLUMNS = ("model", "threads", "first answer ms", "import", "load", "answer", "peak MB")


def describe(report: Report) -> str:
    """Return the whole text: where, how fast, how soon, and whether to believe it."""
    machine = report.machine
    packages = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    lines = [
        printable(f"{machine.name}, {machine.cores} cores; {packages}"),
        printable(f"{report.picture}, {report.rounds} rounds"),
        "",
        table([COLUMNS, *(_speed(number, run) for number, run in enumerate(report.runs, start=1))]),
    ]
    if any(run.first for run in report.runs):
        lines += ["", table([FIRST_COLUMNS, *(_first(number, run) for number, run in enumerate(report.runs, start=1))])]
    lines += ["", *_states(report)]
    lines += [
        printable(f"{Path(run.model).name}: the warm-up did not settle") for run in report.runs if not run.settled
    ]
    if report.tainted:
        lines.append(
            printable(f"TAINTED: {'; '.join(report.tainted)}; cool, power or free the machine and measure again")
        )
    return "\n".join(lines)


def describe_changes(changes: Sequence[Change], doubts: Sequence[str]) -> str:
    """Return the comparison of two benchmarks."""
    rows = [("model", "threads", "before ms", "after ms", "ratio", "")]
    rows += [
        (
            change.model,
            str(change.threads),
            f"{change.before.total.p50_ms:.2f}",
            f"{change.after.total.p50_ms:.2f}",
            f"{change.ratio:.3f}",
            change.verdict,
        )
        for change in changes
    ]
    return "\n".join([table(rows), *(printable(f"beware: {doubt}") for doubt in doubts)])


def _speed(number: int, run: Run) -> tuple[str, ...]:
    ratio = f"{run.ratio.median:.2f} ({run.ratio.p10:.2f}-{run.ratio.p90:.2f})" if run.ratio else "-"
    total = run.total
    return (
        f"{number} {Path(run.model).name}",
        str(run.threads),
        *(f"{value:.2f}" for value in (total.p50_ms, total.p90_ms, total.p99_ms)),
        f"{run.fps:.1f}",
        *(f"{stage.p50_ms:.2f}" for stage in (run.preprocess, run.inference, run.postprocess)),
        f"{run.cores_busy:.2f}",
        ratio,
    )


def _first(number: int, run: Run) -> tuple[str, ...]:
    name = f"{number} {Path(run.model).name}"
    if run.first is None:
        return (name, str(run.threads), *["-"] * 5)
    times = (run.first.total_ms, run.first.import_ms, run.first.load_ms, run.first.answer_ms)
    return (name, str(run.threads), *(f"{value:.0f}" for value in times), f"{run.first.peak_mb:.1f}")


def _states(report: Report) -> list[str]:
    """Return what the machine says of its heat, clock and governor; nothing where it says nothing."""
    states = (report.before, report.during, report.after)
    lines = []
    for name, form, values in (
        ("temperature", "{:.1f} C", [state.temperature_c for state in states]),
        ("clock", "{:.0f} MHz", [state.clock_mhz for state in states]),
        ("throttle flags", "{:#x}", [state.throttle_flags for state in states]),
        ("load", "{:.2f}", [state.load for state in states]),
    ):
        if None not in values:
            before, during, after = (form.format(value) for value in values)
            lines.append(f"{name}: {before} before, {during} at worst, {after} after")
    if report.before.governor is not None:
        lines.append(printable(f"governor: {report.before.governor}"))
    return lines
