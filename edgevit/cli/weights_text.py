"""What `edgevit info` says of a file of weights: model, classes, what they were trained on, licence; needs no torch."""

from pathlib import Path
from typing import Any

from edgevit.cli.labels_text import describe_labels
from edgevit.errors import CheckpointError
from edgevit.models.weights.trained import count_parameters, read_model_name, read_training_facts
from edgevit.schema import read_json
from edgevit.text import decode_text

UNKNOWN = "not said"


def weights_document(path: Path) -> dict[str, Any]:
    """Return what a safetensors file and the card beside it say, as JSON values; None where they do not.

    Raises:
        CheckpointError: the file is missing or damaged, or what it says cannot be understood.
    """
    parameters, facts, card = count_parameters(path), read_training_facts(path), read_card(path)
    return {
        "model": read_model_name(path),
        "parameters": parameters,
        "labels": facts and list(facts.labels),
        "input_size": facts and list(facts.preprocess.size),
        "accuracy": facts and facts.accuracy,
        "images": card.get("images"),
        "unlabelled": card.get("unlabelled"),
        "started_from": card.get("started_from"),
        "teacher": card.get("teacher"),
    }


def describe_weights(path: Path) -> list[tuple[str, str]]:
    """Return the document as (name, value) lines for people."""
    found = weights_document(path)
    size, teacher = found["input_size"], found["teacher"]
    figures = [f"{name} {share:.1%}" for name, share in (found["accuracy"] or {}).items() if share and name != "images"]
    return [
        ("file", f"{path} ({path.stat().st_size / 1e6:.1f} MB, {found['parameters']:,} numbers)"),
        ("model", found["model"] or UNKNOWN),
        ("labels", describe_labels(tuple(found["labels"])) if found["labels"] else UNKNOWN),
        ("input", f"{size[0]}x{size[1]} (height x width)" if size else UNKNOWN),
        ("accuracy", f"{', '.join(figures)} of {found['accuracy']['images']:g} held out" if figures else UNKNOWN),
        ("trained on", _describe_images(found["images"], found["unlabelled"])),
        ("started from", found["started_from"] or UNKNOWN),
        *([("teacher", f"{teacher['file']}, {teacher['classes']:,} classes")] if teacher else []),
        ("licence", "not stated in the file: it depends on the images, on what it started from and on its teacher"),
    ]


def read_card(path: Path) -> dict[str, Any]:
    """Return the card that `edgevit train` writes beside the weights; empty where there is none.

    Raises:
        CheckpointError: it is no JSON object.
    """
    card = path.with_suffix(".json")
    if not card.is_file():
        return {}
    try:
        found = read_json(decode_text(card.read_bytes()))
    except ValueError as error:
        raise CheckpointError(f"{card} is no JSON ({error}); delete it, or restore it") from error
    return found if isinstance(found, dict) else {}


def _describe_images(images: Any, unlabelled: Any) -> str:
    if not isinstance(images, dict) or not isinstance(images.get("train"), dict):
        return f"{UNKNOWN}: no card lies beside the file"
    others = f" and {unlabelled:,} without a class" if isinstance(unlabelled, int) and unlabelled else ""
    return f"{sum(images['train'].values()):,} of {len(images['train']):,} classes{others}, as the card beside it says"
