"""int8 arrangements of the bundled models side by side: edgevit's own, and the stock route.

    python benchmarks/quantization.py [--test DIR] [--limit N] [--model NAME] [--methods]

CIFAR-10's test images are split in two halves, by turns. The first half calibrates what needs real images and decides
about --max-drop; the second half is only measured on. The stock route is torch.onnx.export of the float model and ONNX
Runtime's quantize_static, both with their defaults. Latency is the median of interleaved runs on one thread.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import click
import numpy as np
import torch
from accuracy import MODELS
from cifar10 import cifar10
from labelled import evenly, labelled
from latency import interleaved
from onnxruntime.quantization import CalibrationDataReader, quantize_static

from edgevit.artifact.manifest import Preprocess
from edgevit.errors import ModelFileError
from edgevit.export.data.images import ImageSet
from edgevit.export.pipeline import export
from edgevit.export.recipe import METHODS, Recipe
from edgevit.models.weights.resolve import ResolvedWeights, build_with_weights, resolve_weights
from edgevit.models.zoo.registry import get_spec
from edgevit.runtime.backends.session import Session, open_session
from edgevit.system.program import Program

STOCK_IMAGES = 256


@click.command(cls=Program, help=__doc__)
@click.option(
    "--test",
    type=click.Path(path_type=Path),
    help="Folder of test images; the archive beside the project unless given.",
)
@click.option(
    "--limit", type=click.IntRange(1), default=5000, show_default=True, help="Measure on at most this many images."
)
@click.option("--rounds", default=40, show_default=True, help="Timed runs of each file.")
@click.option("--model", "models", multiple=True, default=MODELS, show_default=True)
@click.option("--methods", is_flag=True, help="Also calibrate by every method, on real images.")
def main(test: Path | None, limit: int, rounds: int, models: tuple[str, ...], methods: bool) -> None:
    with cifar10("test", test) as images, tempfile.TemporaryDirectory() as folder:
        click.echo(
            f"{'model':16} {'file':20} {'top-1 %':>8} {'drop':>6} {'agree %':>8} {'SQNR dB':>8} "
            f"{'int8 MACs':>9} {'ms':>7} {'of fp32':>8}"
        )
        for name in models:
            weights = resolve_weights(get_spec(name), None)
            shown, places = labelled(images, weights.labels)
            deciding = linked(shown[::2], [weights.labels[place] for place in places[::2]], Path(folder, name))
            rows = files(name, Path(folder), deciding, methods)
            rows["stock int8"] = (stock(name, Path(folder), shown[::2]), None)
            chosen = [1 + 2 * place for place in evenly(len(shown) // 2, limit)]
            paths, truth = [shown[i] for i in chosen], np.array([places[i] for i in chosen])
            with contextlib.ExitStack() as stack:
                sessions = {}
                for label, (path, _) in rows.items():
                    try:
                        sessions[label] = stack.enter_context(contextlib.closing(open_session(path, 1)))
                    except ModelFileError as error:
                        click.echo(f"{name:16} {label:20} does not run: {error}")
                logits = answers(sessions, paths, weights.preprocess)
                image = next(ImageSet("folder", tuple(paths[:1])).inputs(weights.preprocess))
                runs: list[Callable[[], object]] = [partial(session.run, image) for session in sessions.values()]
                times = np.median(interleaved(runs, rounds), axis=1)
            reference = logits["fp32"]
            for (label, found), ms in zip(logits.items(), times, strict=True):
                share = rows[label][1]
                correct, wanted = np.mean(found.argmax(1) == truth), np.mean(reference.argmax(1) == truth)
                click.echo(
                    f"{name:16} {label:20} {100 * correct:8.2f} {100 * (wanted - correct):6.2f} "
                    f"{100 * np.mean(found.argmax(1) == reference.argmax(1)):8.2f} {sqnr(reference, found):8.1f} "
                    f"{f'{share:.1%}' if share is not None else '':>9} {ms:7.2f} {ms / times[0]:8.2f}"
                )


def files(name: str, folder: Path, deciding: Path, methods: bool) -> dict[str, tuple[Path, float | None]]:
    """Export every arrangement; return label to (file, share of int8 multiply-accumulates)."""
    recipes = {
        "fp32": Recipe(name),
        "int8": Recipe(name, precision="int8"),
        "int8 --max-drop 0.2": Recipe(name, precision="int8", data=deciding, max_drop=0.2, evaluation_images=4000),
    }
    if methods:
        recipes |= {
            f"int8 {method}": Recipe(name, precision="int8", data=deciding, method=method) for method in METHODS
        }
    rows: dict[str, tuple[Path, float | None]] = {}
    for label, recipe in recipes.items():
        path = folder / f"{name}-{label}.onnx"
        quantization = export(recipe, path).manifest.quantization
        rows[label] = (path, quantization.int8_mac_share if quantization else None)
    return rows


def stock(name: str, folder: Path, deciding: Sequence[Path]) -> Path:
    """Return the file that PyTorch's and ONNX Runtime's defaults make of the same weights and images."""
    spec = get_spec(name)
    weights: ResolvedWeights = resolve_weights(spec, None)
    preprocessing = weights.preprocess
    plain, path = folder / f"{name}-plain.onnx", folder / f"{name}-stock.onnx"
    torch.onnx.export(
        build_with_weights(spec, weights).eval(), (torch.zeros(1, 3, *preprocessing.size),), plain, verbose=False
    )
    chosen = [deciding[i] for i in np.random.default_rng(0).permutation(len(deciding))[:STOCK_IMAGES]]

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.inputs = ImageSet("folder", tuple(chosen)).inputs(preprocessing)

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self.inputs, None)
            return None if batch is None else {"x": batch}

    quantize_static(plain, path, Reader())
    return path


def linked(paths: Sequence[Path], classes: Sequence[str], folder: Path) -> Path:
    """Return the folder after filling it with links to the pictures, in folders of their classes."""
    for number, (path, name) in enumerate(zip(paths, classes, strict=True)):
        link = folder / name / f"{number}-{path.name}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.resolve())
    return folder


def answers(sessions: dict[str, Session], paths: list[Path], preprocessing: Preprocess) -> dict[str, np.ndarray]:
    """Return every session's logits, (images, classes), reading each image once."""
    logits: dict[str, list[np.ndarray]] = {label: [] for label in sessions}
    inputs: Iterator[np.ndarray] = ImageSet("folder", tuple(paths)).inputs(preprocessing)
    for batch in inputs:
        for label, session in sessions.items():
            logits[label].append(session.run(batch)[0])
    return {label: np.stack(rows) for label, rows in logits.items()}


def sqnr(reference: np.ndarray, logits: np.ndarray) -> float:
    """Return the ratio in dB of the logits' power to their error's, both without what all classes share."""
    signal = reference - reference.mean(axis=1, keepdims=True)
    error = (logits - reference) - (logits - reference).mean(axis=1, keepdims=True)
    return float(10 * np.log10((signal**2).mean() / max((error**2).mean(), 1e-30)))


if __name__ == "__main__":
    main()
