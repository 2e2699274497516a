"""Any mixture of the files that data sets have, in any places: read, or refused in one line."""

import random
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgevit.runtime.overview.sheet import draw_sheet
from edgevit.runtime.overview.summary import read_any, summarize
from tests.made_labels import coco, voc, write
from tests.random_inputs import refusal

ROUNDS = 150
PLACES = (
    *("", "images/", "labels/", "train/", "val/", "test/", "train/images/", "train/labels/", "images/train/", "masks/"),
    *("labels/train/", "images/val/", "labels/val/", "Annotations/", "JPEGImages/", "annotations/", "obj_train_data/"),
    *("ImageSets/Main/", "hen/", "train/hen/", "valid/images/"),
)
PICTURE = cv2.imencode(".png", np.full((6, 8), 90, np.uint8))[1].tobytes()
COCO = coco({"a.png": 0, "images/b.png": 1}, {"hen": 1}, {"image_id": 0, "category_id": 1, "bbox": [1, 1, 3, 3]})
FILES: dict[str, tuple[str | bytes, ...]] = {
    "a.png": (PICTURE, PICTURE, PICTURE, b""),
    "b.png": (PICTURE, PICTURE),
    "a.txt": ("0 0.5 0.5 0.5 0.5", "", "1 0.5 0.5 2 2", "hen"),
    "01234567-b.txt": ("0 0.5 0.5 0.5 0.5",),
    "a.xml": (voc(("hen", (1, 1, 4, 4)), size=(6, 8)), "<annotation/>", "<a/>"),
    "classes.txt": ("hen\nfox", "fox\nhen", ""),
    "data.yaml": ("names: [hen, fox]\ntrain: ../train/images\nval: images/val", "names: {0: hen", "train: images"),
    "obj.names": ("hen\nfox",),
    "notes.json": ('{"categories": [{"id": 0, "name": "hen"}]}', "{}"),
    "train.txt": ("a", "b.png\n", ""),
    "val.txt": ("b", "data/a.png"),
    "_annotations.coco.json": (COCO, "{}"),
    "instances_train.json": (COCO,),
    "result.json": (COCO, '"images" "annotations" "categories"'),
}


def read_and_check(root: Path) -> None:
    folder, task = read_any(root)
    found = summarize(folder, task)
    assert sum(part.pictures for part in found.parts.values()) > 0
    draw_sheet(folder)
    for pictures in folder.parts.values():
        assert len(set(pictures.paths)) == len(pictures.paths)
        assert pictures.boxes is None or len(pictures.boxes) == len(pictures.paths)


@pytest.mark.parametrize("seed", range(3))
def test_any_mixture_is_read_or_refused_in_one_line(tmp_path: Path, seed: int) -> None:
    draw, read = random.Random(seed), 0
    for trial in range(ROUNDS):
        root = tmp_path / str(trial)
        names = [f"{draw.choice(PLACES)}{draw.choice(list(FILES))}" for _ in range(draw.randrange(1, 9))]
        write(root, {name: draw.choice(FILES[name.rpartition("/")[2]]) for name in names})
        told = refusal(partial(read_and_check, root))
        assert len(told.splitlines()) <= 1
        read += not told
    assert read > ROUNDS / 10
