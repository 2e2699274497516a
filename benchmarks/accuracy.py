"""Top-1 accuracy of the bundled models on CIFAR-10's test images, float32 against int8.

    python benchmarks/accuracy.py [--test DIR] [--train DIR] [--limit N]

Every model is exported by the command that users run, then classifies all 10,000 images through `edgevit.load`.
With --train, int8 is also calibrated on 256 real training images, beside the bundled synthesized ones.
"""

import tempfile
from pathlib import Path

import click
import numpy as np
from cifar10 import cifar10

import edgevit
from edgevit.export.pipeline import export
from edgevit.export.recipe import Recipe

MODELS = ("sbcformer_xs", "efficientvit_b0")


@click.command(help=__doc__)
@click.option(
    "--test",
    type=click.Path(path_type=Path),
    help="Folder of test images; the archive beside the project unless given.",
)
@click.option(
    "--train", type=click.Path(path_type=Path), help="Folder of training images, to calibrate on real images too."
)
@click.option("--limit", type=int, default=0, help="Use only this many images of each class.")
@click.option("--model", "models", multiple=True, default=MODELS, show_default=True)
def main(test: Path | None, train: Path | None, limit: int, models: tuple[str, ...]) -> None:
    with cifar10("test", test) as images, tempfile.TemporaryDirectory() as folder:
        click.echo(f"{'model':16} {'file':22} {'MB':>6} {'of fp32':>8} {'top-1 %':>8} {'drop':>6} {'agreement %':>12}")
        for name in models:
            recipes = {"fp32": Recipe(name), "int8": Recipe(name, precision="int8")}
            if train is not None:
                recipes["int8, real images"] = Recipe(name, precision="int8", data=train)
            reference, reference_size = None, 0
            for label, recipe in recipes.items():
                path = Path(folder, f"{name}-{label}.onnx")
                export(recipe, path)
                answers, truth = classify(path, images, limit)
                if reference is None:
                    reference, reference_size = answers, path.stat().st_size
                top1, size = 100 * np.mean(answers == truth), path.stat().st_size
                drop = 100 * np.mean(reference == truth) - top1
                click.echo(
                    f"{name:16} {label:22} {size / 1e6:6.2f} {size / reference_size:8.1%} {top1:8.2f} {drop:6.2f} "
                    f"{100 * np.mean(answers == reference):12.2f}"
                )


def classify(model: Path, images: Path, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the answered and the true class of every image, as indices into the model's labels."""
    answers, truth = [], []
    with edgevit.load(model) as classifier:
        for index, label in enumerate(classifier.names):
            files = sorted((images / label).iterdir())
            for path in files[: limit or None]:
                answers.append(classifier(path).top1_index)
                truth.append(index)
    return np.array(answers), np.array(truth)


if __name__ == "__main__":
    main()
