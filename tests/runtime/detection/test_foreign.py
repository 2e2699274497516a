"""Detection models that edgevit did not export: known forms give boxes of the picture, others are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import edgevit
from edgevit.errors import ModelFileError, OptionError
from tests.made_foreign_detectors import (
    CELLS,
    ULTRALYTICS,
    write_onnx,
    write_ssd_tflite,
    write_table_tflite,
)

Floats = NDArray[np.float32]
LABELS = ["hen", "fox", "cat"]
PICTURE = np.full((128, 128, 3), (0, 102, 204), np.uint8)
"""Becomes 64 x 64 of an input of 64 x 96: one pixel of the input is two of the picture."""


def table(width: int, places: int = CELLS, *rows: tuple[int, Any]) -> Floats:
    """Return (1, places, width) zeros, but for some rows."""
    values = np.zeros((1, places, width), np.float32)
    for place, row in rows:
        values[0, place] = row
    return values


FOX = (40, 30, 16, 20, 0.1, 0.9, 0.2)
"""Centre, sides, and the probabilities of three classes."""
FOX_BOX = [64, 40, 96, 80]
"""(40 - 8) * 2, (30 - 10) * 2 ... of the picture."""


def boxes(path: Path, **told: Any) -> list[tuple[str, list[float], float]]:
    with edgevit.load(path, **told) as detector:
        assert isinstance(detector, edgevit.Detector)
        result = detector(PICTURE)
    return [
        (label, [round(float(side), 3) for side in box], round(float(score), 4))
        for label, box, score in zip(result.labels, result.boxes, result.scores, strict=True)
    ]


def test_ultralytics_columns_of_pixels(tmp_path: Path) -> None:
    # a second box of the fox overlaps the first, and a cat is not sure enough
    near, cat = (41, 30, 16, 20, 0, 0.8, 0), (10, 10, 9, 9, 0, 0, 0.2)
    columns = table(7, CELLS, (5, FOX), (6, near), (70, cat)).transpose(0, 2, 1)
    path = write_onnx(tmp_path / "yolov8n.onnx", columns, metadata=ULTRALYTICS)
    assert boxes(path) == [("fox", FOX_BOX, 0.9)]
    with edgevit.load(path, task="detect") as detector:
        steps = detector.preprocess
        assert (steps.crop_mode, steps.fill, steps.channels) == ("letterbox", 114, "RGB")
        assert (steps.mean, steps.std, steps.interpolation) == ((0, 0, 0), (1, 1, 1), "bilinear")
        assert detector.find(PICTURE, threshold=0.1).classes.tolist() == [1, 2]


def test_ultralytics_size_is_that_of_its_metadata_where_the_graph_takes_any(tmp_path: Path) -> None:
    columns = table(7, CELLS, (5, FOX)).transpose(0, 2, 1)
    path = write_onnx(tmp_path / "any.onnx", columns, metadata=ULTRALYTICS, shape=("batch", 3, "height", "width"))
    assert boxes(path) == [("fox", FOX_BOX, 0.9)]


def test_rows_without_metadata_need_labels(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "rows.onnx", table(7, CELLS, (5, FOX)))
    assert boxes(path, labels=LABELS) == [("fox", FOX_BOX, 0.9)]
    with pytest.raises(OptionError, match=r"class names are unknown: give labels \(labels=FILE"):
        edgevit.load(path)
    with pytest.raises(ModelFileError, match=r"output0 1x126x7, with 7 numbers .* but there are 1 labels"):
        edgevit.load(path, labels=["hen"])


def test_yolov5_has_three_anchors_and_an_objectness(tmp_path: Path) -> None:
    row = (*FOX[:4], 0.5, *FOX[4:])
    path = write_onnx(tmp_path / "yolov5n.onnx", table(8, 3 * CELLS, (100, row)), metadata=ULTRALYTICS)
    assert boxes(path) == [("fox", FOX_BOX, 0.45)]


def test_finished_boxes_are_taken_as_they_are(tmp_path: Path) -> None:
    rows = [(0, (32, 20, 48, 40, 0.9, 1)), (1, (33, 20, 49, 40, 0.8, 1)), (2, (0, 0, 10, 10, 0.1, 0))]
    path = write_onnx(tmp_path / "yolo26n.onnx", table(6, 300, *rows), metadata=ULTRALYTICS | {"end2end": "True"})
    assert boxes(path) == [("fox", FOX_BOX, 0.9), ("fox", [66, 40, 98, 80], 0.8)]


def test_a_class_without_a_label_is_refused(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "model.onnx", table(6, 300, (0, (0, 0, 9, 9, 0.9, 7))), metadata=ULTRALYTICS)
    with edgevit.load(path) as detector, pytest.raises(ModelFileError, match="class 7, but has 3 labels"):
        detector(PICTURE)


def test_undecoded_yolox(tmp_path: Path) -> None:
    # the cell of row 1 and column 2 of stride 16: centre (2 + .5) * 16, (1 + .875) * 16, sides 16 and exp(.2231) * 16
    row = (0.5, 0.875, 0, np.log(1.25), 0.5, 0.1, 0.9, 0.2)
    path = write_onnx(tmp_path / "yolox_nano.onnx", table(8, CELLS, (96 + 6 + 2, row)), names=["output"])
    assert boxes(path, labels=LABELS) == [("fox", FOX_BOX, 0.45)]
    with edgevit.load(path, labels=LABELS) as detector:
        steps = detector.preprocess
    assert (steps.channels, steps.mean, steps.crop_mode) == ("BGR", (0, 0, 0), "letterbox")
    assert steps.std == pytest.approx((1 / 255,) * 3)


def test_yolox_that_decodes_itself_has_an_exp(tmp_path: Path) -> None:
    row = (*FOX[:4], 0.5, *FOX[4:])
    path = write_onnx(tmp_path / "yolox.onnx", table(8, CELLS, (3, row)), operator="Exp")
    assert boxes(path, labels=LABELS) == [("fox", FOX_BOX, 0.45)]
    # of before version 0.2
    with edgevit.load(path, labels=LABELS, mean=(0.5,) * 3, std=(0.25,) * 3) as detector:
        assert (detector.preprocess.channels, detector.preprocess.mean) == ("RGB", (0.5, 0.5, 0.5))


def test_ultralytics_tflite_has_shares_of_the_input(tmp_path: Path) -> None:
    shares = np.array([*np.array(FOX[:4]) / (96, 64, 96, 64), *FOX[4:]])
    columns = table(7, CELLS, (5, shares)).transpose(0, 2, 1)
    metadata = ULTRALYTICS | {"names": {"0": "hen", "1": "fox", "2": "cat"}}
    path = write_table_tflite(tmp_path / "yolov8n_float32.tflite", columns, metadata)
    assert boxes(path) == [("fox", FOX_BOX, 0.9)]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (2, 0, 3, 1)])
def test_ssd_is_squashed_and_its_outputs_are_told_by_their_operator(tmp_path: Path, order: tuple[int, ...]) -> None:
    path = write_ssd_tflite(tmp_path / "ssd.tflite", order, "uint8")
    # blue is .8, the mean of the whole input, as it is squashed; the box in pixels of 128 x 128
    assert boxes(path, labels=LABELS[:2]) == [("fox", [48, 0, 80, 64], 0.8)]
    with edgevit.load(path, labels=LABELS[:2]) as detector:
        assert detector.preprocess.crop_mode == "squash"


def test_float_ssd_must_be_told_its_normalization(tmp_path: Path) -> None:
    path = write_ssd_tflite(tmp_path / "ssd.tflite")
    with pytest.raises(OptionError, match="its normalisation is unknown: give mean and std"):
        edgevit.load(path, labels=LABELS[:2])
    assert boxes(path, labels=LABELS[:2], mean=(0,) * 3, std=(1,) * 3)[0] == ("fox", [48, 0, 80, 64], 0.8)


def test_several_outputs_are_refused_with_what_was_seen(tmp_path: Path) -> None:
    tables = (table(4, 20), table(3, 20))
    path = write_onnx(tmp_path / "detr.onnx", *tables, names=("dets", "labels"), metadata=ULTRALYTICS)
    with pytest.raises(ModelFileError, match=r"the outputs dets 1x20x4, labels 1x20x3; expected one output"):
        edgevit.load(path)
    plain = write_onnx(tmp_path / "plain.onnx", *tables, names=("dets", "labels"))
    with pytest.raises(ModelFileError, match="dets 1x20x4"):
        edgevit.load(plain, task="detect", labels=LABELS)


@pytest.mark.parametrize("task", ["segment", "pose", "obb"])
def test_other_tasks_of_ultralytics_are_refused(tmp_path: Path, task: str) -> None:
    path = write_onnx(tmp_path / "other.onnx", table(7), metadata=ULTRALYTICS | {"task": task})
    with pytest.raises(ModelFileError, match=f"its task is '{task}'"):
        edgevit.load(path)


def test_options_of_a_classifier_are_refused(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "yolo.onnx", table(7), metadata=ULTRALYTICS)
    with pytest.raises(OptionError, match="outputs means nothing for that"):
        edgevit.load(path, outputs="logits")
    with pytest.raises(OptionError, match="crop_pct means nothing for that"):
        edgevit.load(path, crop_pct=0.9)


def test_squash_is_taken_for_models_that_were_trained_so(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "yolo.onnx", table(7, CELLS, (5, FOX)), metadata=ULTRALYTICS)
    # 128 pixels of the picture are 96 across
    assert boxes(path, squash=True) == [("fox", [round(32 * 128 / 96, 3), 40, 64, 80], 0.9)]


def test_classifiers_of_others_stay_classifiers(make_foreign: Any) -> None:
    assert edgevit.load(make_foreign(), labels=LABELS, mean=(0,) * 3, std=(1,) * 3).task == "classify"
