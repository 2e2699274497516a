"""Mixed precision within an accuracy budget: float back the blocks that cost most accuracy for their time.

First every block alone is made int8 and the noise that it adds to the logits is measured. Then blocks go back to
float, those first that add most noise per multiply-accumulate (float arithmetic's extra time is about proportional to
it), until the images that decided nothing so far say that the budget is met.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import Preprocess
from edgevit.export.cache import cached, content_key
from edgevit.export.data.ground_truth import FloatAnswers, GroundTruth
from edgevit.export.data.images import ImageSet
from edgevit.export.layers import Layer
from edgevit.runtime.progress import Track

SENSITIVITY_IMAGES = 64


class Candidate(Protocol):
    """A quantized model."""

    @property
    def int8_share(self) -> float:
        """Share of the multiply-accumulates that run in int8, 0..1."""

    def logits(self, images: ImageSet, preprocessing: Preprocess) -> NDArray[np.float32]:
        """Return (images, classes)."""


class Quantizer(Protocol):
    """Makes quantized models of one calibrated float model, whatever the file format."""

    @property
    def identity(self) -> str:
        """Digest of all that decides what `make` returns."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Layers of the float model, in its order."""

    def make(self, keep_float: Set[str]) -> Candidate:
        """Return the model with the named layers in float."""


@dataclass(frozen=True)
class Trial:
    """One choice of float blocks, and how good it is."""

    float_blocks: tuple[str, ...]
    int8_share: float
    """Share of the multiply-accumulates that run in int8, 0..1."""
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
    """Block to the logits' signal-to-noise ratio in dB when it alone is int8: low means that it needs float."""
    measure: str
    """What drops are points of: accuracy, mean IoU, or agreement with the float model."""
    images: int
    """How many images decided."""
    origin: str = ""
    """Which images they are."""


@dataclass(frozen=True)
class Evaluator:
    """Images with the float model's answers, to compare int8 models by."""

    images: ImageSet
    preprocessing: Preprocess
    reference: NDArray[np.float32]
    """The float model's logits, (images, classes) or (images, classes, height, width)."""
    truth: GroundTruth

    def drop(self, logits: NDArray[np.float32]) -> float:
        """Return the loss against float, in percentage points of the truth's measure."""
        return 100 * (self.truth.score(self.reference) - self.truth.score(logits))

    def part(self, which: slice) -> "Evaluator":
        """Return a judge of some of the images."""
        return Evaluator(self.images.part(which), self.preprocessing, self.reference[which], self.truth.part(which))


def judge_of(images: ImageSet, preprocessing: Preprocess, reference: NDArray[np.float32]) -> Evaluator:
    """Return the judge by what is known to be on the images, or else by the float model's answers."""
    return Evaluator(images, preprocessing, reference, images.truth or FloatAnswers(reference))


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
        quantizer: of the calibrated float model.
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
    signal = float(np.mean(_centered(few.reference) ** 2))
    sensitivity = {block: _decibel(signal, power) for block, power in noise.items()}
    decided = evaluator.images
    measure = evaluator.truth.measure
    return Outcome(chosen, met, tuple(trials), sensitivity, measure, len(decided.images), decided.origin)


def layers_of(layers: Iterable[Layer], blocks: Iterable[str]) -> set[str]:
    """Return the names of all layers in the given blocks."""
    wanted = set(blocks)
    return {layer.name for layer in layers if layer.block in wanted}


def _sensitivity(quantizer: Quantizer, floated: Set[str], few: Evaluator, key: str) -> float:
    """Return the noise power that the layers which are not float add to the logits."""

    def measure() -> float:
        return _noise(few.reference, quantizer.make(floated).logits(few.images, few.preprocessing))

    return float(cached("sensitivity", key, measure))


def _trial(quantizer: Quantizer, floated: Set[str], back: tuple[str, ...], evaluator: Evaluator, key: str) -> Trial:
    def measure() -> dict[str, object]:
        model = quantizer.make(floated)
        return asdict(
            Trial(back, model.int8_share, evaluator.drop(model.logits(evaluator.images, evaluator.preprocessing)))
        )

    kept = cached("trials", key, measure)
    return Trial(tuple(kept["float_blocks"]), kept["int8_share"], kept["drop"])


def _noise(reference: NDArray[np.float32], logits: NDArray[np.float32]) -> float:
    """Return the mean square of the error, without what shifts all logits of an image alike."""
    return float(np.mean(_centered(logits - reference) ** 2))


def _centered(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    centered: NDArray[np.float64] = logits.astype(np.float64) - logits.mean(axis=1, keepdims=True)
    return centered


def _decibel(signal: float, noise: float) -> float:
    return 10 * float(np.log10(max(signal, 1e-30) / max(noise, 1e-30)))
