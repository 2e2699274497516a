"""How alike the attention heads of a trained model are: a table, and a picture of every layer's pairs of heads.

    python benchmarks/head_similarity.py sbcformer_xs --data photos/ --plot heads.png
    python benchmarks/head_similarity.py deit_tiny_patch16_224_hmhsa --weights mine.safetensors --data photos/

Needs `pip install 'edgevit[export]'`. In the picture each square is a layer, each of its cells a pair of heads: white
is 1, the same contribution, black is 0 or less.

A head's contribution is what it adds to the layer's output: its part of the columns of the output projection times its
weighted values, a vector (C,) for each token. Two heads whose contributions point the same way tell the network one
thing twice, however their maps look (arXiv 2306.10875).
"""

from collections.abc import Callable, Iterable
from pathlib import Path

import click
import cv2
import numpy as np
import torch
from evenly import evenly
from numpy.typing import NDArray
from torch import Tensor, nn

from edgevit.errors import OutputError
from edgevit.export.data.images import ImageSet
from edgevit.models.weights.resolve import build_with_weights, resolve_weights
from edgevit.models.zoo.registry import get_spec
from edgevit.runtime.datasets.listing import list_images
from edgevit.system.program import Program

SIDE, GAP = 120, 20
"""Side of a layer's square, and the gap between two, in pixels."""
PROJECTIONS = ("proj", "proj_out")
"""What attention modules, which have a number of `heads`, call the linear layer after the heads."""


def attention_projections(model: nn.Module) -> dict[str, tuple[nn.Linear, int]]:
    """Return the output projection and the number of heads of each attention layer with two heads or more, by name."""
    found = {}
    for name, module in model.named_modules():
        heads = getattr(module, "heads", None)
        projection = next((getattr(module, each) for each in PROJECTIONS if hasattr(module, each)), None)
        if isinstance(heads, int) and heads > 1 and isinstance(projection, nn.Linear):
            found[name] = (projection, heads)
    return found


def head_similarity(model: nn.Module, inputs: Iterable[NDArray[np.float32]]) -> dict[str, NDArray[np.float64]]:
    """Return the similarity of each pair of heads, (heads, heads) with 1 on the diagonal, of each attention layer.

    It is the cosine of two heads' contributions to a token, averaged over all tokens and images.

    Args:
        model: in eval mode; its attention layers have a number of `heads` and a linear layer named in PROJECTIONS.
        inputs: (B, 3, H, W) each.

    Raises:
        ValueError: the model has no such layer, or there are no inputs.
    """
    layers = attention_projections(model)
    if not layers:
        raise ValueError("the model has no attention layers with several heads and an output projection")
    sums: dict[str, Tensor] = {}
    hooks = [
        projection.register_forward_pre_hook(_adding(sums, name, heads)) for name, (projection, heads) in layers.items()
    ]
    count = 0
    try:
        with torch.inference_mode():
            for batch in inputs:
                model(torch.from_numpy(batch))
                count += len(batch)
    finally:
        for hook in hooks:
            hook.remove()
    if not count:
        raise ValueError("no inputs to measure the similarity of heads on; give at least one")
    return {name: (total / count).numpy() for name, total in sums.items()}


def similarity_of(weighted: Tensor, projection: Tensor, heads: int) -> Tensor:
    """Return (heads, heads): the cosines of contributions, averaged over tokens and summed over images.

    Args:
        weighted: the heads' weighted values side by side, (B, N, heads * d).
        projection: weight of the output projection, (C, heads * d).
        heads: how many.
    """
    values = weighted.double().reshape(*weighted.shape[:2], heads, -1)  # (B, N, heads, d)
    columns = projection.double().reshape(len(projection), heads, -1)  # (C, heads, d)
    contributions = nn.functional.normalize(torch.einsum("bnhd,chd->bnhc", values, columns), dim=3)
    return torch.einsum("bnhc,bngc->hg", contributions, contributions) / weighted.shape[1]


def mean_off_diagonal(similarity: NDArray[np.float64]) -> float:
    """Return the mean of a layer's similarities between different heads."""
    heads = len(similarity)
    return float((similarity.sum() - np.trace(similarity)) / (heads * (heads - 1)))


def _adding(sums: dict[str, Tensor], name: str, heads: int) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def hook(projection: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(projection, nn.Linear)
        similarity = similarity_of(inputs[0], projection.weight, heads)
        sums[name] = sums[name] + similarity if name in sums else similarity

    return hook


@click.command(cls=Program, help=__doc__)
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
    chosen = evenly(files, images)
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
