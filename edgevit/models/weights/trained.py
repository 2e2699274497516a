"""What `edgevit train` says in a file of weights about them: classes, preprocessing, accuracy."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgevit.artifact.manifest import HeldOut, Preprocess
from edgevit.errors import CheckpointError, MissingExtraError
from edgevit.schema import read_json, read_value

KEYS = ("edgevit_labels", "edgevit_preprocess", "edgevit_accuracy")
"""In the file's header, each a JSON string."""
MODEL_KEY = "edgevit_model"
"""There too: the name of the model."""
THRESHOLD_KEY = "edgevit_threshold"
"""There too, for detection models."""
HELD_OUT_KEY = "edgevit_held_out"
"""There too, except in files of older versions: a HeldOut as a JSON object."""
STATE_KEY = "edgevit"
"""In `last.pt`: all of these."""


@dataclass(frozen=True)
class TrainingFacts:
    """What an exporter needs to know of trained weights besides their values."""

    labels: tuple[str, ...]
    preprocess: Preprocess
    accuracy: dict[str, float | None]
    """Shares 0..1 over the held-out images, `top1` and `macro`, `pixel_accuracy` and `miou`, or `ap` and `ap50`;
    `images`, their number. Empty in `last.pt`.

    `macro` is None where a class has no image among them.
    """
    held_out: HeldOut | None = None
    """Which pictures were not trained on."""
    threshold: float | None = None
    """The score, 0..1, from which a box is to be told; None for models that find no boxes."""

    def to_metadata(self) -> dict[str, str]:
        values = (list(self.labels), asdict(self.preprocess), self.accuracy)
        texts = {key: json.dumps(value, ensure_ascii=False) for key, value in zip(KEYS, values, strict=True)}
        if self.threshold is not None:
            texts[THRESHOLD_KEY] = json.dumps(self.threshold)
        return texts | ({} if self.held_out is None else {HELD_OUT_KEY: json.dumps(asdict(self.held_out))})


def read_training_facts(path: Path) -> TrainingFacts | None:
    """Return what a safetensors file or a `last.pt` says about its weights; None if it, or another file, says nothing.

    Raises:
        CheckpointError: what it says cannot be understood.
    """
    header = _read_header(path)
    if KEYS[0] not in header:
        return None
    try:
        labels, preprocessing, accuracy = (read_json(header[key]) for key in KEYS)
        values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in preprocessing.items()}
        preprocess = Preprocess(**values)
        figures = {key: None if v is None else float(v) for key, v in accuracy.items()}
        held_out = header.get(HELD_OUT_KEY)
        record = None if held_out is None else read_value(HeldOut, read_json(held_out), HELD_OUT_KEY)
        threshold = float(read_json(header[THRESHOLD_KEY])) if THRESHOLD_KEY in header else None
        return TrainingFacts(tuple(map(str, labels)), preprocess, figures, record, threshold)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: its labels or preprocessing cannot be read ({error}); train again, or pass --labels"
        ) from error


def lacks_record(path: Path) -> bool:
    """Return whether an older `edgevit train` wrote the weights, so that nothing tells what they were trained on."""
    facts = read_training_facts(path)
    return facts.held_out is None if facts else isinstance(_read_beside(path, "recipe"), str)


def read_model_name(path: Path) -> str | None:
    """Return which model the weights are of, if `edgevit train` wrote the file; None for any other."""
    return _read_header(path).get(MODEL_KEY)


def count_parameters(path: Path) -> int:
    """Return how many numbers a safetensors file holds.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    try:
        from safetensors import SafetensorError, safe_open
    except ModuleNotFoundError as error:
        raise MissingExtraError("safetensors", f"reading {path.name}", "export") from error
    try:
        with safe_open(path, "np") as file:
            names = file.keys()
            return sum(math.prod(file.get_slice(name).get_shape()) for name in names)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is missing or damaged ({error}); copy it again") from error


def _read_header(path: Path) -> dict[str, str]:
    """Return the metadata of a safetensors file, or those in `last.pt`; empty for another file, or without any."""
    try:
        from safetensors import SafetensorError, safe_open
    except ModuleNotFoundError as error:
        raise MissingExtraError("safetensors", f"reading {path.name}", "export") from error
    try:
        with safe_open(path, "np") as file:
            return file.metadata() or {}
    except SafetensorError:  # of PyTorch's own format, or damaged: whoever reads the weights says so
        found = _read_beside(path, STATE_KEY)
        return {str(key): str(text) for key, text in found.items()} if isinstance(found, dict) else {}


def _read_beside(path: Path, key: str) -> Any:
    """Return what PyTorch's file holds under a key beside the weights; None without PyTorch."""
    try:
        from edgevit.models.weights.checkpoint import read_beside
    except ModuleNotFoundError:
        return None
    return read_beside(path, key)
