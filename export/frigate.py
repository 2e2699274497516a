"""The folder that Frigate is pointed at: model.tflite of a classifier or model.onnx of a detector, and labelmap.txt."""

from collections.abc import Sequence
from pathlib import Path

from edgevit.errors import OutputError
from edgevit.system.files import check_folder, make_folders, replacing_output

MODEL, LABELS = "model", "labelmap.txt"


def make_folder(folder: Path, suffix: str) -> Path:
    """Make the folder if it is not there; return the path of the model in it, a file of this suffix.

    Raises:
        OutputError: it cannot be made.
    """
    check_folder(folder.parent, f"-o {folder}")
    try:
        make_folders(folder)
    except OSError as error:
        raise OutputError(f"-o {folder} cannot be made: {error.strerror}; choose another place") from error
    return folder / f"{MODEL}{suffix}"


def write_labels(folder: Path, labels: Sequence[str]) -> None:
    """Write one line for each class: its number and its name.

    With the number in front, Frigate takes the rest of the line for the name; without, only its first word.
    """
    with replacing_output(folder / LABELS) as path:
        path.write_text(
            "".join(f"{index} {label}\n" for index, label in enumerate(labels)), encoding="utf-8", newline="\n"
        )
