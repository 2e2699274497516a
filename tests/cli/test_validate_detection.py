"""`edgevit validate` for detectors as a user calls it, on scenes whose squares a tiny model finds by arithmetic."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

import edgevit
from tests import made_detector
from tests.made_detector import scene
from tests.places import DOCS

MakeModel = Callable[..., Path]
SaveImage = Callable[[str, NDArray[np.uint8]], Path]
Run = Callable[..., tuple[int, str, str]]

Square = tuple[str, int, int]
Marked = tuple[str, float, float]
SCENES: dict[str, tuple[tuple[Square, ...], tuple[Marked, ...]]] = {
    # what is in the picture, and what somebody marked
    "a": ((("red", 0, 0), ("green", 1, 2)), (("red", 0, 0), ("green", 1, 2))),
    "b": ((("red", 0, 2), ("blue", 1, 0)), (("red", 0, 2), ("blue", 1, 0), ("red", 0.5, 1))),
    "c": ((("blue", 1, 0),), ()),
    "d": ((), ()),
}
"""Marked but not there: the second red of b, between two places that the model may name. Not marked: the blue of c."""


@pytest.fixture
def data(save_image: SaveImage, tmp_path: Path) -> Path:
    """Make a folder in YOLO's form; a picture is two by three squares."""
    (tmp_path / "farm/labels").mkdir(parents=True)
    for name, (there, marked) in SCENES.items():
        save_image(f"farm/images/{name}.png", scene(*there))
        lines = [
            f"{made_detector.LABELS.index(colour)} {(column + 0.5) / 3:.6f} {(row + 0.5) / 2:.6f} {1 / 3:.6f} 0.5\n"
            for colour, row, column in marked
        ]
        (tmp_path / f"farm/labels/{name}.txt").write_text("".join(lines))
    (tmp_path / "farm/data.yaml").write_text(f"names: [{', '.join(made_detector.LABELS)}]\n")
    return tmp_path / "farm"


@pytest.fixture
def blind(make_detector: MakeModel) -> Path:
    """Return a model that sees no blue."""
    graph: onnx.ModelProto = made_detector.squares_graph()
    (bias,) = (one for one in graph.graph.initializer if one.name == "bias")
    bias.CopyFrom(numpy_helper.from_array(np.array([-4, -4, -40], np.float32), "bias"))
    return make_detector("blind.onnx", graph=graph)


def test_precision_and_counts_by_hand(tiny_detector: Path, data: Path) -> None:
    """Red: 2 of 3 found, nothing wrong: the AP is the share of the 101 recalls up to 2/3.

    Blue: one is right, one wrong with an equal score, and the right one is in the earlier picture: AP 1.
    """
    found = edgevit.validate(tiny_detector, data, task="detect")
    (model,) = found.models
    assert model.precision is not None
    assert model.counts is not None
    assert model.precision.per_class == pytest.approx((67 / 101, 1, 1))
    assert (model.precision.ap, model.precision.ap50) == pytest.approx(((67 / 101 + 2) / 3,) * 2)
    red, green, blue = model.counts.per_class
    # of four pictures one has a red too few, another a blue too many
    assert [(one.true, one.found, one.error, one.bias) for one in (red, green, blue)] == [
        (3, 2, 0.25, -0.25),
        (1, 1, 0, 0),
        (1, 2, 0.25, 0.25),
    ]
    assert red.recall == pytest.approx(2 / 3)
    assert (red.precision, blue.precision, blue.recall) == (1, 0.5, 1)
    assert (model.counts.total.error, model.counts.total.bias) == (0.5, 0)
    assert model.found == (2, 1, 2)
    assert [(Path(one.source).name, one.missed, one.extra) for one in model.worst] == [("b.png", 1, 0), ("c.png", 0, 1)]
    # the square's corners in pixels of the picture, which is twice as large as the model's input
    assert model.worst[0].expected[2].box == pytest.approx((64, 32, 128, 96), abs=0.01)


def test_other_boxes_than_the_first_models_are_counted_and_shown(tiny_detector: Path, blind: Path, data: Path) -> None:
    first, second = edgevit.validate([tiny_detector, blind], data, task="detect").models
    assert first.agreement is None
    assert second.agreement is not None
    assert (second.agreement.same, second.agreement.lost, second.agreement.gained) == (3, 2, 0)
    assert second.agreement.share == 3 / 5
    assert [Path(one.source).name for one in second.agreement.changed] == ["b.png", "c.png"]
    assert [one.label for one in second.agreement.changed[0].expected if one.alone] == ["blue"]


def test_people_get_tables(run: Run, tiny_detector: Path, blind: Path, data: Path) -> None:
    code, out, _ = run("validate", tiny_detector, blind, "--data", data)
    assert code == 0
    assert out.startswith(f"{data}: 4 pictures that may have been trained on\n")
    lines = [line.split() for line in out.splitlines()]
    # AP and AP50 of all; there are no small boxes, medium ones alone
    assert ["1", str(tiny_detector), "88.8%", "88.8%", "88.8%", "-", "88.8%", "-"] in lines
    assert ["2", str(blind), *["55.4%"] * 3, "-", "55.4%", "-", "-33.3"] in lines
    assert ["1", str(tiny_detector), "0.25", "5", "5", "0.50", "+0.00", "80.0%", "80.0%"] in [row[:9] for row in lines]
    assert f"1 squares.onnx, pictures with the most missed and wrong boxes\n  {data}/images/b.png: 1 missed, 0" in out
    assert f"2 blind.onnx, pictures with other boxes than 1\n  {data}/images/b.png: 1 missed, 0 more\n" in out
    assert ["2", str(blind), "3", "60.0%", "2", "0"] in lines


def test_thresholds_decide_what_counts(run: Run, tiny_detector: Path, data: Path) -> None:
    out = json.loads(run("validate", tiny_detector, "--data", data, "--json", "--threshold", "red=0.999")[1])
    (model,) = out["models"]
    assert model["found"] == [0, 1, 2]
    assert model["counts"]["thresholds"] == [0.999, 0.25, 0.25]
    # the average precision is of all boxes, whatever counts
    assert model["precision"]["per_class"][0] == pytest.approx(67 / 101)
    (model,) = json.loads(run("validate", tiny_detector, "--data", data, "--json", "--threshold", "0")[1])["models"]
    assert model["counts"]["thresholds"] == [0, 0, 0]
    code, _, err = run("validate", tiny_detector, "--data", data, "--threshold", "pink=0.5")
    assert (code, "--threshold pink=0.5: the model has no class 'pink'" in err) == (2, True)


def test_json_is_as_described(run: Run, tiny_detector: Path, blind: Path, data: Path) -> None:
    code, out, _ = run("validate", tiny_detector, blind, "--data", data, "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["schema"], found["task"], found["images"], found["labelled"]) == (1, "detect", 4, True)
    text = (DOCS / "validation.md").read_text()
    names = {name for model in found["models"] for name in _names(model)}
    assert {name for name in names if f"`{name}`" not in text} == set()


def _names(value: object) -> set[str]:
    if isinstance(value, list):
        return {name for one in value for name in _names(one)}
    if isinstance(value, dict):
        return set(value) | {name for one in value.values() for name in _names(one)}
    return set()


def test_page_shows_photographs_with_their_boxes(
    run: Run, tiny_detector: Path, blind: Path, data: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    code, _, err = run("validate", tiny_detector, blind, "--data", data, "--report", page)
    assert (code, f"report: {page}" in err) == (0, True)
    text = page.read_text()
    # b and c of the first; b of the second; b and c again, beside the first model's answers
    assert text.count("data:image/jpeg;base64,") == 5
    missed = re.findall(r'<rect class="missed" x="64" y="32" width="64" height="64"><title>red</title>', text)
    assert len(missed) == 2
    assert re.search(r'<rect class="extra" x="0" y="64" width="64" height="64"><title>blue 1\.00</title>', text)
    assert not re.search(r"https?://", text)


def test_pictures_without_labels_are_judged_by_agreement(
    run: Run, tiny_detector: Path, blind: Path, data: Path, tmp_path: Path
) -> None:
    code, out, _ = run("validate", tiny_detector, blind, "--data", data, "--unlabelled")
    assert code == 0
    assert "boxes not known" in out
    assert "AP" not in out
    assert "60.0%" in out
    page = tmp_path / "page.html"
    assert run("validate", tiny_detector, blind, "--data", data, "--unlabelled", "--report", page)[0] == 0
    assert 'class="missed"' in page.read_text()


def test_label_that_the_model_does_not_know_is_an_error_of_one_line(run: Run, tiny_detector: Path, data: Path) -> None:
    (data / "data.yaml").write_text("names: [red, green, hen]\n")
    code, _, err = run("validate", tiny_detector, "--data", data)
    assert code == 1
    assert "boxes of hen, which is no class of the model" in err


def test_models_of_other_tasks_and_thresholds_for_them_are_refused(
    run: Run, tiny_detector: Path, tiny_model: Path, data: Path
) -> None:
    code, _, err = run("validate", tiny_model, tiny_detector, "--data", data)
    assert (code, "classifies" in err, "detects; compare models of the same task" in err) == (2, True, True)
    code, _, err = run("validate", tiny_model, "--data", data, "--threshold", "0.5")
    assert (code, "--threshold is for models that detect; leave it out" in err) == (2, True)
