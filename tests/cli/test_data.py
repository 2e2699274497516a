"""`edgevit data` as a user calls it: text, JSON, the sheet, one line for each mistake."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.made_labels import make_pictures, write
from tests.places import DOCS

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def farm(tmp_path: Path) -> Path:
    farm = tmp_path / "farm"
    make_pictures(farm, "train/images/a.jpg", "train/images/b.jpg", "valid/images/c.jpg", size=(480, 640))
    labels = {
        "train/labels/a.txt": "0 0.5 0.5 0.5 0.5\n1 0.5 0.5 0.5 0.5\n1 0.5 0.5 0 0",
        "train/labels/b.txt": "",
        "valid/labels/c.txt": "1 0.5 0.5 0.5 0.5",
    }
    write(farm, {**labels, "data.yaml": "names: [hen, fox]\nlicense: CC0\n"})
    return farm


def test_people_get_a_table(run: Run, farm: Path) -> None:
    code, out, err = run("data", farm)
    assert (code, err) == (0, "")
    label = farm / "train/labels/a.txt"
    assert out == (
        f"{farm}: YOLO boxes, to detect\n"
        "\n"
        "               train  val\n"
        "pictures           2    1\n"
        "without boxes      1    0\n"
        "boxes              2    1\n"
        "  hen              1    0\n"
        "  fox              1    1\n"
        "\n"
        "pictures: often 640 x 480; 100% have about the same form\n"
        "side of a box: 50.0% of the picture's (median), 5 % below 50.0%, 5 % above 50.0%\n"
        # half of 320 x 240: a square of the same area has a side of 139
        "to begin with: --imgsz 256x320, where the smallest boxes have 139 pixels\n"
        "licence: CC0 (data.yaml)\n"
        f"note: {farm / 'train'}: 1 box left out: 1 without extent (the first in {label})\n"
    )


def test_programs_get_json_whose_fields_are_described(run: Run, farm: Path) -> None:
    code, out, _ = run("data", farm, "--json", "--task", "detect")
    found = json.loads(out)
    assert (code, found["task"], found["imgsz"]) == (0, "detect", [256, 320])
    assert found["parts"]["train"] == {"pictures": 2, "empty": 1, "classes": {"hen": 1, "fox": 1}}
    text = (DOCS / "data.md").read_text()
    assert [field for field in found if f"`{field}`" not in text] == []


def test_small_boxes_are_said_to_be_small(run: Run, farm: Path) -> None:
    write(farm, {"train/labels/a.txt": "0 0.5 0.5 0.005 0.005\n" * 1, "valid/labels/c.txt": ""})
    _, out, _ = run("data", farm)
    assert "to begin with: --imgsz 480x640, where the smallest boxes have 3 pixels; that is little: take" in out


def test_a_folder_without_parts_and_names_that_mean_harm(run: Run, tmp_path: Path) -> None:
    make_pictures(tmp_path, "hen\x1b[31m/a.jpg", "fox/a.jpg")
    code, out, _ = run("data", tmp_path)
    assert code == 0
    assert "\x1b" not in out
    assert re.search(r"^pictures +2$\n^ {2}fox +1$\n^ {2}hen \[31m +1$", out, re.MULTILINE)


def test_the_sheet_is_written_and_named(run: Run, farm: Path, tmp_path: Path) -> None:
    code, out, err = run("data", farm, "--sheet", tmp_path / "sheet.jpg")
    assert code == 0
    assert (tmp_path / "sheet.jpg").read_bytes()[:2] == b"\xff\xd8"
    assert err == f"edgevit: {tmp_path / 'sheet.jpg'}: look whether the pictures and what is drawn in them are right\n"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--sheet", "x.pdf"), 2, "edgevit: --sheet is x.pdf, expected the name of a picture: .jpg .jpeg .png\n"),
        (("--task", "segment"), 1, "holds pictures, but no masks that are known here; see docs/data.md\n"),
        (("--task", "count"), 2, "'count' is not one of 'classify', 'segment', 'detect'"),
    ],
)
def test_mistakes_are_one_line(run: Run, farm: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    found, out, err = run("data", farm, *arguments)
    assert (found, out) == (code, "")
    assert message in err
    assert err.count("\n") == 1


def test_a_damaged_label_is_named(run: Run, farm: Path) -> None:
    write(farm, {"train/labels/b.txt": "7 0.5 0.5 0.5 0.5"})
    code, _, err = run("data", farm)
    label = farm / "train/labels/b.txt"
    assert (code, err) == (1, f"edgevit: {label}, line 1 has class 7, but only 2 are named (0 to 1)\n")
