"""Timing models by turns, so that whatever slows the machine down meets all of them alike."""

import datetime
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgevit.device_profiles.state import MachineState, busy_seconds, read_state
from edgevit.runtime.benchmark.first import measure_first
from edgevit.runtime.benchmark.machine import describe_machine, find_taints, worst
from edgevit.runtime.benchmark.report import First, Report, Run
from edgevit.runtime.benchmark.summary import compare_rounds, is_settled, summarize
from edgevit.runtime.classifier import Classifier
from edgevit.runtime.loading import load
from edgevit.runtime.progress import Track

WARMUP_CALLS = 200
"""A warm-up ends after so many calls even if it has not settled."""


@dataclass(frozen=True)
class Plan:
    """What to measure."""

    models: tuple[Path, ...]
    threads: tuple[int, ...]
    """Each model is measured with each of them."""
    told: Mapping[str, Any]
    """Arguments of `load` for models that edgevit did not export; JSON can hold them."""
    picture: bytes
    """An image file's content, which is decoded each time."""
    picture_name: str
    rounds: int = 30
    calls: int = 5
    """Counted calls of each model in a round."""
    starts: int = 3
    """Processes started for the time to the first answer; 0 leaves it out."""
    warmup_s: float = 10.0
    """How long a warm-up that does not settle may last, in seconds."""


@dataclass
class _Turns:
    """One model with one number of threads, and its times so far, in milliseconds: a list for each round."""

    path: Path
    threads: int
    classifier: Classifier
    first: First | None
    warmup: list[float] = field(default_factory=list)
    preprocess: list[list[float]] = field(default_factory=list)
    inference: list[list[float]] = field(default_factory=list)
    postprocess: list[list[float]] = field(default_factory=list)
    total: list[list[float]] = field(default_factory=list)
    processor_s: float = 0.0


def benchmark(
    plan: Plan,
    root: Path = Path("/"),
    track: Track = lambda items, label, count: items,
    now: Callable[[], MachineState] | None = None,
) -> Report:
    """Measure every model with every number of threads, by turns.

    Args:
        plan: what to measure.
        root: where /proc and /sys are read.
        track: wraps the loop over rounds, for a progress display.
        now: reads the machine's state; from `root` unless given.

    Raises:
        ModelFileError: a model cannot be run.
        ImageError: the picture cannot be read.
    """
    now = now or (lambda: read_state(root))
    before = now()
    entries = [_open(path, threads, plan) for path in plan.models for threads in plan.threads]
    for entry in entries:
        _warm_up(entry, plan)
    during, others = [], []
    for number in track(range(plan.rounds), "benchmark", plan.rounds):
        start, busy, own = time.perf_counter(), busy_seconds(root), time.process_time()
        # each in turn is the first of a round
        for entry in entries[number % len(entries) :] + entries[: number % len(entries)]:
            _take_turn(entry, plan)
        during.append(now())
        passed = time.perf_counter() - start
        others.append((busy_seconds(root) - busy - (time.process_time() - own)) / passed)
    for entry in entries:
        entry.classifier.close()
    after = now()
    return Report(
        machine=describe_machine(root),
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        picture=plan.picture_name,
        rounds=plan.rounds,
        before=before,
        during=worst(during),
        after=after,
        tainted=find_taints(before, during, after, max(0.0, sum(others) / len(others))),
        runs=tuple(_run(entry, entries[0]) for entry in entries),
    )


def _open(path: Path, threads: int, plan: Plan) -> _Turns:
    classifier = load(path, threads, **plan.told)  # first, so that what is wrong with a model is said in its own words
    return _Turns(path, threads, classifier, measure_first(path, threads, plan.told, plan.picture, plan.starts))


def _warm_up(entry: _Turns, plan: Plan) -> None:
    """Call until two windows of calls take equally long."""
    end = time.perf_counter() + plan.warmup_s
    while not is_settled(entry.warmup) and len(entry.warmup) < WARMUP_CALLS and time.perf_counter() < end:
        start = time.perf_counter()
        entry.classifier(plan.picture)
        entry.warmup.append(1e3 * (time.perf_counter() - start))


def _take_turn(entry: _Turns, plan: Plan) -> None:
    entry.classifier(plan.picture)  # what another model put into the caches is not this one's fault
    rows = []
    for _ in range(plan.calls):
        start, processor = time.perf_counter(), time.process_time()
        result = entry.classifier(plan.picture)
        result.top(5)
        total = 1e3 * (time.perf_counter() - start)
        entry.processor_s += time.process_time() - processor
        rows.append((result.preprocess_ms, result.inference_ms, result.postprocess_ms, total))
    columns = (entry.preprocess, entry.inference, entry.postprocess, entry.total)
    for column, times in zip(columns, zip(*rows, strict=True), strict=True):
        column.append(list(times))


def _run(entry: _Turns, first: _Turns) -> Run:
    manifest = entry.classifier.manifest
    total = summarize(_flat(entry.total))
    return Run(
        model=str(entry.path),
        precision=manifest.precision if manifest else "unknown",
        size_mb=round(entry.path.stat().st_size / 1e6, 3),
        threads=entry.threads,
        calls=len(_flat(entry.total)),
        warmup=len(entry.warmup),
        settled=is_settled(entry.warmup),
        preprocess=summarize(_flat(entry.preprocess)),
        inference=summarize(_flat(entry.inference)),
        postprocess=summarize(_flat(entry.postprocess)),
        total=total,
        fps=round(1000 / total.p50_ms, 2),
        cores_busy=round(1e3 * entry.processor_s / sum(_flat(entry.total)), 2),
        ratio=None if entry is first else compare_rounds(entry.inference, first.inference),
        first=entry.first,
    )


def _flat(rounds: Sequence[Sequence[float]]) -> list[float]:
    return [value for values in rounds for value in values]
