"""How alike the attention heads of a trained model are: a table, and a picture of every layer's pairs of heads.

    python benchmarks/head_similarity.py sbcformer_xs --data photos/ --plot heads.png
    python benchmarks/head_similarity.py deit_tiny_patch16_224_hmhsa --weights mine.safetensors --data photos/

Needs `pip install 'edgevit[export]'`. What is measured is told in docs/hallucination.md. In the picture each square is
a layer, each of its cells a pair of heads: white is 1, the same contribution, black is 0 or less.
"""

from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from edgevit.errors import OutputError
from edgevit.export.data.images import ImageSet
from edgevit.models.head_similarity import head_similarity, mean_off_diagonal
from edgevit.models.weights.resolve import build_with_weights, resolve_weights
from edgevit.models.zoo.registry import get_spec
from edgevit.runtime.images.read import list_images

SIDE, GAP = 120, 20
"""Of a layer's square, and between two, in pixels."""


@click.command(help=__doc__)
@click.argument("name")
@click.option("--weights", help="A file or a registry entry; the model's default unless given.")
@click.option("--data", type=click.Path(exists=True, file_okay=False), required=True, help="Folder of images.")
@click.option("--images", default=64, show_default=True, help="How many to use.")
@click.option("--plot", type=click.Path(path_type=Path), help="PNG to write.")
def main(name: str, weights: str | None, data: str, images: int, plot: Path | None) -> None:
    spec = get_spec(name)
    resolved = resolve_weights(spec, weights)
    model = build_with_weights(spec, resolved).eval()
    files = sorted(list_images(data))
    chosen = files[:: max(1, len(files) // images)][:images]
    layers = head_similarity(model, ImageSet("folder", tuple(chosen)).inputs(resolved.preprocess))
    click.echo(f"{name}, weights {resolved.source}, {len(chosen)} images")
    click.echo(f"{'layer':40} {'heads':>5} {'mean':>6} {'most alike':>11}")
    for layer, similarity in layers.items():
        pairs = similarity[np.triu_indices(len(similarity), 1)]
        click.echo(f"{layer:40} {len(similarity):5} {mean_off_diagonal(similarity):6.3f} {pairs.max():11.3f}")
    if plot is not None:
        if not cv2.imwrite(str(plot), draw(list(layers.values()))):
            raise OutputError(f"{plot} cannot be written; give a path that ends in .png, in a folder that exists")
        click.echo(f"wrote {plot}")


def draw(layers: list[NDArray[np.float64]]) -> NDArray[np.uint8]:
    """Return a grey picture of squares side by side, six in a row."""
    columns, rows = min(6, len(layers)), -(-len(layers) // 6)
    step = SIDE + GAP
    picture = np.full((rows * step + GAP, columns * step + GAP), 90, np.uint8)
    for number, similarity in enumerate(layers):
        cells = (255 * np.clip(similarity, 0, 1)).astype(np.uint8)
        top, left = GAP + number // 6 * step, GAP + number % 6 * step
        square = cv2.resize(cells, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
        picture[top : top + SIDE, left : left + SIDE] = square
        cv2.putText(picture, str(number), (left, top - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.45, 255, 1, cv2.LINE_AA)
    return picture


if __name__ == "__main__":
    main()
