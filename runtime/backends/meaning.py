"""What the numbers mean that a model answers with: decided once, when it is opened, from how its graph ends."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.files import FilePath, file_suffix
from edgevit.errors import ModelFileError, OptionError
from edgevit.runtime.backends.session import Session
from edgevit.runtime.postprocess import sigmoid, softmax

Meaning = Literal["logits", "probabilities", "sigmoid"]
""""logits": any numbers. "probabilities": of classes of which one is there. "sigmoid": a probability for each class by
itself, so that several may be there at once."""
MEANINGS: tuple[Meaning, ...] = ("logits", "probabilities", "sigmoid")

TELLING: Mapping[str, Meaning] = {
    "Softmax": "probabilities",
    "QLinearSoftmax": "probabilities",
    "SOFTMAX": "probabilities",
    # a softmax of logarithms of probabilities gives those probabilities
    "LogSoftmax": "logits",
    "LOG_SOFTMAX": "logits",
    "Sigmoid": "sigmoid",
    "HardSigmoid": "sigmoid",
    "QLinearSigmoid": "sigmoid",
    "LOGISTIC": "sigmoid",
}
"""Last operators, of ONNX and of TFLite, that tell what an output means."""
GRAPH_READERS = {".onnx": "edgevit.artifact.onnx", ".tflite": "edgevit.runtime.backends.tflite_operators"}
"""File suffix to the module whose `last_operator(path, output)` finds the last operator before an output."""
_SLACK = 1e-3
"""How far outside 0..1 a probability may lie by rounding."""


@dataclass(frozen=True)
class OutputMeaning:
    """What the answer (B, count) of a model means."""

    count: int
    meaning: Meaning = "logits"
    squashed: bool = True
    """Whether, with "sigmoid", the graph itself makes probabilities of its numbers; else that is done here."""

    @property
    def multi_label(self) -> bool:
        """Whether several classes may be there at once, each with a probability of its own."""
        return self.meaning == "sigmoid" and self.count > 1

    @property
    def has_logits(self) -> bool:
        """Whether the answers are one logit for each class."""
        return self.meaning == "logits" and self.count > 1

    def names(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Return the classes' names; of a single output, which is a yes or no, also that of the no."""
        return (f"not {labels[0]}", *labels) if self.count == 1 and len(labels) == 1 else labels

    def probabilities(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (B, classes) for (B, count); a single output p becomes (1 - p, p).

        Raises:
            ModelFileError: what should be a probability is none.
        """
        if self.has_logits:
            return softmax(outputs)
        if self.meaning == "logits" or (self.meaning == "sigmoid" and not self.squashed):
            shares = sigmoid(outputs)
        elif outputs.min() < -_SLACK or outputs.max() > 1 + _SLACK:
            raise ModelFileError(
                f"the model answers from {outputs.min():.3g} to {outputs.max():.3g}, which are no probabilities; give "
                "--outputs 'logits'"
            )
        else:
            shares = np.clip(outputs, 0, 1)
        return np.concatenate([1 - shares, shares], axis=1) if self.count == 1 else shares


def find_meaning(path: FilePath, session: Session, count: int, told: str | None = None) -> OutputMeaning:
    """Return what the answers of a model mean that edgevit did not export.

    Args:
        path: the model's file.
        session: the model.
        count: how many numbers it answers with for a picture.
        told: what the user says, one of MEANINGS; else the last operators of the graph tell; where they do not, integer
            outputs with the levels that TFLite prescribes for a softmax are probabilities, all others are logits.

    Raises:
        OptionError: `told` is none of MEANINGS.
        ModelFileError: the model ends in a softmax over one class, which is always 1.
    """
    if told is not None and told not in MEANINGS:
        raise OptionError(f"outputs is {told!r}, expected {', '.join(MEANINGS)}")
    last: str = importlib.import_module(GRAPH_READERS[file_suffix(path)]).last_operator(path, session.tensors.output)
    found = TELLING.get(last, "probabilities" if session.tensors.probabilities else "logits")
    if told is None and count == 1 and last.upper() == "SOFTMAX":
        raise ModelFileError(f"{path} ends in a softmax over one class, which is always 1; export it with a sigmoid")
    meaning = next((meaning for meaning in MEANINGS if meaning == told), found)
    return OutputMeaning(count, meaning, squashed=found != "logits")
