"""Top-1 accuracy of the bundled models on CIFAR-10's test images, float32 against int8, and float32 against PyTorch.

    python benchmarks/accuracy.py [--test DIR] [--train DIR] [--format onnx|tflite] [--limit N] [--parity N]
    python benchmarks/accuracy.py --model pvt_v2_b1 --weights FILE --imgsz 64 --train DIR

Every model is exported by the command that users run, then classifies all 10,000 images through `edgevit.load`.
With --train, int8 is also calibrated on 256 real training images, beside the bundled synthesized ones. At last the
float32 file's logits are compared with the PyTorch model's as it was trained: the largest difference, as a share of
1 + |logit|, and the share of equal answers.

--weights are another model's, trained on these ten classes; int8 is then calibrated on --train alone.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import torch
from cifar10 import cifar10
from evenly import evenly
from labelled import labelled

import edgevit
from edgevit.export.data.images import ImageSet
from edgevit.export.pipeline import export
from edgevit.export.recipe import SUFFIXES, Format, Recipe
from edgevit.models.weights.resolve import build_with_weights, resolve_weights
from edgevit.models.zoo.registry import get_spec
from edgevit.runtime.backends.session import open_session
from edgevit.system.program import Program

MODELS = ("sbcformer_xs", "efficientvit_b0")


@click.command(cls=Program, help=__doc__)
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
@click.option("--weights", help="A name or file of weights, instead of each model's own.")
@click.option("--imgsz", type=int, help="Side of the input, instead of each model's own.")
@click.option("--format", "format_", type=click.Choice(list(SUFFIXES)), default="onnx", show_default=True)
@click.option("--parity", default=1000, show_default=True, help="How many images are compared with PyTorch; 0: none.")
def main(
    test: Path | None,
    train: Path | None,
    limit: int,
    models: tuple[str, ...],
    weights: str | None,
    imgsz: int | None,
    format_: Format,
    parity: int,
) -> None:
    if weights is not None and train is None:
        raise click.UsageError("--weights need --train DIR: photos that int8 is calibrated on")
    with cifar10("test", test) as images, tempfile.TemporaryDirectory() as folder:
        click.echo(f"{'model':16} {'file':22} {'MB':>6} {'of fp32':>8} {'top-1 %':>8} {'drop':>6} {'agreement %':>12}")
        for name in models:
            plain = Recipe(name, format=format_, weights=weights, imgsz=imgsz)
            recipes = {"fp32": plain}
            if weights is None:
                recipes["int8"] = replace(plain, precision="int8")
            if train is not None:
                recipes["int8, real images"] = replace(plain, precision="int8", data=train)
            reference, reference_size = None, 0
            for label, recipe in recipes.items():
                path = Path(folder, f"{name}-{label}{SUFFIXES[format_]}")
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
            if parity:
                exported = Path(folder, f"{name}-fp32{SUFFIXES[format_]}")
                count, difference, same = beside_pytorch(plain, exported, images, parity)
                click.echo(
                    f"{name:16} fp32 against PyTorch on {count} images: logits within {difference:.1e}, "
                    f"{100 * same:.2f} % equal answers"
                )


def beside_pytorch(recipe: Recipe, model: Path, images: Path, most: int) -> tuple[int, float, float]:
    """Compare a file's answers with PyTorch's on so many images, of all classes alike, or all if there are no more.

    Return how many there were, the largest difference of a logit, as a share of 1 + |logit|, and equal answers.
    """
    spec = get_spec(recipe.model)
    with edgevit.load(model) as classifier:
        preprocessing, every = classifier.preprocess, labelled(images, classifier.names)[0]
    trained = build_with_weights(spec, resolve_weights(spec, recipe.weights), size=preprocessing.size).eval()
    session = open_session(model)
    pairs = []
    for image in ImageSet("folder", tuple(evenly(every, most))).inputs(preprocessing):
        with torch.inference_mode():
            pairs.append((trained(torch.from_numpy(image)).numpy()[0], session.run(image)[0]))
    reference, found = (np.stack(side) for side in zip(*pairs, strict=True))
    difference = float((np.abs(found - reference) / (1 + np.abs(reference))).max())
    return len(pairs), difference, float(np.mean(found.argmax(1) == reference.argmax(1)))


def classify(model: Path, images: Path, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the answered and the true class of every image, as indices into the model's labels."""
    with edgevit.load(model) as classifier:
        paths, truth = labelled(images, classifier.names, limit)
        return np.array([classifier(path).top1_index for path in paths]), np.array(truth)


if __name__ == "__main__":
    main()
