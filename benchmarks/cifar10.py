"""Where the benchmarks find CIFAR-10 as image folders."""

import contextlib
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import click

ARCHIVES = Path(__file__).parents[2] / "shared" / "data"


@contextlib.contextmanager
def cifar10(split: str, folder: Path | None) -> Iterator[Path]:
    """Yield a folder with a sub-folder of JPEGs for each class: `folder` if given, else the archive beside the project.

    Args:
        split: "train" or "test".
        folder: an image folder.
    """
    if folder is not None:
        yield folder
        return
    archive = ARCHIVES / f"cifar10-{split}.zip"
    if not archive.is_file():
        raise click.UsageError(
            f"{archive.name} was not found beside the project; give the {split} images with --{split}"
        )
    with tempfile.TemporaryDirectory() as unpacked, zipfile.ZipFile(archive) as file:
        file.extractall(unpacked)
        yield Path(unpacked)
