"""Time and accuracy of models at several input sizes: estimated for a Raspberry Pi 4, measured on CIFAR-10.

    python benchmarks/sizes.py [--model NAME]... [--accuracy N] [--test DIR] [--json edgevit/models/zoo/sizes.json]

The work is that of files with the published number of classes and random weights, on which it does not depend, added
up by the prices of `edgevit benchmark --estimate`; the times are for three threads at 1.8 GHz, as `edgevit run` takes
on that board. Models for small boards are counted in both formats at several sizes, the others as ONNX at their own;
those of more than --largest operations, which are none for such a board, are left out. With --accuracy N the bundled
weights are exported to int8 TFLite at each size, and judged on N test pictures. --json keeps what the file says of
other models.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import click
from cifar10 import cifar10

from edgevit.device_profiles import find_profile
from edgevit.export import export
from edgevit.export.budget.work import PRECISIONS, sized_works
from edgevit.export.estimate.estimate import conditions, milliseconds
from edgevit.export.recipe import SUFFIXES, Format
from edgevit.models import create_model, list_models
from edgevit.models.zoo.registry import get_spec
from edgevit.models.zoo.sizes import FILE, smaller_sizes
from edgevit.models.zoo.spec import ModelSpec
from edgevit.runtime.evaluation.validate import validate
from edgevit.system.program import Program

SMALL = ("efficientvit_b0", "sbcformer_xs", "efficientvit_b0_det", "efficientvit_b1", "sbcformer_s", "sbcformer_b")
"""Counted in both formats, at several sizes."""


@click.command(cls=Program, help=__doc__)
@click.option("--model", "models", multiple=True, default=list_models(), help="Default: all of the zoo.")
@click.option("--largest", default=10.0, show_default=True, help="G multiply-accumulates.")
@click.option("--works/--no-works", default=True, show_default=True, help="Count the work.")
@click.option("--accuracy", default=0, show_default=True, metavar="N", help="Test pictures to judge on; 0 for none.")
@click.option("--test", type=click.Path(path_type=Path, file_okay=False, exists=True), help="Folder of test pictures.")
@click.option("--json", "document", type=click.Path(path_type=Path), help="Write the figures there, too.")
def main(
    models: tuple[str, ...], largest: float, works: bool, accuracy: int, test: Path | None, document: Path | None
) -> None:
    found = json.loads((document if document and document.exists() else FILE).read_text())
    for spec in [spec for spec in map(get_spec, models) if spec.macs <= largest * 1e9]:
        if works:
            found["works"][spec.name] = count(spec)
        if accuracy and any(entry.bundled for entry in spec.weights):
            with cifar10("test", test) as pictures:
                found["accuracies"][spec.name] = judge(spec, pictures, accuracy)
        if document is not None:
            document.write_text(json.dumps(found, indent=1) + "\n")


def count(spec: ModelSpec) -> dict[str, dict[str, tuple[float, float]]]:
    """Return and print the millions of instructions and misses of each size, format and precision."""
    threads, mhz = conditions(find_profile("rpi4"))
    found: dict[str, dict[str, tuple[float, float]]] = {}
    small = spec.name in SMALL
    formats: tuple[Format, ...] = tuple(SUFFIXES) if small else ("onnx",)
    for size in smaller_sizes(spec.preprocess.size) if small else [spec.preprocess.size]:
        model = create_model(spec.name, size=size).eval()
        for work in sized_works(spec, model, size, formats, PRECISIONS):
            counts = round(work.instructions / 1e6, 2), round(work.misses / 1e6, 3)
            found.setdefault("x".join(map(str, size)), {})[f"{work.format} {work.precision}"] = counts
            ms = milliseconds(work.instructions, work.misses, threads, mhz)
            click.echo(f"{spec.name} {size[0]}x{size[1]} {work.format} {work.precision}: estimated {ms:.1f} ms")
    return found


def judge(spec: ModelSpec, pictures: Path, count: int) -> dict[str, Any]:
    """Return and print the accuracy of the bundled weights as an int8 TFLite file of each size."""
    weights = next(entry for entry in spec.weights if entry.bundled)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for size in smaller_sizes(spec.preprocess.size):
            path = Path(folder) / "model.tflite"
            export(spec.name, path, weights=weights.name, format="tflite", imgsz=size)
            judged = validate(path, pictures, task="classify", every=True, limit=count)
            found_accuracy = judged.models[0].accuracy
            assert found_accuracy is not None
            top1, text = found_accuracy.top1, "x".join(map(str, size))
            found[text] = {"weights": weights.name, "top1": round(100 * top1, 2), "images": judged.images}
            click.echo(f"{spec.name} {text} {weights.name}: {100 * top1:.2f} % of {judged.images} pictures")
    return found


if __name__ == "__main__":
    main()
