"""Other people's ONNX models: where their channels lie, of which type they are, and which output is meant."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

import edgevit
from edgevit.errors import ModelFileError, OptionError
from edgevit.runtime.backends.session import open_session

COLORS = ("red", "green", "blue")
PLAIN: dict[str, Any] = {"mean": (0, 0, 0), "std": (1, 1, 1)}
PICTURE = np.full((8, 12, 3), (200, 100, 50), np.uint8)
"""Means in 0..1: 0.784, 0.392, 0.196."""
SHARES = tuple(np.exp([200 / 255, 100 / 255, 50 / 255]) / np.exp([200 / 255, 100 / 255, 50 / 255]).sum())


def make_means(
    path: Path,
    kind: int = TensorProto.FLOAT,
    given: tuple[Any, ...] = (1, 3, 8, 12),
    axes: tuple[int, ...] = (2, 3),
    keepdims: int = 0,
    squeeze: tuple[int, ...] = (),
    scale: float = 1.0,
    outputs: tuple[str, ...] = ("means",),
) -> Path:
    """Write a model that answers with the mean of each channel times `scale`, in the input's type if it is float."""
    kept = TensorProto.FLOAT if kind == TensorProto.UINT8 else kind
    nodes = [
        helper.make_node("Cast", ["x"], ["numbers"], to=kept),
        helper.make_node("ReduceMean", ["numbers"], ["plain"], axes=axes, keepdims=keepdims),
        helper.make_node("Mul", ["plain", "scale"], ["scaled"]),
    ]
    last = "scaled"
    if squeeze:
        nodes.append(helper.make_node("Squeeze", [last, "squeezed"], ["short"]))
        last = "short"
    nodes += [helper.make_node("Identity", [last], [name]) for name in outputs]
    numpy_type = helper.tensor_dtype_to_np_dtype(kept)
    constants = [numpy_helper.from_array(np.array(scale, numpy_type), "scale")]
    if squeeze:
        constants.append(numpy_helper.from_array(np.array(squeeze, np.int64), "squeezed"))
    graph = helper.make_graph(
        nodes,
        "means",
        [helper.make_tensor_value_info("x", kind, given)],
        [helper.make_tensor_value_info(name, kept, None) for name in outputs],
        constants,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({}, PLAIN),
        ({"keepdims": 1}, PLAIN),  # (1, 3, 1, 1)
        ({"squeeze": (0,)}, PLAIN),  # (3,)
        ({"given": (1, 8, 12, 3), "axes": (1, 2)}, PLAIN),  # channels last
        ({"given": (1, 8, 12, 3), "axes": (1, 2), "keepdims": 1}, PLAIN),  # (1, 1, 1, 3)
        ({"given": (3, 8, 12), "axes": (1, 2)}, PLAIN),  # no axis for the batch
        ({"kind": TensorProto.FLOAT16}, PLAIN),
        ({"kind": TensorProto.DOUBLE}, PLAIN),
        ({"kind": TensorProto.UINT8, "scale": 1 / 255}, {}),  # the picture's own levels
        ({"kind": TensorProto.UINT8, "given": (1, 8, 12, 3), "axes": (1, 2), "scale": 1 / 255}, {}),
        ({"given": ("N", 3, "H", "W")}, {"imgsz": (8, 12), **PLAIN}),
        ({"given": ("N", "H", "W", 3), "axes": (1, 2)}, {"imgsz": (8, 12), **PLAIN}),
    ],
    ids=str,
)
def test_form_of_input_and_output_does_not_change_the_answer(
    tmp_path: Path, form: dict[str, Any], told: dict[str, Any]
) -> None:
    path = make_means(tmp_path / "m.onnx", **form)
    classifier = edgevit.load(path, labels=COLORS, crop_pct=1.0, **told)
    dark = PICTURE // 2
    one, other = classifier([PICTURE, dark])
    assert one.probs.tolist() == pytest.approx(SHARES, abs=1e-3)
    assert classifier(dark).probs.tolist() == pytest.approx(other.probs.tolist(), abs=1e-6)


def test_several_pictures_of_an_open_batch_stay_apart_where_the_answer_has_one_axis(tmp_path: Path) -> None:
    path = make_means(tmp_path / "m.onnx", given=("N", 1, 8, 12), squeeze=(1,))  # (N,): one number each
    classifier = edgevit.load(path, labels=("bright",), mean=(0,), std=(1,), crop_pct=1.0)
    levels = (0, 255)
    results = classifier([np.full((8, 12, 3), level, np.uint8) for level in levels])
    assert [result.probs[1] for result in results] == pytest.approx([0.5, 1 / (1 + np.exp(-1))], abs=1e-4)


def test_one_channel_is_the_brightness_that_pillow_computes(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    image = pytest.importorskip("PIL.Image")
    path = make_means(tmp_path / "m.onnx", given=(1, 1, 300, 451))
    classifier = edgevit.load(path, labels=("dark", "bright"), mean=(0,), std=(1,), crop_pct=1.0)
    mean = np.asarray(image.fromarray(photo).convert("L")).mean() / 255
    assert classifier(photo).probs[1] == pytest.approx(1 / (1 + np.exp(-mean)), abs=1e-5)
    with pytest.raises(OptionError, match="takes one channel, brightness, so bgr means nothing"):
        edgevit.load(path, labels=("dark", "bright"), bgr=True, mean=(0,), std=(1,))


def test_model_of_blue_green_red_is_given_them_in_that_order(tmp_path: Path) -> None:
    path = make_means(tmp_path / "m.onnx")
    told: dict[str, Any] = {
        "labels": ("first", "second", "third"),
        "mean": (0.1, 0.2, 0.3),
        "std": (1, 1, 1),
        "crop_pct": 1.0,
    }
    plain, turned = edgevit.load(path, **told)(PICTURE), edgevit.load(path, bgr=True, **told)(PICTURE)
    assert turned.probs.tolist() == pytest.approx(plain.probs.tolist()[::-1], abs=1e-6)


def test_squashed_picture_keeps_its_edges(tmp_path: Path) -> None:
    """The left and right quarters of a wide picture are red, and a square crop from its centre has none of them."""
    wide = np.zeros((40, 80, 3), np.uint8)
    wide[:, :20, 0] = wide[:, 60:, 0] = 255
    path = make_means(tmp_path / "m.onnx", given=(1, 3, 40, 40))
    whole, centre = (
        edgevit.load(path, labels=COLORS, squash=squash, crop_pct=1.0, interpolation="bilinear", **PLAIN)(wide).probs
        for squash in (True, False)
    )
    assert whole[0] == pytest.approx(np.exp(0.5) / (np.exp(0.5) + 2), abs=0.01)
    assert centre[0] == pytest.approx(1 / 3, abs=1e-6)


def test_one_of_several_outputs_is_named(tmp_path: Path) -> None:
    path = make_means(tmp_path / "m.onnx", outputs=("scores", "features"))
    with pytest.raises(
        OptionError, match=r"has 2 outputs \(scores, features\), expected one .*choose with output=NAME"
    ):
        edgevit.load(path, labels=COLORS, **PLAIN)
    with pytest.raises(OptionError, match="has no output 'score'; it has scores, features"):
        edgevit.load(path, labels=COLORS, output="score", **PLAIN)
    result = edgevit.load(path, labels=COLORS, output="scores", crop_pct=1.0, **PLAIN)(PICTURE)
    assert result.probs.tolist() == pytest.approx(SHARES, abs=1e-4)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"mean": (123.675, 116.28, 103.53), "std": (1, 1, 1)}, "mean is 123.675, 116.28, 103.53, .* divide by 255"),
        ({"mean": (0, 0, 0), "std": (58.395, 57.12, 57.375)}, "std is 58.395, .* divide by 255"),
        ({"mean": (float("nan"), 0, 0), "std": (1, 1, 1)}, r"mean\[0\]= is nan, expected a finite number"),
        ({"levels": (5, 5), **PLAIN}, r"levels is \(5.0, 5.0\), expected those that are black and white"),
    ],
)
def test_numbers_of_another_scale_are_refused(tmp_path: Path, told: dict[str, Any], reason: str) -> None:
    with pytest.raises(OptionError, match=reason):
        edgevit.load(make_means(tmp_path / "m.onnx"), labels=COLORS, **told)


def test_normalization_that_leaves_what_an_integer_input_holds_is_refused(tmp_path: Path) -> None:
    path = make_means(tmp_path / "m.onnx", kind=TensorProto.UINT8)
    with pytest.raises(OptionError, match="mean and std do not fit .* which takes uint8 pixels"):
        edgevit.load(path, labels=COLORS, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def test_class_numbers_and_maps_are_no_scores(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("ArgMax", ["x"], ["y"], axis=1)],
        "best",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 8, 8))],
        [helper.make_tensor_value_info("y", TensorProto.INT64, (1, 1, 8, 8))],
    )
    path = tmp_path / "best.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    with pytest.raises(ModelFileError, match=r"answers with tensor\(int64\); expected scores"):
        open_session(path)


def test_runtimes_reason_is_shown_whole(tmp_path: Path) -> None:
    model = onnx.load(make_means(tmp_path / "m.onnx"))
    model.ir_version = 99
    folder = tmp_path / ("long" * 50)
    folder.mkdir()
    (folder / "new.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(
        ModelFileError, match=r"ONNX Runtime: Unsupported model IR version: 99, max supported IR version"
    ):
        open_session(folder / "new.onnx")
