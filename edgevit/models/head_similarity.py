"""How alike the heads of an attention layer are: the cosine similarity of their contributions (arXiv 2306.10875).

A head's contribution is what it adds to the layer's output: its part of the columns of the output projection times its
weighted values, a vector (C,) for each token. Two heads whose contributions point the same way tell the network one
thing twice, however their maps look.
"""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

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
