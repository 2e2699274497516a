"""Drawn scenes with their boxes as a data set, to test detectors with.

As a program it writes pictures and YOLO's text files, which `edgevit train` reads:

    python benchmarks/drawn_scenes.py scenes/ --train 100 --val 20
"""

from pathlib import Path

import click
import cv2
import numpy as np

from edgevit.export.data.scenes import CLASSES, draw_scene
from edgevit.system.program import Program

FIRST_HELD_OUT = 100_000
"""Seed of the first scene that is not trained on."""


def write_scenes(folder: Path, seeds: range, first: int = 0) -> None:
    """Write scenes as folder/images/N.png and folder/labels/N.txt; `first` is the number of the first class there."""
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        image, truth = draw_scene(seed)
        cv2.imwrite(str(folder / "images" / f"{seed:05d}.png"), image[:, :, ::-1])
        sides = np.array([image.shape[1], image.shape[0]] * 2, np.float64)
        lines = []
        for box, number in zip(truth.boxes / sides, truth.classes, strict=True):
            centre, side = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
            lines.append(" ".join([str(first + number), *(f"{value:.6f}" for value in (*centre, *side))]) + "\n")
        (folder / "labels" / f"{seed:05d}.txt").write_text("".join(lines))


def write_dataset(folder: Path, train: int, val: int) -> None:
    """Write so many scenes to train on and to judge by, as Ultralytics lays them out."""
    write_scenes(folder / "train", range(train))
    write_scenes(folder / "val", range(FIRST_HELD_OUT, FIRST_HELD_OUT + val))
    names = "\n".join(f"  {number}: {name}" for number, name in enumerate(CLASSES))
    (folder / "data.yaml").write_text(f"train: train/images\nval: val/images\nnames:\n{names}\n")


@click.command(cls=Program)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--train", default=100, show_default=True, help="Scenes to train on.")
@click.option("--val", default=20, show_default=True, help="Scenes to judge by.")
def main(folder: Path, train: int, val: int) -> None:
    """Write scenes and their boxes into FOLDER/train and FOLDER/val."""
    write_dataset(folder, train, val)


if __name__ == "__main__":
    main()
