"""A model's answers, what they mean, and how those of two forms of one model are compared.

Answers are one array (images, ...) whatever the task: scores of classes (images, classes), scores of classes for each
cell (images, classes, height, width), or what a detector says of each place (images, places, numbers): its outputs side
by side.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import Parity, Precision
from edgevit.export.tasks.ground_truth import FloatAnswers, GroundTruth, Labels, Masks
from edgevit.runtime.datasets.folder import Pictures
from edgevit.runtime.evaluation.metrics import power_table

Answers = NDArray[np.float32]


@dataclass(frozen=True)
class Gate:
    """The least that an exported model must agree with PyTorch."""

    relative: float | None
    """Largest difference of a number, as a share of the form's unit; None: not asked for."""
    cosine: float
    agreement: float
    """Share of answers that stay, 0..1."""


GATES: dict[Precision, Gate] = {
    "fp32": Gate(relative=1e-4, cosine=0.99999, agreement=1.0),
    "fp16": Gate(relative=None, cosine=0.999, agreement=0.98),
    "dynamic": Gate(relative=None, cosine=0.98, agreement=0.95),
    "int8": Gate(relative=None, cosine=0.95, agreement=0.9),
}
PIXEL_GATES: dict[Precision, Gate] = {**GATES, "fp32": Gate(relative=1e-4, cosine=0.99999, agreement=0.999)}
"""For segmentation: of some million pixels a few lie between two classes."""


class AnswerForm(Protocol):
    """What the answers of one task mean."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the graph's outputs, in their order."""

    @property
    def numbers(self) -> str:
        """What the answers' numbers are called."""

    @property
    def gates(self) -> Mapping[Precision, Gate]:
        """Precision to what is asked of it."""

    def compare(self, step: str, reference: Answers, found: Answers) -> Parity:
        """Return how far the answers found after a step are from PyTorch's."""

    def unit(self, reference: Answers) -> float:
        """Return what differences of numbers are a share of."""

    def shortfall(self, parity: Parity, gate: Gate) -> str | None:
        """Return what of the answers' meaning was lost, if it is more than the gate allows."""

    def powers(self, reference: Answers, found: Answers) -> NDArray[np.float64]:
        """Return (2,): the power of the reference, and of the difference from it."""

    def noise(self, reference: Answers, found: Answers) -> float:
        """Return the power of what disturbs the answers' meaning, as a share of the reference's."""

    def agreement(self, reference: Answers) -> GroundTruth:
        """Return how well answers agree with a float model's, where no truth is known."""

    def truth(self, pictures: Pictures, names: tuple[str, ...]) -> GroundTruth | None:
        """Return what is really on pictures, by the model's classes; None where it is not known.

        Raises:
            DataError: what is there is none of the classes.
        """


@dataclass(frozen=True)
class Logits:
    """Scores of classes, of which the highest is the answer: for each image, or for each cell of it."""

    gates: Mapping[Precision, Gate]
    of: str
    """What has a class, as a message says it: "" for images, "the pixels of "."""
    outputs: tuple[str, ...] = ("logits",)
    numbers: str = "logits"

    def compare(self, step: str, reference: Answers, found: Answers) -> Parity:
        """Cosine and agreement are means over images, or over all cells."""
        images, exact, other = len(reference), _by_answer(reference), _by_answer(found)
        norms = np.linalg.norm(exact, axis=1) * np.linalg.norm(other, axis=1)
        cosines = np.einsum("nc,nc->n", exact, other) / np.maximum(norms, np.finfo(np.float32).tiny)
        return Parity(
            step=step,
            max_abs=float(np.abs(exact - other).max()),
            cosine=float(cosines.mean()),
            top1_agreement=float((exact.argmax(1) == other.argmax(1)).mean()),
            images=images,
        )

    def unit(self, reference: Answers) -> float:
        return 1 + float(np.abs(reference).max())

    def shortfall(self, parity: Parity, gate: Gate) -> str | None:
        if parity.top1_agreement >= gate.agreement:
            return None
        found = f"{parity.top1_agreement:.1%} of {self.of}{parity.images} images keep their class"
        return f"{found}, at least {gate.agreement:.0%} is asked"

    def powers(self, reference: Answers, found: Answers) -> NDArray[np.float64]:
        return power_table(reference, found)

    def noise(self, reference: Answers, found: Answers) -> float:
        """What shifts all scores of an image or cell alike disturbs nothing."""
        exact = reference.astype(np.float64)
        signal, noise = (_without_mean(values) for values in (exact, found - exact))
        return float(np.square(noise).mean() / max(float(np.square(signal).mean()), TINY))

    def agreement(self, reference: Answers) -> GroundTruth:
        return FloatAnswers(reference)

    def truth(self, pictures: Pictures, names: tuple[str, ...]) -> GroundTruth | None:
        if pictures.masks is not None:
            return Masks(pictures.masks, names, pictures.mask_names)
        labels = pictures.labels(names)
        return None if labels is None else Labels(np.array(labels, np.int64))


TINY = 1e-30
CLASSES = Logits(GATES, "")
PIXELS = Logits(PIXEL_GATES, "the pixels of ")


def _by_answer(logits: Answers) -> Answers:
    """Return (answers, classes): an image's one answer, or those of all its cells."""
    return np.moveaxis(logits, 1, -1).reshape(-1, logits.shape[1])


def _without_mean(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    centered: NDArray[np.float64] = logits - logits.mean(axis=1, keepdims=True)
    return centered
