"""TFLite beside ONNX on this machine: latency, operators, transposes and size of the same weights.

    python benchmarks/tflite.py [--rounds N] [--model NAME --weights FILE|random --data DIR]

One thread, interleaved: a round runs each candidate once, through the runtime's own sessions, and counts the processor
time of the calling thread, which does all the work; the table gives medians with the middle half's spread.
"""

import platform
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import numpy as np
import onnx
import torch

from edgevit.export.latency import interleaved_ms
from edgevit.export.pipeline import export
from edgevit.export.recipe import Recipe
from edgevit.export.tflite_graph.graph import opened, operators
from edgevit.models.weights.resolve import build_with_weights, resolve_weights
from edgevit.models.zoo.registry import get_spec
from edgevit.runtime.backends.session import open_session
from edgevit.system.program import Program

MODELS = ("sbcformer_xs", "efficientvit_b0")
CANDIDATES = {
    "ONNX fp32": {},
    "ONNX int8": {"precision": "int8"},
    "TFLite fp32": {"format": "tflite"},
    "TFLite int8": {"format": "tflite", "precision": "int8"},
    "TFLite int8, uint8 ends": {"format": "tflite", "precision": "int8", "io": "uint8"},
}
"""Label to what its recipe asks for."""


@click.command(cls=Program, help=__doc__)
@click.option("--rounds", default=60, show_default=True)
@click.option("--model", "models", multiple=True, default=MODELS, show_default=True)
@click.option("--weights", help="As for `edgevit export`.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Images to calibrate with; the shipped ones unless given."
)
def main(rounds: int, models: tuple[str, ...], weights: str | None, data: Path | None) -> None:
    torch.set_num_threads(1)
    click.echo(f"{platform.machine()}, 1 thread, batch 1, {rounds} rounds; torch {torch.__version__}")
    click.echo(
        f"{'model':16} {'runtime':24} {'median ms':>9} {'middle half':>13} {'of eager':>8} {'of ONNX fp32':>12} "
        f"{'operators':>9} {'transposes':>10} {'MB':>6}"
    )
    for name in models:
        with tempfile.TemporaryDirectory() as folder:
            files = exported(name, weights, data, Path(folder))
            runs = {"PyTorch eager": eager(name, weights)} | {
                label: partial(open_session(path, 1).run, picture(name, weights)) for label, path in files.items()
            }
            times = interleaved_ms(list(runs.values()), rounds)
            graphs = {label: operator_names(path) for label, path in files.items()}
            sizes = {label: path.stat().st_size / 1e6 for label, path in files.items()}
        medians = dict(zip(runs, np.median(times, axis=1), strict=True))
        for label, row in zip(runs, times, strict=True):
            low, high = np.percentile(row, (25, 75))
            line = (
                f"{name:16} {label:24} {medians[label]:9.2f} {f'{low:.2f}-{high:.2f}':>13} "
                f"{medians[label] / medians['PyTorch eager']:8.2f} {medians[label] / medians['ONNX fp32']:12.2f}"
            )
            if label in graphs:
                counts = graphs[label]
                line += f" {counts.total():9d} {counts['TRANSPOSE'] + counts['Transpose']:10d} {sizes[label]:6.2f}"
            click.echo(line)


def exported(name: str, weights: str | None, data: Path | None, folder: Path) -> dict[str, Path]:
    """Export each candidate; return its file by its label."""
    files = {}
    for number, (label, asked) in enumerate(CANDIDATES.items()):
        recipe = Recipe(name, weights=weights, data=data, **asked)  # type: ignore[arg-type]
        files[label] = folder / f"{number}.{recipe.format}"
        export(recipe, files[label])
    return files


def picture(name: str, weights: str | None) -> np.ndarray:
    """Return an input (1, 3, H, W)."""
    size = resolve_weights(get_spec(name), weights).preprocess.size
    values: np.ndarray = np.random.default_rng(0).standard_normal((1, 3, *size), np.float32)
    return values


def eager(name: str, weights: str | None) -> Callable[[], object]:
    """Return a call of the PyTorch model."""
    spec = get_spec(name)
    model = build_with_weights(spec, resolve_weights(spec, weights)).eval()
    tensor = torch.from_numpy(picture(name, weights))

    def run() -> object:
        with torch.inference_mode():
            return model(tensor)

    return run


def operator_names(path: Path) -> Counter[str]:
    """Count the operators of a file by their names."""
    if path.suffix == ".onnx":
        return Counter(node.op_type for node in onnx.load(path).graph.node)
    return Counter(name for name, _ in operators(opened(path.read_bytes())))


if __name__ == "__main__":
    main()
