"""A tiny model whose right answer is known by arithmetic, and pictures to ask it about."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgevit.artifact import KEY, Input, Manifest, Preprocess, Weights, mirrored_keys, seal
from edgevit.cli import main
from edgevit.runtime.selftest import record_cases
from edgevit.runtime.session import open_session

SIZE = (24, 32)
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
def make_foreign(tmp_path: Path) -> MakeModel:
    """Write an ONNX file without edgevit's document."""

    def make(name: str = "foreign.onnx", metadata: dict[str, str] | None = None, **changes: Any) -> Path:
        graph = mean_color_graph(**changes)
        helper.set_model_props(graph, metadata or {})
        (tmp_path / name).write_bytes(graph.SerializeToString())
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
