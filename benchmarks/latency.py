"""Latency of the bundled models on this machine: PyTorch eager, float32 ONNX and int8 ONNX, interleaved.

    python benchmarks/latency.py [--rounds N] [--threads N]

A round runs each candidate once, so that whatever else the machine does falls on all of them; the table gives medians
with the middle half's spread, and the ratios of the medians.
"""

import platform
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import numpy as np
import torch

from edgevit.export.pipeline import export
from edgevit.export.recipe import Recipe
from edgevit.models.weights.resolve import build_with_weights, resolve_weights
from edgevit.models.zoo.registry import get_spec
from edgevit.runtime.backends.session import open_session
from edgevit.system.program import Program

MODELS = ("sbcformer_xs", "efficientvit_b0")
WARMUP = 5


@click.command(cls=Program, help=__doc__)
@click.option("--rounds", default=60, show_default=True)
@click.option("--threads", default=1, show_default=True)
@click.option("--model", "models", multiple=True, default=MODELS, show_default=True)
def main(rounds: int, threads: int, models: tuple[str, ...]) -> None:
    torch.set_num_threads(threads)
    click.echo(f"{platform.machine()}, {threads} thread(s), batch 1, {rounds} rounds; torch {torch.__version__}")
    click.echo(f"{'model':16} {'runtime':14} {'median ms':>10} {'middle half':>14} {'of eager':>9} {'of fp32':>8}")
    for name in models:
        with tempfile.TemporaryDirectory() as folder:
            runs = candidates(name, Path(folder), threads)
            times = interleaved(list(runs.values()), rounds)
        medians = dict(zip(runs, np.median(times, axis=1), strict=True))
        for label, row in zip(runs, times, strict=True):
            low, high = np.percentile(row, (25, 75))
            click.echo(
                f"{name:16} {label:14} {medians[label]:10.2f} {f'{low:.2f}-{high:.2f}':>14} "
                f"{medians[label] / medians['PyTorch eager']:9.2f} {medians[label] / medians['ONNX fp32']:8.2f}"
            )
        if medians["ONNX int8"] >= medians["ONNX fp32"]:
            click.echo(f"{name}: int8 is not faster than float32 on this machine; export it without --int8 for speed")


def candidates(name: str, folder: Path, threads: int) -> dict[str, Callable[[], object]]:
    """Return what is to be timed, by its label: calls without arguments."""
    spec = get_spec(name)
    weights = resolve_weights(spec, None)
    model = build_with_weights(spec, weights).eval()
    image = np.random.default_rng(0).standard_normal((1, 3, *weights.preprocess.size), np.float32)
    tensor = torch.from_numpy(image)

    def eager() -> object:
        with torch.inference_mode():
            return model(tensor)

    runs: dict[str, Callable[[], object]] = {"PyTorch eager": eager}
    for label, recipe in {"ONNX fp32": Recipe(name), "ONNX int8": Recipe(name, precision="int8")}.items():
        path = folder / f"{recipe.precision}.onnx"
        export(recipe, path)
        session = open_session(path, threads)
        runs[label] = partial(session.run, image)
    return runs


def interleaved(runs: list[Callable[[], object]], rounds: int) -> np.ndarray:
    """Return the time of each call in milliseconds, (runs, rounds)."""
    times = np.zeros((len(runs), rounds))
    for turn in range(-WARMUP, rounds):
        for i, run in enumerate(runs):
            started = time.perf_counter()
            run()
            if turn >= 0:
                times[i, turn] = 1e3 * (time.perf_counter() - started)
    return times


if __name__ == "__main__":
    main()
