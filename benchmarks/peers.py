"""Latency and accuracy of edgevit beside other runtimes on this machine, with the same weights and the same input.

    python benchmarks/peers.py [--test DIR] [--json FILE] [--plot FILE] [--model NAME]... [--row LABEL]... [--rounds N]
    python benchmarks/peers.py --read FILE... [--json FILE] [--plot FILE]

Every row is a process of its own; in each round every row takes its turn, one call that is not counted and then
--calls that are, while all others are stopped. Rows whose packages are not installed are left out, and the table says
so. With --test (CIFAR-10 as folders of pictures) rows also classify --limit pictures of each class, where the weights
are trained. docs/benchmark.md tells more.
"""

import datetime
import importlib.metadata
import tempfile
from pathlib import Path

import click
from peers.measure import REFERENCE, Plan, measure
from peers.plot import draw
from peers.process import PeerError
from peers.result import Comparison, joined
from peers.row import Job, Row
from peers.rows import ROWS
from peers.table import describe

from edgevit.device_profiles import detect_profile, find_profile
from edgevit.device_profiles.evidence import read_evidence
from edgevit.device_profiles.state import read_state
from edgevit.runtime.benchmark.machine import describe_machine, find_taints
from edgevit.system.program import Program

MODELS = ("sbcformer_xs", "sbcformer_s", "sbcformer_b", "efficientvit_b0", "efficientvit_b1")
PACKAGES = ("torch", "onnxruntime", "ai-edge-litert", "openvino", "nncf", "executorch", "ncnn", "MNN")
LABELS = {"onnx": "edgevit ONNX int8", "tflite": "edgevit TFLite int8"}
"""Format that a profile prefers, to the row that is edgevit's default there."""


@click.command(cls=Program, help=__doc__)
@click.option("--model", "models", multiple=True, default=MODELS, show_default=True)
@click.option("--weights", multiple=True, metavar="MODEL=FILE", help="Random where none are bundled, unless given.")
@click.option("--row", "labels", multiple=True, type=click.Choice([row.label for row in ROWS.values()]))
@click.option("--threads", default="1,2", show_default=True, metavar="N,N,...")
@click.option("--rounds", type=click.IntRange(min=1), default=30, show_default=True)
@click.option("--calls", type=click.IntRange(min=1), default=5, show_default=True, help="Counted calls in a round.")
@click.option("--test", type=click.Path(path_type=Path, file_okay=False, exists=True), help="Folder of test pictures.")
@click.option("--limit", default=100, show_default=True, help="Pictures of each class; 0 for all.")
@click.option(
    "--keep", type=click.Path(path_type=Path), help="Folder for converted models, used again if they are there."
)
@click.option("--json", "document", type=click.Path(path_type=Path), help="Write what was found; after every model.")
@click.option("--plot", type=click.Path(path_type=Path), help="Write a picture, as SVG.")
@click.option(
    "--read",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="Measure nothing; show a file of --json, or several of one machine as one.",
)
def main(
    models: tuple[str, ...],
    weights: tuple[str, ...],
    labels: tuple[str, ...],
    threads: str,
    rounds: int,
    calls: int,
    test: Path | None,
    limit: int,
    keep: Path | None,
    document: Path | None,
    plot: Path | None,
    read: tuple[Path, ...],
) -> None:
    if read:
        comparison = joined([Comparison.read(path) for path in read])
        if document is not None:
            document.write_text(comparison.to_json())
    else:
        plan = Plan(
            rows=chosen(labels),
            threads=tuple(map(int, threads.split(","))),
            rounds=rounds,
            calls=calls,
            default=default_label(),
            test=test,
            limit=limit,
            say=lambda text: click.echo(text, err=True),
        )
        given = dict(item.split("=", 1) for item in weights)
        with tempfile.TemporaryDirectory() as temporary:
            comparison = compare(models, given, plan, (keep or Path(temporary)).absolute(), document)
    if plot is not None:
        plot.write_text(draw(comparison))
    click.echo(describe(comparison))


def default_label() -> str:
    """Return the row that edgevit's profile of this machine prefers."""
    profile = detect_profile(read_evidence()).profile or find_profile("x86-64")
    return LABELS[profile.format.preferred]


def chosen(labels: tuple[str, ...]) -> tuple[Row, ...]:
    """Return the rows of these labels and the reference, or all."""
    return tuple(row for row in ROWS.values() if not labels or row.label in (*labels, REFERENCE))


def compare(
    models: tuple[str, ...], weights: dict[str, str], plan: Plan, folder: Path, document: Path | None
) -> Comparison:
    """Measure one model after the other; write what is known after each."""
    machine, before = describe_machine(), read_state()
    found, states, others = [], [], []
    for name in models:
        job = Job(name, weights.get(name, own_weights(name)), folder / name)
        job.folder.mkdir(parents=True, exist_ok=True)
        try:
            model, busy = measure(job, plan)
        except PeerError as error:
            raise click.ClickException(f"{name} cannot be prepared: {error}") from error
        found.append(model)
        states.append(read_state())
        others.append(busy)
        comparison = Comparison(
            date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            machine=machine.name,
            cores=machine.cores,
            packages=versions(),
            rounds=plan.rounds,
            calls=plan.calls,
            images=plan.limit if plan.test else 0,
            tainted=find_taints(before, states, states[-1], max(others)),
            default=plan.default,
            models=tuple(found),
        )
        if document is not None:
            document.write_text(comparison.to_json())
    return comparison


def own_weights(name: str) -> str | None:
    """Return what --weights would have to say for the weights that come with edgevit, or "random"."""
    from edgevit.models.zoo.registry import get_spec

    return None if any(entry.bundled for entry in get_spec(name).weights) else "random"


def versions() -> dict[str, str]:
    """Return the versions of the compared packages that are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    main()
