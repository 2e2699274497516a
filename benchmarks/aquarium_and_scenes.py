"""The pictures that the bundled detector was trained on: the aquarium's, and drawn scenes beside them.

    python benchmarks/aquarium_and_scenes.py AQUARIUM DIR

AQUARIUM is the set "Aquarium Combined" as YOLO text files (train/, valid/, test/, data.yaml; CC BY 4.0). Its pictures
are linked into DIR, or copied; the scenes of drawn_scenes.py come to those of train/ and valid/, their classes after
its own.
"""

import os
import shutil
from pathlib import Path

import click
from drawn_scenes import write_scenes

from edgevit.export.data.scenes import CLASSES
from edgevit.runtime.datasets.folder import read_folder
from edgevit.system.program import Program

PARTS = {"train": range(150), "valid": range(100_000, 100_020), "test": range(0)}
"""Seeds of the scenes that each part gets."""


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


@click.command(cls=Program, help=__doc__)
@click.argument("aquarium", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("folder", type=click.Path(path_type=Path))
def main(aquarium: Path, folder: Path) -> None:
    names = next(iter(read_folder(aquarium, "boxes").parts.values())).box_names
    for part, seeds in PARTS.items():
        for kind in ("images", "labels"):
            for source in sorted((aquarium / part / kind).iterdir()):
                _link(source, folder / part / kind / source.name)
        write_scenes(folder / part, seeds, first=len(names))
    listed = "\n".join(f"  {number}: {name}" for number, name in enumerate((*names, *CLASSES)))
    places = "\n".join(f"{name}: {part}/images" for name, part in zip(("train", "val", "test"), PARTS, strict=True))
    (folder / "data.yaml").write_text(f"{places}\nnames:\n{listed}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
