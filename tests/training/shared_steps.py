"""A few steps of each kind of loss, in one process or, as a program, in each of several that share the batches.

python -m tests.training.shared_steps FOLDER runs all CASES where torchrun's environment says so, and the first process
leaves in FOLDER/found.pt what each has come to.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from edgevit.artifact.manifest import Preprocess
from edgevit.runtime.detection.boxes import TrueBoxes
from edgevit.training.batches import training_batches
from edgevit.training.detection.retina import RetinaLoss
from edgevit.training.detection.samples import BoxedSamples
from edgevit.training.detection.yolox import YoloxLoss
from edgevit.training.distill import teach
from edgevit.training.folders import Samples
from edgevit.training.loop import train
from edgevit.training.masked import MaskedSamples
from edgevit.training.objective import Objective, cross_entropy, normalize
from edgevit.training.ranks import ALONE, Ranks, find_ranks, joined
from edgevit.training.recipe import Recipe

PLAIN = Preprocess(size=(64, 64))
RECIPE = Recipe(
    sizes=((32, 1.0), (64, 0.5)), batch=4, learning_rate=1e-3, warmup_epochs=0, label_smoothing=0.1, bfloat16=False
)
"""Four steps of 32 pixels and two of 64 for 15 pictures: the fourth batch ends one epoch and begins the next."""
IMAGES = 15

Answers = dict[str, Any]


class FrozenNorm(nn.BatchNorm2d):
    """BatchNorm that always computes with its statistics, as if it were not trained."""

    def train(self, mode: bool = True) -> "FrozenNorm":
        super().train(False)
        return self


class Classifier(nn.Module):
    """A small classifier; of its weights `fine` has no part in the answers for small images."""

    def __init__(self, norm: type[nn.BatchNorm2d] = FrozenNorm) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, 2, bias=False), norm(4), nn.ReLU())
        self.fine = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        seen = self.body(x)
        seen = self.fine(seen) if x.shape[-1] >= 64 else seen
        return self.head(seen.mean((2, 3)))  # type: ignore[no-any-return]


class Boxes(nn.Module):
    """A small detector with `places` answers for each cell of 32 pixels."""

    def __init__(self, places: int, *, objectness: bool) -> None:
        super().__init__()
        self.parts = (4, 1, 2) if objectness else (4, 2)
        self.body = nn.Conv2d(3, 8, 32, 32)
        self.head = nn.Conv2d(8, places * sum(self.parts), 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        answers = self.head(self.body(x).relu()).permute(0, 2, 3, 1).reshape(len(x), -1, sum(self.parts))
        return list(answers.split(self.parts, dim=2))


@dataclass(frozen=True)
class Case:
    """What is learnt in a few steps."""

    model: nn.Module
    samples: Any
    objective: Objective
    recipe: Recipe = RECIPE


def write_pictures(folder: Path) -> None:
    """Write noisy pictures, each a little brighter than the one before, and masks with ever more pixels of no class."""
    rng = np.random.default_rng(0)
    for i in range(IMAGES):
        cv2.imwrite(str(folder / f"{i:02}.png"), rng.normal(60 + 9 * i, 30, (48, 40, 3)).clip(0, 255).astype(np.uint8))
        mask = rng.integers(0, 3, (48, 40), np.uint8)
        mask[: 3 * i] = 255
        cv2.imwrite(str(folder / f"mask{i:02}.png"), mask)


def make_case(name: str, folder: Path) -> Case:
    torch.manual_seed(0)
    return CASES[name](folder)


def _samples(folder: Path) -> Samples:
    """Return twelve pictures of the first class, two of the second and one of the third."""
    return Samples(tuple(folder / f"{i:02}.png" for i in range(IMAGES)), (0,) * 12 + (1, 1, 2), ("a", "b", "c"))


def _classify(folder: Path, recipe: Recipe = RECIPE, norm: type[nn.BatchNorm2d] = FrozenNorm) -> Case:
    samples = _samples(folder)
    return Case(Classifier(norm), samples, cross_entropy(recipe, samples.counts(), PLAIN), recipe)


def _masks(folder: Path) -> Case:
    recipe = replace(RECIPE, balance=True)
    pixels = (9000, 3000, 1000)
    masks = tuple(folder / f"mask{i:02}.png" for i in range(IMAGES))
    samples = MaskedSamples(_samples(folder).paths, masks, ("a", "b", "c"), pixels)
    model = nn.Sequential(nn.Conv2d(3, 8, 8, 8), nn.ReLU(), nn.Conv2d(8, 3, 1))
    return Case(model, samples, cross_entropy(recipe, pixels, PLAIN, of_pixels=True), recipe)


def _boxes(model: nn.Module, loss: YoloxLoss | RetinaLoss, folder: Path) -> Case:
    """Give the first picture no box, and each other one more than the one before, up to four."""
    truth = []
    for i in range(IMAGES):
        count = i % 5
        corners = np.arange(2 * count, dtype=np.float32).reshape(-1, 2) * 4
        boxes = np.concatenate((corners, corners + 12 + i), axis=1).astype(np.float32)
        truth.append(TrueBoxes(boxes, np.arange(count) % 2, np.zeros(count, np.bool_)))
    samples = BoxedSamples(_samples(folder).paths, tuple(truth), ("a", "b"), ((48, 40),) * IMAGES)
    objective = cross_entropy(RECIPE, samples.counts(), PLAIN)
    changes = replace(objective.augmentation, erase=0.0)
    return Case(model, samples, replace(objective, loss=loss, augmentation=changes))


def _taught(folder: Path) -> Case:
    recipe = replace(RECIPE, balance=True, teacher_weight=0.7, temperature=2.0)
    case = _classify(folder, recipe)
    told = np.log(np.random.default_rng(1).dirichlet(np.ones(5), IMAGES)).astype(np.float16)
    return Case(*teach(case.model, "head", case.samples, case.objective, told, recipe), recipe)


CASES: dict[str, Callable[[Path], Case]] = {
    "frozen": _classify,
    # light changes erase nothing, which mean_of_shares does not do either
    "batchnorm": lambda folder: _classify(folder, replace(RECIPE, augmentation="light"), nn.BatchNorm2d),
    "balance": lambda folder: _classify(folder, replace(RECIPE, balance=True)),
    "masks": _masks,
    "yolox": lambda folder: _boxes(Boxes(1, objectness=True), YoloxLoss((32,)), folder),
    "retina": lambda folder: _boxes(Boxes(9, objectness=False), RetinaLoss((32,)), folder),
    "taught": _taught,
}


def learn(
    name: str,
    folder: Path,
    out: Path,
    ranks: Ranks = ALONE,
    *,
    steps: int | None = None,
    resume: bool = False,
) -> Answers:
    """Learn a case, or so many steps of it; return the losses, the gradients of the last step, and the weights."""
    case = make_case(name, folder)
    losses: list[float] = []
    done = iter(range(1, 1000))
    # the last of the processes alone is told to stop
    asked = steps is not None and ranks.rank == ranks.count - 1
    outcome = train(
        case.model,
        case.samples,
        case.objective,
        lambda model, size: {},
        case.recipe,
        out,
        resume=resume,
        report=lambda record: losses.append(record["loss"]),
        should_stop=lambda: next(done) == steps and asked,
        validate_every=1,
        ranks=ranks,
    )
    gradients = {name: weight.grad for name, weight in case.model.named_parameters() if weight.grad is not None}
    return {
        "losses": losses,
        "gradients": gradients,
        "weights": dict(case.model.state_dict()),
        "averaged": dict(outcome.averaged.state_dict()),
        "step": outcome.step,
    }


def mean_of_shares(name: str, folder: Path, count: int) -> dict[str, Tensor]:
    """Return the mean of the gradients that each of the shares of the first batch gives on its own."""
    case, gradients = make_case(name, folder), []
    size = (32, 32)
    for rank in range(count):
        model = make_case(name, folder).model.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        share = Ranks(rank, count).share(case.recipe.batch)
        changes = case.objective.augmentation
        pixels, labels = next(training_batches(case.samples, size, case.recipe.batch, range(1), 0, 1, changes, share))
        loss = case.objective.loss(model(normalize(pixels, PLAIN)), labels, size)
        loss.backward()  # type: ignore[no-untyped-call]
        gradients.append({name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None})
    return {key: torch.stack([each[key] for each in gradients]).mean(0) for key in gradients[0]}


def main() -> None:
    """Learn all cases, each with connections of its own; stop one and go on."""
    folder, ranks = Path(sys.argv[1]), find_ranks()
    found: Answers = {}
    for name in CASES:
        with joined(ranks, "cpu"):
            found[f"{name} first"] = learn(name, folder, folder / f"{name} first", ranks, steps=1)
            found[name] = learn(name, folder, folder / name, ranks)
    with joined(ranks, "cpu"):
        found["stopped"] = learn("batchnorm", folder, folder / "stopped", ranks, steps=3)
        found["resumed"] = learn("batchnorm", folder, folder / "stopped", ranks, resume=True)
        found["frozen stopped"] = learn("frozen", folder, folder / "frozen stopped", ranks, steps=3)
    if ranks.leads:
        found["mean of shares"] = mean_of_shares("batchnorm", folder, ranks.count)
        torch.save(found, folder / "found.pt")


if __name__ == "__main__":
    main()
