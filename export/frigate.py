"""The folder that Frigate is pointed at: model.tflite of a classifier or model.onnx of a detector, and labelmap.txt."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgevit.errors import OptionError, OutputError
from edgevit.export.recipe import SUFFIXES
from edgevit.system.files import check_folder, make_folders, replacing_output

MODEL, LABELS = "model", "labelmap.txt"


@contextlib.contextmanager
def making_folder(folder: Path, suffix: str) -> Iterator[Path]:
    """Make the folder if it is not there; yield the path of the model in it, a file of this suffix.

    A folder that was made is taken away again if the block fails before anything lies in it.

    Raises:
        OptionError: it is named as a file.
        OutputError: it cannot be made.
    """
    if folder.suffix in SUFFIXES.values():
        raise OptionError(f"-o {folder} is named as a file, and --layout 'frigate' writes a folder; leave that out")
    check_folder(folder.parent, f"-o {folder}")
    made = not folder.exists()
    try:
        make_folders(folder)
    except OSError as error:
        raise OutputError(f"-o {folder} cannot be made: {error.strerror}; choose another place") from error
    try:
        yield folder / f"{MODEL}{suffix}"
    except BaseException:
        if made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def write_labels(folder: Path, labels: Sequence[str]) -> None:
    """Write one line for each class: its number and its name.

    With the number in front, Frigate takes the rest of the line for the name; without, only its first word.
    """
    with replacing_output(folder / LABELS) as path:
        path.write_text(
            "".join(f"{index} {label}\n" for index, label in enumerate(labels)), encoding="utf-8", newline="\n"
        )
