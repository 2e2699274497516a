"""A loaded detector: boxes in pixels of the picture, whatever it was given as."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

import edgevit
from edgevit.errors import ModelFileError, OptionError
from edgevit.runtime.events.labels import LabelRules
from tests.conftest import MakeModel
from tests.made_detector import BOXES, LABELS, PREPROCESS, scene, squares_graph

SCORE = 1 / (1 + np.exp(-8.0))
"""How sure it is that a square is there, whatever its class, whose logit is about 6.2."""


def test_boxes_are_in_pixels_of_the_picture(tiny_detector: Path) -> None:
    with edgevit.load(tiny_detector, task="detect") as detector:
        result = detector(scene(("red", 0, 1), ("blue", 1, 2)))
    assert isinstance(result, edgevit.Detections)
    assert sorted(zip(result.labels, result.boxes.tolist(), strict=True)) == [
        ("blue", [128, 64, 192, 128]),
        ("red", [64, 0, 128, 64]),
    ]
    assert result.size == (128, 192)
    assert result.counts == {"red": 1, "blue": 1}
    assert result.count("green") == 0
    assert result.scores.min() > 0.99
    np.testing.assert_allclose(result.probs, (result.scores.max(), 0, result.scores.max()), atol=1e-3)


def test_a_picture_of_another_shape_is_letterboxed(tiny_detector: Path) -> None:
    # 128 x 128 becomes 64 x 64; the right third of the input is filled
    picture = scene(("green", 1, 1))[:, :128]
    with edgevit.load(tiny_detector, task="detect") as detector:
        assert detector(picture).boxes.tolist() == [[64, 64, 128, 128]]


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_photo_gives_boxes_in_its_own_pixels(tiny_detector: Path, tmp_path: Path, orientation: int) -> None:
    Image = pytest.importorskip("PIL.Image", reason="Pillow writes Exif orientations")
    picture = scene(("red", 1, 0), scale=25)
    # stored lying on its side, to be turned right by a quarter
    stored = picture if orientation == 1 else np.ascontiguousarray(np.rot90(picture))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "large.jpg"
    Image.fromarray(stored).save(path, exif=exif, quality=95)
    with edgevit.load(tiny_detector, task="detect") as detector:
        for source in (path, path.read_bytes(), picture):
            result = detector(source)
            assert result.size == (1600, 2400)
            np.testing.assert_allclose(result.boxes, [[0, 800, 800, 1600]], atol=1)
            assert len(result.image) == (1600 if source is picture else 200)
            assert result.overlay().shape == result.image.shape
        np.testing.assert_allclose(detector.find(path).boxes, [[0, 800, 800, 1600]], atol=1)


def test_nothing_is_found_where_nothing_is(tiny_detector: Path) -> None:
    with edgevit.load(tiny_detector, task="detect") as detector:
        result = detector(scene())
    assert result.boxes.shape == (0, 4)
    assert result.counts == {}
    assert str(result) == "nothing"
    assert result.probs.tolist() == [0, 0, 0]


def test_a_list_is_answered_one_by_one(tiny_detector: Path) -> None:
    with edgevit.load(tiny_detector, task="detect") as detector:
        results = detector([scene(), scene(("red", 0, 0)), scene(("blue", 0, 0), ("blue", 1, 1))])
    assert [result.counts for result in results] == [{}, {"red": 1}, {"blue": 2}]


def test_find_takes_any_threshold(tiny_detector: Path) -> None:
    with edgevit.load(tiny_detector, task="detect") as detector:
        # grey cells: sigmoid(-4 - 2 * .212 + ...) is about .018, times sigmoid(8)
        assert len(detector.find(scene(), threshold=0.01).boxes) == 6
        assert len(detector.find(scene(), threshold=0.03).boxes) == 0
        assert len(detector.find(scene(), threshold=0.01, most=2).boxes) == 2
        assert len(detector.find(scene()).boxes) == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"threshold": -1}, "threshold= is -1, expected a number from 0 to 1"),
        ({"threshold": "0.5"}, "threshold= is '0.5', expected a finite number"),
        ({"overlap": 1.5}, "overlap= is 1.5, expected a number from 0 to 1"),
        ({"candidates": 0}, "candidates= is 0, expected a whole number, 1 or more"),
        ({"most": 2.5}, "most= is 2.5, expected a whole number"),
    ],
)
def test_what_cannot_be_asked_of_find_is_told(tiny_detector: Path, given: dict[str, Any], message: str) -> None:
    with edgevit.load(tiny_detector, task="detect") as detector, pytest.raises(OptionError) as caught:
        detector.find(scene(), **given)
    assert str(caught.value).startswith(message)


def test_thresholds_of_single_classes_decide_what_is_told(tiny_detector: Path) -> None:
    picture = scene(("red", 0, 0), ("blue", 1, 1))
    with edgevit.load(tiny_detector, task="detect") as detector:
        assert detector.thresholds == {"red": 0.25, "green": 0.25, "blue": 0.25}
        detector.set_thresholds(blue=1.0)
        assert detector(picture).counts == {"red": 1}
        detector.set_thresholds(0.01)
        assert len(detector(picture).boxes) == 6
        detector.set_thresholds()
        assert detector(picture).counts == {"red": 1, "blue": 1}
        with pytest.raises(OptionError, match="no class 'hen'; it has red, green, blue"):
            detector.set_thresholds(hen=0.5)
        with pytest.raises(OptionError, match="red= is 2, expected a number from 0 to 1"):
            detector.set_thresholds(0.5, red=2)
        for wrong in (1.5, "much", float("nan")):
            with pytest.raises(
                OptionError, match=f"threshold= is {wrong!r}, expected a number from 0 to 1|a finite numb"
            ):
                detector.set_thresholds(wrong)  # type: ignore[arg-type]


def test_rules_make_another_detector_of_the_same_model(tiny_detector: Path) -> None:
    """Squares have 0.998, grey cells about 0.018."""
    picture = scene(("red", 0, 0), ("blue", 1, 1))
    with edgevit.load(tiny_detector, task="detect") as detector:
        assert detector(picture).weak is None
        strict = detector.with_rules(LabelRules(thresholds={"blue": 0.9999}), least=0.1)
        answer = strict(picture)
        assert answer.counts == {"red": 1}
        assert answer.weak is not None
        assert [answer.names[index] for index in answer.weak.classes] == ["blue"]
        # only from `least` on; a threshold below it is looked at all the same
        assert len(detector.with_rules(LabelRules(), least=0.01)(picture).weak.boxes) == 4  # type: ignore[union-attr]
        assert len(detector.with_rules(LabelRules(threshold=0.01), least=0.5)(picture).boxes) == 6
        # its own thresholds hold where rules have none, and stay its own
        detector.set_thresholds(red=0.9999)
        assert detector.with_rules(LabelRules())(picture).counts == {"blue": 1}
        assert strict(picture).counts == {"red": 1}


def test_a_threshold_of_0_tells_all_boxes(tiny_detector: Path) -> None:
    """There are 126 cells, of which no two overlap by much; 100 boxes are told at most."""
    picture = scene(("red", 0, 0), ("blue", 1, 1))
    with edgevit.load(tiny_detector, task="detect") as detector:
        assert len(detector.with_rules(LabelRules(threshold=0))(picture).boxes) == 100
        # a class may ask for more than the others
        strict = detector.with_rules(LabelRules(threshold=0, thresholds=dict.fromkeys(("red", "green"), 0.5)))(picture)
        assert {name: strict.count(name) for name in ("red", "green")} == {"red": 1, "green": 0}
        detector.set_thresholds(0.0)
        assert len(detector(picture).boxes) == 100
        assert len(detector.with_rules(LabelRules())(picture).boxes) == 100
        assert detector.with_rules(LabelRules(threshold=0.25))(picture).counts == {"red": 1, "blue": 1}


def test_labels_may_be_replaced(tiny_detector: Path) -> None:
    with edgevit.load(tiny_detector, task="detect", labels=["fox", "hen", "cat"]) as detector:
        assert detector(scene(("red", 0, 0))).counts == {"fox": 1}


def test_a_single_class_is_no_yes_or_no(make_detector: MakeModel) -> None:
    graph = squares_graph()
    del graph.graph.output[2]
    graph.graph.node.append(onnx.helper.make_node("Slice", ["scores", "from", "to", "axis"], ["red"]))
    for name, value in (("from", 0), ("to", 1), ("axis", 2)):
        graph.graph.initializer.append(onnx.numpy_helper.from_array(np.array([value], np.int64), name))
    graph.graph.output.append(onnx.helper.make_tensor_value_info("red", onnx.TensorProto.FLOAT, (1, 126, 1)))

    path = make_detector(graph=graph, labels=("hen",), boxes=dataclasses.replace(BOXES, scores="red"))
    with edgevit.load(path, task="detect") as detector:
        assert detector.names == ("hen",)
        assert detector(scene(("red", 0, 0), ("blue", 0, 1))).counts == {"hen": 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"boxes": None}, "does not say what its answers mean|has 3 outputs"),
        ({"labels": ("red", "green")}, "answers for 3 classes, but has 2 labels"),
        ({"preprocess": PREPROCESS.__class__(size=PREPROCESS.size)}, "crop_mode 'center'"),
    ],
)
def test_a_document_that_does_not_fit_is_refused(
    make_detector: Callable[..., Path], changes: dict[str, object], message: str
) -> None:
    path = make_detector(**changes)
    with pytest.raises((ModelFileError, OptionError), match=message), edgevit.load(path) as detector:
        detector(scene())


def test_a_name_that_the_graph_does_not_have_is_refused(make_detector: MakeModel) -> None:

    path = make_detector(boxes=dataclasses.replace(BOXES, scores="classes"))
    with pytest.raises(ModelFileError, match="no output 'classes'; it has boxes, objectness, scores"):
        edgevit.load(path)


def test_numbers_that_are_none_are_refused(make_detector: MakeModel) -> None:
    graph = squares_graph()
    values = next(each for each in graph.graph.initializer if each.name == "box_values")
    broken: NDArray[np.float32] = onnx.numpy_helper.to_array(values).copy()
    broken[0, 3, 1] = np.inf
    values.CopyFrom(onnx.numpy_helper.from_array(broken, "box_values"))
    with edgevit.load(make_detector(graph=graph)) as detector, pytest.raises(ModelFileError, match="NaN or infinity"):
        detector(scene())


def test_it_says_what_it_is(tiny_detector: Path) -> None:
    with edgevit.load(tiny_detector) as detector:
        assert repr(detector) == "Detector('squares', fp32, 3 classes, 64x96, onnxruntime)"
    assert LABELS == ("red", "green", "blue")
