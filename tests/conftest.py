"""A tiny model whose right answer is known by arithmetic, and pictures to ask it about."""

import os

# each process of the tests has one core; before anything is imported that reads it once
os.environ.setdefault("OMP_NUM_THREADS", "1")

import dataclasses
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgevit.artifact.manifest import KEY, Input, Manifest, MaskOutput, Preprocess, Weights, mirrored_keys
from edgevit.artifact.seal import seal
from edgevit.cli import main
from edgevit.runtime.backends.session import open_session
from edgevit.runtime.classifier import Classifier
from edgevit.runtime.loading import load
from edgevit.runtime.selftest import record_cases, record_selftest
from tests import made_detector
from tests.waiting import no_thread_left

if TYPE_CHECKING:
    from edgevit.export.tflite.metadata import Fields

# the same examples on every machine, however busy it is
settings.register_profile(
    "edgevit", deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
settings.load_profile("edgevit")

SIZE = (24, 32)
MAP_SIZE = (32, 64)
"""Input of the tiny segmentation model, in pixels."""
GAIN = 4.0
"""Logit of a colour = GAIN * mean of the normalized channel = GAIN * (mean of RGB in 0..1 - 0.5) / 0.25."""
TINY = Manifest(
    model="tiny",
    task="classify",
    input=Input(name="image", shape=(1, 3, *SIZE)),
    preprocess=Preprocess(size=SIZE, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)),
    labels=("red", "green", "blue"),
    weights=Weights(source="arithmetic", sha256="0" * 63 + "1", license="Apache-2.0", trained=True),
    precision="fp32",
    target="generic",
    tools={"edgevit": "0.1.0"},
)

MakeGraph = Callable[..., onnx.ModelProto]
MakeModel = Callable[..., Path]
Run = Callable[..., tuple[int, str, str]]
SaveImage = Callable[[str, NDArray[np.uint8]], Path]


def mean_color_graph(
    shape: tuple[Any, ...] = TINY.input.shape, weights: NDArray[np.float32] | None = None, softmax: bool = False
) -> onnx.ModelProto:
    """Return a graph whose three logits are weights @ the mean of each channel."""
    weights = GAIN * np.eye(3, dtype=np.float32) if weights is None else weights
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["channels"]),
        helper.make_node("Gemm", ["channels", "weights"], ["scores"], transB=1),
        helper.make_node("Softmax" if softmax else "Identity", ["scores"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, (shape[0], len(weights)))],
        [numpy_helper.from_array(weights, "weights")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def cell_colors_graph(argmax: bool = False) -> onnx.ModelProto:
    """Return a graph whose logits are the mean of each channel over each 8x8 cell, or the number of the largest."""
    nodes = [helper.make_node("AveragePool", ["image"], ["logits"], kernel_shape=[8, 8], strides=[8, 8])]
    if argmax:
        nodes[0].output[0] = "cells"
        nodes.append(helper.make_node("ArgMax", ["cells"], ["logits"], axis=1, keepdims=1))
    output = (TensorProto.INT64, 1) if argmax else (TensorProto.FLOAT, 3)
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, *MAP_SIZE))],
        [helper.make_tensor_value_info("logits", output[0], (1, output[1], MAP_SIZE[0] // 8, MAP_SIZE[1] // 8))],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def write_artifact(path: Path, graph: onnx.ModelProto, manifest: Manifest) -> Path:
    helper.set_model_props(graph, {KEY: manifest.to_json(), **mirrored_keys(manifest)})
    path.write_bytes(seal(graph.SerializeToString()))
    return path


@pytest.fixture
def make_graph() -> MakeGraph:
    return mean_color_graph


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    """Write a sealed artifact; the fields of its document may be changed, and its graph replaced."""

    def make(name: str = "tiny.onnx", graph: onnx.ModelProto | None = None, **changes: Any) -> Path:
        manifest = dataclasses.replace(TINY, **changes)
        return write_artifact(tmp_path / name, graph or mean_color_graph(manifest.input.shape), manifest)

    return make


@pytest.fixture
def tiny_model(make_model: MakeModel) -> Path:
    """Return the path of a sound artifact that classifies a picture by its mean colour: red, green or blue."""
    path = make_model()
    session = open_session(path)
    tests = record_cases(session, TINY.preprocess, TINY.precision)
    session.close()
    return make_model(selftest=tests)


@pytest.fixture
def classifier(tiny_model: Path) -> Iterator[Classifier]:
    """The tiny model, whose threads must be gone when it is closed."""
    with no_thread_left(), load(tiny_model) as classifier:
        yield classifier


@pytest.fixture
def make_segmenter(make_model: MakeModel) -> MakeModel:
    """Write a sealed artifact that finds the strongest colour of each cell of 8x8 pixels: red, green or blue."""

    def make(name: str = "colours.onnx", argmax: bool = False, **changes: Any) -> Path:
        document = {
            "task": "segment",
            "input": Input(name="image", shape=(1, 3, *MAP_SIZE)),
            "preprocess": dataclasses.replace(TINY.preprocess, size=MAP_SIZE, crop_pct=1.0, crop_mode="squash"),
            "pixels": MaskOutput(stride=8, palette=((255, 0, 0), (0, 255, 0), (0, 0, 255))),
        }
        return make_model(name, cell_colors_graph(argmax), **(document | changes))

    return make


@pytest.fixture
def colours(make_segmenter: MakeModel) -> Path:
    """Return the path of a sound artifact that segments a picture by colour."""
    return make_segmenter()


@pytest.fixture
def make_detector(tmp_path: Path) -> MakeModel:
    """Write a sealed artifact that finds coloured squares; see tests/made_detector.py. Its document may be changed."""

    def make(name: str = "squares.onnx", graph: onnx.ModelProto | None = None, **changes: Any) -> Path:
        manifest = dataclasses.replace(made_detector.MANIFEST, **changes)
        return write_artifact(tmp_path / name, graph or made_detector.squares_graph(), manifest)

    return make


@pytest.fixture
def tiny_detector(make_detector: MakeModel) -> Path:
    """Return the path of a sound artifact that finds red, green and blue squares."""
    return make_detector(selftest=record_selftest(make_detector(), made_detector.MANIFEST))


@pytest.fixture
def make_foreign(tmp_path: Path) -> MakeModel:
    """Write an ONNX file without edgevit's document."""

    def make(name: str = "foreign.onnx", metadata: dict[str, str] | None = None, **changes: Any) -> Path:
        graph = mean_color_graph(**changes)
        helper.set_model_props(graph, metadata or {})
        (tmp_path / name).write_bytes(graph.SerializeToString())
        return tmp_path / name

    return make


MARK = 0x7E57_0000_0000
"""In place of a distance that is not known yet."""


def mean_color_tflite(
    shape: tuple[int, int, int, int] = TINY.input.shape,
    layout: str = "NHWC",
    dtype: str = "float32",
    scales: tuple[tuple[float, int], tuple[float, int]] = ((1 / 255, 0), (1 / 256, 0)),
    softmax: bool = False,
    sigmoid: bool = False,
    weights: NDArray[np.float32 | np.int8] | None = None,
    weight_scales: tuple[float, ...] = (),
    versions: dict[str, int] | None = None,
    signature: tuple[int, ...] | None = None,
    description: str | None = None,
    outside: bool = False,
) -> bytes:
    """Return a TFLite model whose scores are weights @ the mean of each channel, before an optional softmax.

    Args:
        shape: (batch, channels, height, width), however the tensor lies.
        layout: "NHWC" or "NCHW".
        dtype: of input and output; integers are dequantized at once and quantized at the end.
        scales: (scale, zero point) of an integer input and output.
        softmax: end with probabilities.
        sigmoid: end with a probability of its own for each class.
        weights: (classes, 3), with int8 ones the arithmetic is that of dynamic-range quantization.
        weight_scales: of int8 weights, one or one for each class.
        versions: of operators, 1 unless named.
        signature: the input's shape with -1 where it is open.
        description: the Model's own text.
        outside: keep constants behind the FlatBuffer, as some quantizers do.
    """
    pytest.importorskip("flatbuffers", reason="needs the extra tflite-export")
    from edgevit.export.tflite.metadata import build

    weights = GAIN * np.eye(3, dtype=np.float32) if weights is None else weights
    axes = (1, 2) if layout == "NHWC" else (2, 3)
    order = (0, 2, 3, 1) if layout == "NHWC" else (0, 1, 2, 3)
    given, classes = tuple(shape[axis] for axis in order), len(weights)
    kinds = {"float32": 0, "int32": 2, "uint8": 3, "int8": 9}
    buffers: list[Fields] = [{}]
    tensors: list[Fields] = []
    codes: list[Fields] = []
    operators: list[Fields] = []
    behind: list[bytes] = []

    def tensor(size: Sequence[int], kind: str, quantized: tuple[Sequence[float], Sequence[int]] | None = None) -> int:
        entry: Fields = {0: np.array(size, np.int32), 1: np.int8(kinds[kind]), 2: np.uint32(0), 3: f"t{len(tensors)}"}
        if quantized is not None:
            entry[4] = {2: np.array(quantized[0], np.float32), 3: np.array(quantized[1], np.int64)}
        tensors.append(entry)
        return len(tensors) - 1

    def constant(values: NDArray[Any], quantized: tuple[Sequence[float], Sequence[int]] | None = None) -> int:
        index = tensor(values.shape, values.dtype.name, quantized)
        tensors[index][2] = np.uint32(len(buffers))
        if outside:
            behind.append(values.tobytes())
            buffers.append({1: np.uint64(MARK + len(behind)), 2: np.uint64(values.nbytes)})
        else:
            buffers.append({0: values.tobytes()})
        return index

    def operator(name: str, inputs: Sequence[int], output: int, options: "Fields | None" = None) -> int:
        code, option_kind = {
            "DEQUANTIZE": (6, 0), "MEAN": (40, 27), "FULLY_CONNECTED": (9, 8), "SOFTMAX": (25, 9), "QUANTIZE": (114, 0),
            "LOGISTIC": (14, 0),
        }[name]  # fmt: skip
        version = np.int32((versions or {}).get(name, 1))
        codes.append({0: np.int8(code), 2: version, 3: np.int32(code)})
        entry: Fields = {0: np.uint32(len(codes) - 1), 1: np.array(inputs, np.int32), 2: np.array([output], np.int32)}
        if options is not None:
            entry |= {3: np.uint8(option_kind), 4: options}
        operators.append(entry)
        return output

    quantized_io = [((scale,), (zero,)) if dtype != "float32" else None for scale, zero in scales]
    first = latest = tensor(given, dtype, quantized_io[0])
    if signature is not None:
        tensors[first][7] = np.array(signature, np.int32)
    if dtype != "float32":
        latest = operator("DEQUANTIZE", [latest], tensor(given, "float32"))
    mean_axes = constant(np.array(axes, np.int32))
    latest = operator("MEAN", [latest, mean_axes], tensor((shape[0], 3), "float32"), {0: np.uint8(0)})
    table = constant(weights, (weight_scales, [0] * len(weight_scales)) if weight_scales else None)
    latest = operator("FULLY_CONNECTED", [latest, table, -1], tensor((shape[0], classes), "float32"), {})
    if softmax:
        latest = operator("SOFTMAX", [latest], tensor((shape[0], classes), "float32"), {0: np.float32(1.0)})
    if sigmoid:
        latest = operator("LOGISTIC", [latest], tensor((shape[0], classes), "float32"))
    if dtype != "float32":
        latest = operator("QUANTIZE", [latest], tensor((shape[0], classes), dtype, quantized_io[1]))
    ends = (np.array([index], np.int32) for index in (first, latest))
    graph: Fields = {0: tensors, **dict(enumerate(ends, start=1)), 3: operators, 4: "main"}
    root: Fields = {0: np.uint32(3), 1: codes, 2: [graph], 3: description, 4: buffers}
    model = build(root, b"TFL3")
    for number, content in enumerate(behind, start=1):
        model = model.replace(struct.pack("<Q", MARK + number), struct.pack("<Q", len(model)))
        model += content + bytes(-len(content) % 16)
    return model


@pytest.fixture
def make_tflite(tmp_path: Path) -> MakeModel:
    """Write a sealed TFLite artifact; `graph` holds what mean_color_tflite is told, `changes` the document's fields."""

    def make(name: str = "tiny.tflite", graph: dict[str, Any] | None = None, **changes: Any) -> Path:
        pytest.importorskip("ai_edge_litert", reason="needs the extra tflite-export")
        from edgevit.export.tflite.artifact import artifact_bytes

        graph = graph or {}
        given = dataclasses.replace(TINY.input, dtype=graph.get("dtype", "float32"), layout=graph.get("layout", "NHWC"))
        manifest = dataclasses.replace(TINY, **{"input": given} | changes)
        (tmp_path / name).write_bytes(artifact_bytes(mean_color_tflite(**graph), manifest))
        return tmp_path / name

    return make


@pytest.fixture
def make_foreign_tflite(tmp_path: Path) -> MakeModel:
    """Write a TFLite file without edgevit's document; `named` are metadata buffers, `files` are appended."""

    def make(
        name: str = "foreign.tflite",
        named: dict[str, bytes] | None = None,
        files: dict[str, str] | None = None,
        **graph: Any,
    ) -> Path:
        pytest.importorskip("ai_edge_litert", reason="needs the extra tflite-export")
        from edgevit.export.tflite.artifact import append_files, with_metadata

        model = mean_color_tflite(**graph)
        model = with_metadata(model, named) if named else model
        (tmp_path / name).write_bytes(append_files(model, files) if files else model)
        return tmp_path / name

    return make


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Call the command line; return its exit code, stdout and stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, out, err

    return call


@pytest.fixture
def save_image(tmp_path: Path) -> SaveImage:
    """Write an RGB image; the suffix decides the format."""

    def save(name: str, image: NDArray[np.uint8]) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), image[:, :, ::-1])
        return path

    return save


def plain_color(red: int, green: int, blue: int, size: tuple[int, int] = (40, 50)) -> NDArray[np.uint8]:
    return np.full((*size, 3), (red, green, blue), np.uint8)


@pytest.fixture
def red_image() -> NDArray[np.uint8]:
    """(40, 50, 3): logits are GAIN * (0.784 - 0.5) / 0.25 = 4.549 for red and -8 + ... for the others."""
    return plain_color(200, 50, 25)


@pytest.fixture
def photo() -> NDArray[np.uint8]:
    """A smooth, colourful (300, 451, 3) picture with noise: what scaling must treat as Pillow does."""
    random = np.random.default_rng(7)
    y, x = np.mgrid[:300, :451] / 100
    waves = np.stack([np.sin(3 * x + y), np.cos(5 * y - x), np.sin(x * y)], axis=-1)
    return np.clip(127 + 90 * waves + random.normal(0, 25, waves.shape), 0, 255).astype(np.uint8)
