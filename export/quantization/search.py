"""Mixed precision within an accuracy budget: float back the blocks that cost most accuracy for their time.

First every block alone is made int8 and the noise that it adds to the answers is measured. Then blocks go back to
float, those first that add most noise per multiply-accumulate (float arithmetic's extra time is about proportional to
it), until the images that decided nothing so far say that the budget is met.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np

from edgevit.artifact.manifest import Preprocess
from edgevit.export.cache import cached, content_key
from edgevit.export.data.images import ImageSet
from edgevit.export.layers import Layer, int8_share
from edgevit.export.tasks.answers import CLASSES, TINY, AnswerForm, Answers
from edgevit.export.tasks.ground_truth import GroundTruth
from edgevit.export.verify import run_file
from edgevit.runtime.progress import Track

SENSITIVITY_IMAGES = 64


class Quantizer(Protocol):
    """Makes int8 models of one calibrated float model, each the content of a file in its format."""

    @property
    def suffix(self) -> str:
        """Suffix of the format's files."""

    @property
    def scheme(self) -> str:
        """Types of activations and weights, as a manifest has them."""

    @property
    def identity(self) -> str:
        """Digest of all that decides what `make` returns."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Layers of the float model, in its order."""

    @property
    def kept(self) -> frozenset[str]:
        """Names of the layers that stay float in any case."""

    def make(self, keep_float: Set[str]) -> bytes:
        """Return the model with the named layers in float."""

    def alone(self, name: str) -> bytes:
        """Return the model in which the named layer is int8 and nothing else."""

    def float_layers(self, model: bytes) -> tuple[str, ...]:
        """Return the names of the layers that compute in float in a model that `make` returned, in their order."""


@dataclass(frozen=True)
class Trial:
    """One choice of float blocks, and how good it is."""

    float_blocks: tuple[str, ...]
    int8_share: float
    """Share of the multiply-accumulates, 0..1."""
    drop: float
    """Loss against float on the deciding images, in percentage points of accuracy (of agreement, if unlabelled)."""


@dataclass(frozen=True)
class Outcome:
    """What a search found."""

    chosen: Trial
    met: bool
    """Whether the chosen trial is within the budget."""
    trials: tuple[Trial, ...]
    """In the order they were made; the first leaves every block int8."""
    sensitivity: Mapping[str, float]
    """Block to the answers' signal-to-noise ratio in dB when it alone is int8: low means that it needs float."""
    measure: str
    """What drops are points of: accuracy, mean IoU, or agreement with the float model."""
    images: int
    """How many images decided."""
    origin: str = ""
    """Which images they are."""
    labelled: bool = False
    """Whether what is known to be on them decided, and not what the float model answers."""


@dataclass(frozen=True)
class Evaluator:
    """Images with the float model's answers, to compare int8 models by."""

    images: ImageSet
    preprocessing: Preprocess
    reference: Answers
    """The float model's answers."""
    truth: GroundTruth
    form: AnswerForm = CLASSES

    def drop(self, answers: Answers) -> float:
        """Return the loss against float, in percentage points of the truth's measure."""
        return 100 * (self.truth.score(self.reference) - self.truth.score(answers))

    def part(self, which: slice) -> "Evaluator":
        """Return an evaluator of some of the images."""
        truth = self.truth.part(which)
        return Evaluator(self.images.part(which), self.preprocessing, self.reference[which], truth, self.form)


def evaluator_of(images: ImageSet, preprocessing: Preprocess, reference: Answers, form: AnswerForm) -> Evaluator:
    """Return the evaluator by what is known to be on the images, or else by the float model's answers."""
    return Evaluator(images, preprocessing, reference, images.truth or form.agreement(reference), form)


def search(
    quantizer: Quantizer,
    keep_float: Iterable[str],
    evaluator: Evaluator,
    max_drop: float,
    track: Track = lambda items, label, count: items,
) -> Outcome:
    """Find the int8 model with the most int8 arithmetic on this path that loses at most `max_drop`.

    The same arguments give the same outcome; measurements are cached, so that a broken search goes on where it was.

    Args:
        quantizer: makes the models.
        keep_float: layers that stay float in any case.
        evaluator: images that neither calibrated the model nor decide the order of the blocks.
        max_drop: budget in percentage points.
        track: wraps the loops over measurements, for a progress display.
    """
    keep_float = set(keep_float)
    identity = content_key(quantizer.identity, repr(sorted(keep_float)))
    images = evaluator.images.digest(evaluator.preprocessing)
    weighted = [layer for layer in quantizer.layers if layer.weight is not None and layer.name not in keep_float]
    blocks = {layer.block: {other.name for other in weighted if other.block == layer.block} for layer in weighted}
    macs = {block: sum(layer.macs for layer in weighted if layer.block == block) for block in blocks}
    everything = {name for names in blocks.values() for name in names}
    few = evaluator.part(slice(SENSITIVITY_IMAGES))

    noise: dict[str, float] = {}
    for block, names in track(blocks.items(), "sensitivity of each block", len(blocks)):
        alone = keep_float | everything - names
        noise[block] = _sensitivity(quantizer, alone, few, content_key(identity, images, block))

    order = sorted(blocks, key=lambda block: (-noise[block] / macs[block], block))
    trials: list[Trial] = []
    for count in track(range(len(order) + 1), "blocks back to float", len(order) + 1):
        back = tuple(order[:count])
        floated = keep_float | {name for block in back for name in blocks[block]}
        key = content_key(identity, images, evaluator.truth.identity, *back)
        trials.append(_trial(quantizer, floated, back, evaluator, key))
        if trials[-1].drop <= max_drop:
            break
    met = trials[-1].drop <= max_drop
    chosen = trials[-1] if met else min(trials, key=lambda trial: (trial.drop, -trial.int8_share))
    sensitivity = {block: _decibel(power) for block, power in noise.items()}
    decided = evaluator.images
    measure = evaluator.truth.measure
    labelled = decided.truth is not None
    return Outcome(chosen, met, tuple(trials), sensitivity, measure, len(decided.images), decided.origin, labelled)


def layers_of(layers: Iterable[Layer], blocks: Iterable[str]) -> set[str]:
    """Return the names of all layers in the given blocks."""
    wanted = set(blocks)
    return {layer.name for layer in layers if layer.block in wanted}


def _sensitivity(quantizer: Quantizer, floated: Set[str], few: Evaluator, key: str) -> float:
    """Return the noise that the layers which are not float add to the answers, as a share of their power."""

    def measure() -> float:
        answers = run_file(quantizer.make(floated), quantizer.suffix, few.images, few.preprocessing)
        return few.form.noise(few.reference, answers)

    return float(cached("noise", key, measure))


def _trial(quantizer: Quantizer, floated: Set[str], back: tuple[str, ...], evaluator: Evaluator, key: str) -> Trial:
    def measure() -> dict[str, object]:
        model = quantizer.make(floated)
        answers = run_file(model, quantizer.suffix, evaluator.images, evaluator.preprocessing)
        share = int8_share(quantizer.layers, quantizer.float_layers(model))
        return asdict(Trial(back, share, evaluator.drop(answers)))

    kept = cached("trials", key, measure)
    return Trial(tuple(kept["float_blocks"]), kept["int8_share"], kept["drop"])


def _decibel(noise: float) -> float:
    """Return the signal-to-noise ratio of which `noise` is the reciprocal."""
    return -10 * float(np.log10(max(noise, TINY)))
