"""What boxes of all formats have in common: one format a folder, turned pictures, splits; and two real data sets."""

import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgevit.errors import DataError
from edgevit.runtime.datasets.folder import Pictures, read_folder
from edgevit.runtime.datasets.judged import choose_judged
from edgevit.runtime.datasets.marks import turned_sides, upright_size
from edgevit.runtime.datasets.seen import are_seen
from edgevit.runtime.datasets.split import split_folder
from edgevit.runtime.images.read import read_image, read_picture_header
from tests.made_labels import coco, found, make_pictures, voc, write
from tests.places import SHARED

DATA = SHARED / "data"


def test_two_formats_in_one_folder_are_refused(tmp_path: Path) -> None:
    make_pictures(tmp_path, "images/a.jpg")
    write(tmp_path, {"labels/a.txt": "", "classes.txt": "hen", "result.json": coco({"a.jpg": 0}, {"hen": 1})})
    with pytest.raises(DataError, match=r"boxes in 2 formats, YOLO \(.*a\.txt\) and COCO \(.*result\.json\); move all"):
        read_folder(tmp_path, "boxes")
    write(tmp_path, {"annotations/a.xml": voc()})
    with pytest.raises(DataError, match="boxes in 3 formats"):
        read_folder(tmp_path, "boxes")


def test_a_folder_without_labels_is_listed(tmp_path: Path) -> None:
    make_pictures(tmp_path, "train/a.jpg", "val/b.jpg")
    folder = read_folder(tmp_path, "boxes")
    assert [pictures.boxes for pictures in folder.parts.values()] == [None, None]
    assert (list(folder.parts), folder.format) == (["train", "val"], "")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_are_turned_as_the_picture_is(tmp_path: Path, orientation: int) -> None:
    """The witness is a white rectangle in the picture itself."""
    image = np.zeros((60, 80), np.uint8)
    image[10:20, 30:70] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(image).save(tmp_path / "a.png", exif=exif)
    y, x = np.nonzero(read_image(tmp_path / "a.png")[:, :, 0])
    header = read_picture_header(tmp_path / "a.png")
    assert turned_sides(np.array([[30.0, 10, 70, 20]]), header).tolist() == [
        [x.min(), y.min(), x.max() + 1, y.max() + 1]
    ]
    assert upright_size(header) == read_image(tmp_path / "a.png").shape[:2]


def test_a_cut_jpeg_still_tells_its_size(tmp_path: Path) -> None:
    make_pictures(tmp_path, "a.jpg", size=(600, 800), orientation=8)
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[:-20])
    assert upright_size(read_picture_header(tmp_path / "a.jpg")) == (800, 600)


def make_yard(folder: Path, count: int) -> None:
    make_pictures(folder, *(f"images/{i}.jpg" for i in range(count)))
    write(folder, {f"labels/{i}.txt": f"{i % 2} 0.5 0.5 {(i + 1) / 100} 0.5" for i in range(count)})
    write(folder, {"classes.txt": "hen\nfox"})


def test_pictures_that_are_held_out_keep_their_boxes(tmp_path: Path) -> None:
    make_yard(tmp_path, 60)
    folder = read_folder(tmp_path, "boxes")
    split = split_folder(folder, 0.2)
    assert len(split.train.paths) + len(split.held_out.paths) == 60
    assert 4 <= len(split.held_out.paths) <= 20
    for pictures in (split.train, split.held_out):
        for name, boxes in found(pictures).items():
            number = int(Path(name).stem)
            width = 80 * (number + 1) / 100
            assert boxes == [(("hen", "fox")[number % 2], [round(40 - width / 2, 3), 15, round(40 + width / 2, 3), 45])]
    seen = are_seen(folder, split.record)
    assert seen is not None
    assert seen["all"].count(True) == len(split.train.paths)
    judged = choose_judged(folder, [("m.onnx", split.record)]).pictures
    assert (judged.names, judged.box_names) == (split.held_out.names, ("hen", "fox"))
    assert found(judged) == found(split.held_out)


def test_all_parts_together_keep_their_boxes(tmp_path: Path) -> None:
    make_pictures(tmp_path, "images/train/a.jpg", "images/val/b.jpg")
    write(tmp_path, {"labels/train/a.txt": "0 0.5 0.5 1 1", "labels/val/b.txt": "", "classes.txt": "hen"})
    judged = choose_judged(read_folder(tmp_path, "boxes"), every=True).pictures
    assert found(judged) == {"images/train/a.jpg": [("hen", [0, 0, 80, 60])], "images/val/b.jpg": []}


def test_boxes_by_the_names_of_a_model(tmp_path: Path) -> None:
    make_yard(tmp_path, 2)
    pictures = read_folder(tmp_path, "boxes").parts["all"]
    boxes = pictures.boxes_by(("cow", "fox", "hen"))
    assert boxes is not None
    assert [truth.classes.tolist() for truth in boxes] == [[2], [1]]
    with pytest.raises(DataError, match="boxes of fox, which is no class of the model, whose labels are cow, hen"):
        pictures.boxes_by(("cow", "hen"))
    assert pictures.subset([0]).boxes_by(("hen",)) is not None, "a class without boxes need not be known"


@pytest.mark.parametrize(
    "files",
    [
        {
            "ImageSets/Main/trainval.txt": "0\n1\n2\n3",
            "ImageSets/Main/val.txt": "2\n3",
            **{f"Annotations/{i}.xml": voc(("hen", (0, 0, 9, 9))) for i in range(4)},
        },
        {
            "data.yaml": "train: images\nval: images/late\nnames: [hen]",
            **{f"labels/{name}.txt": "0 0.5 0.5 0.5 0.5" for name in ("0", "1", "late/2", "late/3")},
        },
        {
            f"annotations/instances_{part}.json": coco({f"{i}.jpg": i for i in shown}, {"hen": 1})
            for part, shown in (("train", range(4)), ("val", (2, 3)))
        },
    ],
    ids=["VOC's lists", "data.yaml", "COCO"],
)
def test_a_picture_in_train_and_val_is_held_out(tmp_path: Path, files: dict[str, str]) -> None:
    late = "late/" if "data.yaml" in files else ""
    make_pictures(tmp_path, *(f"images/{name}.jpg" for name in ("0", "1", f"{late}2", f"{late}3")))
    write(tmp_path, files)
    folder = read_folder(tmp_path, "boxes")
    stems = {part: [path.stem for path in pictures.paths] for part, pictures in folder.parts.items()}
    assert stems == {"train": ["0", "1"], "val": ["2", "3"]}
    assert [len(pictures.boxes or ()) for pictures in folder.parts.values()] == [2, 2]
    home = tmp_path / "images" if late else tmp_path
    assert list(folder.notes()) == [f"{home}: 2 pictures that are in val, too, and left out of train"]


def counts(pictures: Pictures) -> Counter[str]:
    return Counter(label for boxes in found(pictures).values() for label, _ in boxes)


def unpacked(name: str, folder: Path) -> Path:
    if not (DATA / f"{name}.zip").is_file():
        pytest.skip(f"there is no {DATA / name}.zip")
    with zipfile.ZipFile(DATA / f"{name}.zip") as archive:
        archive.extractall(folder)
    return folder


def test_blood_cells(tmp_path: Path) -> None:
    """Shenggan's BCCD: 4888 boxes, two of which have no extent."""
    folder = read_folder(unpacked("bccd", tmp_path) / "BCCD", "boxes")
    assert {part: len(pictures.paths) for part, pictures in folder.parts.items()} == {
        "train": 205,
        "val": 87,
        "test": 72,
    }
    total = sum(map(counts, folder.parts.values()), Counter[str]())
    assert total.total() == 4888 - 2
    assert (total["RBC"], total["WBC"], total["Platelets"]) == (4155 - 2, 372, 361)
    assert sum(pictures.left_out.boxes.total() for pictures in folder.parts.values()) == 2


def test_aquarium(tmp_path: Path) -> None:
    """Roboflow's aquarium, whose data.yaml has paths of another machine; two of its sharks have no extent."""
    folder = read_folder(unpacked("aquarium", tmp_path) / "aquarium", "boxes")
    shown = {part: (len(pictures.paths), counts(pictures).total()) for part, pictures in folder.parts.items()}
    assert shown == {"train": (448, 3324), "val": (127, 909), "test": (63, 584 - 2)}
    total = sum(map(counts, folder.parts.values()), Counter[str]())
    assert total == {
        "fish": 2669,
        "jellyfish": 694,
        "penguin": 516,
        "puffin": 284,
        "shark": 354 - 2,
        "starfish": 116,
        "stingray": 184,
    }
