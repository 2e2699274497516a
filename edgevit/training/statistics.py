"""BatchNorm statistics computed anew for averaged weights, since the average of old statistics lags behind them."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


@torch.no_grad()
def reestimate_batchnorm(model: nn.Module, batches: Iterable[Tensor]) -> int:
    """Replace every BatchNorm's running mean and variance by their plain means over the batches, in place.

    Nothing but the statistics changes, and the model is left in evaluation mode. Known as "precise BN" (arXiv
    2105.07576, section 3).

    Args:
        model: with nn.BatchNorm2d layers, or without, which changes nothing.
        batches: inputs (B, 3, H, W), B at least 2; at least one batch.

    Returns:
        The number of batches used.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # PyTorch's name for a plain mean over all batches
        norm.train()
    count = 0
    for batch in batches:
        model(batch)
        count += 1
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()
    return count
