"""Boxes as labels for training, in the format of YOLO: a text file for each picture, and what the numbers mean."""

import json
from collections.abc import Sequence
from pathlib import Path

from edgevit.errors import OutputError
from edgevit.runtime.detection.result import Detections
from edgevit.system.files import replacing
from edgevit.text import decode_text


def label_lines(result: Detections) -> str:
    """Return a line for each box: its class, and x and y of its centre, width and height in shares of the picture."""
    height, width = result.size
    lines = []
    for index, (left, top, right, bottom) in zip(result.classes, result.boxes.tolist(), strict=True):
        shares = (
            (left + right) / 2 / width,
            (top + bottom) / 2 / height,
            (right - left) / width,
            (bottom - top) / height,
        )
        lines.append(f"{index} {' '.join(f'{share:.6f}' for share in shares)}\n")
    return "".join(lines)


def class_lines(names: Sequence[str]) -> str:
    """Return classes.txt: the name of each class, one a line, as many labelling tools ask for."""
    return "".join(f"{name}\n" for name in names)


def data_yaml(names: Sequence[str]) -> str:
    """Return data.yaml of a folder whose pictures lie in images/ and their labels in labels/."""
    # JSON's texts are YAML's too, whatever a name holds
    named = "".join(f"  {number}: {json.dumps(name)}\n" for number, name in enumerate(names))
    return f"train: images\nnames:\n{named}"


def write_once(path: Path, text: str) -> None:
    """Write what the numbers of the labels beside it mean.

    Raises:
        OutputError: it cannot be written, or says something else already, as after a run of another model.
    """
    try:
        if not path.is_file():
            with replacing(path) as part:
                part.write_text(text, "utf-8")
        known = decode_text(path.read_bytes())
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}; choose another folder") from error
    except ValueError as error:
        raise OutputError(f"{path} is {error}, or choose another folder") from error
    if known.splitlines() != text.splitlines():
        raise OutputError(
            f"{path} is of other classes than this model's, and the labels there are numbers of those; "
            "choose another folder"
        )
