"""The quick way to a first model: the backbone stays as it is, and only the last layer learns, from cached features."""

import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F  # noqa: N812, the name that every PyTorch user knows
from torch import Tensor, nn

from edgevit.artifact.manifest import Preprocess
from edgevit.training.accuracy import plain_inputs
from edgevit.training.batches import training_batches
from edgevit.training.folders import Samples
from edgevit.training.objective import find_changes, normalize
from edgevit.training.recipe import Recipe

PENALTY = 0.003
"""How strongly large weights of the classifier are held back: the factor of half their sum of squares in the loss, for
features of deviation 1."""
STEPS = 200
"""Most steps of L-BFGS."""


def train_head(
    model: nn.Module,
    head: nn.Module,
    samples: Samples,
    recipe: Recipe,
    *,
    preprocessing: Preprocess,
    device: str = "cpu",
    workers: int = 2,
    done: Callable[[int, int], bool] = lambda step, of: False,
) -> bool:
    """Compute each picture's features `recipe.epochs` times and fit the last layer to them.

    The first time pictures are as they will be on the board, later ones are changed at random.

    Args:
        model: the classifier; it is left in evaluation mode, and nothing but `head` changes.
        head: its last layer, of weights (classes, features) or (classes, features, 1, 1).
        samples: the labelled pictures.
        recipe: its size, epochs, batch, augmentation, flips, smoothing, balance and seed are used.
        preprocessing: of the pictures on the board.
        device: "cpu" or "cuda".
        workers: threads that read images.
        done: told after each batch of features how many there are of how many; True stops.

    Returns:
        Whether the layer was fitted; False if told to stop before.

    Raises:
        ImageError: an image has become unreadable.
    """
    plain, changed = (math.ceil(len(samples.paths) * times / recipe.batch) for times in (1, max(0, recipe.epochs - 1)))
    found: list[tuple[Tensor, Tensor]] = []
    for inputs, labels in _inputs(samples, recipe, preprocessing, changed, workers):
        found.append((features(model.to(device).eval(), head, inputs, bfloat16=recipe.bfloat16), labels))
        if done(len(found), plain + changed) and len(found) < plain + changed:
            return False
    seen, labels = (torch.cat(parts) for parts in zip(*found, strict=True))
    weight, bias = fit_head(
        seen, labels, len(samples.classes), smoothing=recipe.label_smoothing, balance=recipe.balance
    )
    state = {"weight": weight.reshape(head.get_parameter("weight").shape), "bias": bias}
    head.load_state_dict({key: state[key] for key in head.state_dict()})
    return True


def _inputs(
    samples: Samples, recipe: Recipe, preprocessing: Preprocess, changed: int, workers: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield inputs (B, 3, H, W) and labels (B,): all pictures once, then `changed` batches of random changes."""
    starts = range(0, len(samples.labels), recipe.batch)
    for start, plain in zip(starts, plain_inputs(samples, preprocessing, workers, recipe.batch), strict=True):
        yield plain, torch.tensor(samples.labels[start : start + recipe.batch])
    if changed:
        changes, size = find_changes(recipe, preprocessing), recipe.final_size
        for pixels, numbers in training_batches(
            samples, size, recipe.batch, range(changed), recipe.seed, workers, changes
        ):
            yield normalize(pixels, preprocessing), torch.tensor(numbers)


@torch.no_grad()
def features(model: nn.Module, head: nn.Module, inputs: Tensor, *, bfloat16: bool = False) -> Tensor:
    """Return what goes into the layer `head` of a model, (B, features) float32, for inputs (B, 3, H, W)."""
    caught: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, given: caught.append(given[0].flatten(1).float().cpu()))
    device = next(model.parameters()).device
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            model(inputs.to(device))
    finally:
        hook.remove()
    return caught[0]


def fit_head(
    seen: Tensor, labels: Tensor, classes: int, *, smoothing: float = 0.0, balance: bool = False
) -> tuple[Tensor, Tensor]:
    """Return the weight (classes, features) and bias (classes,) of the best penalized logistic regression.

    Args:
        seen: (N, features) float32.
        labels: (N,) int64.
        classes: how many there are.
        smoothing: of the labels, 0..1.
        balance: let rare classes count as much as common ones.
    """
    mean, deviation = seen.mean(0), seen.std(0, correction=0).clamp(min=1e-6)
    x = (seen - mean) / deviation
    counts = torch.bincount(labels, minlength=classes).clamp(min=1)
    class_weights = len(labels) / (classes * counts) if balance else None
    weight = torch.zeros(classes, x.shape[1], requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        logits = x @ weight.T + bias
        total = F.cross_entropy(logits, labels, class_weights, label_smoothing=smoothing)
        total = total + PENALTY / 2 * weight.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    scaled = weight.detach() / deviation
    return scaled, bias.detach() - scaled @ mean
