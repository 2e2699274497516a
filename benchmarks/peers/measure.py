"""Measuring all rows of a model by turns, so that whatever slows the machine down meets all of them alike."""

import contextlib
import importlib.util
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from labelled import labelled

from edgevit.device_profiles.state import busy_seconds
from peers.process import PeerError, Process, forget_other_weights, make
from peers.result import Measured, Model, Time
from peers.row import Job, Row
from peers.rows import IMPOSSIBLE

REFERENCE = "PyTorch eager"
NO_NUMBER = 1e9


@dataclass(frozen=True)
class Plan:
    """How to measure."""

    rows: tuple[Row, ...]
    threads: tuple[int, ...]
    rounds: int
    calls: int
    default: str
    """Label of the row that the others are compared with."""
    test: Path | None
    """Folder with a folder of pictures for each class."""
    limit: int
    """Pictures of each class."""
    say: Callable[[str], None]
    """Tells a person what is going on."""


@dataclass
class Runner:
    """A row with one number of threads, and its times: a list for each round, in milliseconds."""

    row: Row
    threads: int
    process: Process
    logits: list[float]
    rounds: list[list[float]] = field(default_factory=list)
    processor_ms: float = 0.0
    classes: list[int] | None = None


def measure(job: Job, plan: Plan) -> tuple[Model, float]:
    """Convert, run and judge every row; return also how many cores other processes kept busy meanwhile.

    Raises:
        PeerError: the model itself cannot be prepared.
        DataError: the folder to judge by has no pictures of a class.
    """
    with Process("prepare", job) as process:
        facts = process.answer()
    forget_other_weights(job.folder, facts["sha256"])
    files: list[Path] = []
    truth: list[int] = []
    if plan.test is not None and facts["trained"]:
        files, truth = labelled(plan.test, facts["labels"], plan.limit)
    absent = dict(IMPOSSIBLE)
    ready = [row for row in plan.rows if convert(job, row, plan, absent)]
    with contextlib.ExitStack() as stack:
        runners = [_open(stack, job, row, threads, plan, absent) for row in ready for threads in plan.threads]
        living = [runner for runner in runners if runner is not None]
        others = _take_turns(living, plan, absent)
        if files:
            _classify(living, files, plan, absent)
    living = [runner for runner in living if runner.row.label not in absent]
    rows = [_measured(row, living, truth, job, plan) for row in ready if row.label not in absent]
    return Model(job.model, facts["weights"], facts["trained"], tuple(rows), absent), others


def convert(job: Job, row: Row, plan: Plan, absent: dict[str, str]) -> bool:
    """Convert the model for a row, or note why that cannot be done."""
    missing = [package for package in row.packages if importlib.util.find_spec(package) is None]
    if missing:
        absent[row.label] = f"not installed: {', '.join(missing)}"
        return False
    plan.say(f"{job.model}: converting for {row.label}")
    try:
        make(job, row)
    except PeerError as error:
        absent[row.label] = f"cannot be converted: {error}"
        return False
    return True


def _open(
    stack: contextlib.ExitStack, job: Job, row: Row, threads: int, plan: Plan, absent: dict[str, str]
) -> Runner | None:
    """Start a process that runs the row, or note why that cannot be done."""
    if row.label in absent:
        return None
    plan.say(f"{job.model}: opening {row.label} with {threads} threads")
    process = stack.enter_context(Process("run", job, row.key, threads, threads=threads))
    try:
        return Runner(row, threads, process, process.answer()["logits"])
    except PeerError as error:
        absent[row.label] = f"does not run: {error}"
        return None


def _take_turns(runners: Sequence[Runner], plan: Plan, absent: dict[str, str]) -> float:
    """Time every row in every round; return how many cores other processes kept busy."""
    started, busy = time.perf_counter(), busy_seconds()
    own = time.process_time() + sum(runner.process.processor_s() for runner in runners)
    for number in range(plan.rounds):
        plan.say(f"round {number + 1} of {plan.rounds}")
        # each in turn is the first of a round
        start = number % max(1, len(runners))
        for runner in [*runners[start:], *runners[:start]]:
            if runner.row.label in absent:
                continue
            try:
                told = runner.process.ask(calls=plan.calls)
            except PeerError as error:
                absent[runner.row.label] = f"does not run: {error}"
                continue
            runner.rounds.append(told["ms"])
            runner.processor_ms += told["processor_ms"]
    own = time.process_time() + sum(runner.process.processor_s() for runner in runners) - own
    return max(0.0, (busy_seconds() - busy - own) / (time.perf_counter() - started))


def _classify(runners: Sequence[Runner], files: Sequence[Path], plan: Plan, absent: dict[str, str]) -> None:
    """Have the first number of threads of each row classify the pictures."""
    for runner in runners:
        if runner.threads == plan.threads[0] and runner.row.label not in absent:
            plan.say(f"accuracy of {runner.row.label}")
            try:
                runner.classes = runner.process.ask(classify=[str(file) for file in files])["classes"]
            except PeerError as error:
                absent[runner.row.label] = f"does not run: {error}"


def _measured(row: Row, runners: Sequence[Runner], truth: list[int], job: Job, plan: Plan) -> Measured:
    own = [runner for runner in runners if runner.row is row]
    default = {runner.threads: runner for runner in runners if runner.row.label == plan.default}
    reference = next((runner for runner in runners if runner.row.label == REFERENCE), own[0])
    files = [path for path in (job.folder / row.key).rglob("*") if path.is_file()]
    classes, expected = own[0].classes, reference.classes
    return Measured(
        label=row.label,
        precision=row.precision,
        how=row.how,
        size_mb=sum(path.stat().st_size for path in files) / 1e6 if files else None,
        times=tuple(summarize(runner, default.get(runner.threads)) for runner in own),
        deviation=deviation(own[0].logits, reference.logits),
        top1=None if classes is None else float(np.mean(np.array(classes) == truth)),
        agreement=None if classes is None or expected is None else float(np.mean(np.array(classes) == expected)),
    )


def summarize(runner: Runner, default: Runner | None) -> Time:
    """Return the quartiles of all calls, and the ratio to the default's in the same rounds."""
    calls = np.array(runner.rounds)
    low, median, high = np.percentile(calls, (25, 50, 75))
    ratio = None
    if default is not None:
        ratio = float(np.median(np.median(calls, axis=1) / np.median(np.array(default.rounds), axis=1)))
    return Time(runner.threads, float(median), float(low), float(high), runner.processor_ms / calls.sum(), ratio)


def deviation(logits: Sequence[float], reference: Sequence[float]) -> float:
    """Return the largest difference, as a share of the largest logit of the reference."""
    if not np.isfinite(logits).all():
        return NO_NUMBER
    return float(np.abs(np.subtract(logits, reference)).max() / np.abs(reference).max())
