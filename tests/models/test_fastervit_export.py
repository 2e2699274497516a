"""FasterViT from a file as it is published to an artifact that runs, and a graph that boards can take."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray

from edgevit.errors import OptionError
from edgevit.export.onnx.graph import shapes
from edgevit.export.onnx.simplify import simplify
from edgevit.export.onnx.trace import trace
from edgevit.export.pipeline import export
from edgevit.export.recipe import Recipe
from edgevit.models import create_model
from edgevit.models.layers import prepare_for_export
from edgevit.models.zoo.registry import get_spec

LICENSE = "NVIDIA Source Code License-NC, non-commercial"
SaveImage = Callable[[str, NDArray[np.uint8]], Path]


def test_published_file_is_exported_for_an_odd_size_and_says_its_licence(
    run: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    save_image: SaveImage,
    photo: NDArray[np.uint8],
) -> None:
    """70x130 pixels are 5x9 cells in the third stage, filled up to 1x2 windows of 7x7."""
    monkeypatch.setenv("EDGEVIT_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    torch.manual_seed(0)
    state = {f"module.{key}": value for key, value in create_model("faster_vit_0_224").state_dict().items()}
    torch.save({"state_dict": state, "epoch": 300}, tmp_path / "home" / "fastervit_0_224_1k.pth.tar")
    file = tmp_path / "free.onnx"
    code, _, err = run("export", "faster_vit_0_any_res", "--imgsz", "70x130", "-o", file)
    assert code == 0, err
    assert f"weights      faster_vit_0_any_res/imagenet_r224 (1,000 classes, ImageNet-1k); licence: {LICENSE}" in err
    assert "self-test passed" in err
    code, out, err = run("info", file)
    assert code == 0, err
    assert LICENSE in out
    code, out, err = run("run", file, save_image("photo.png", photo), "--top-k", "1")
    assert code == 0, err
    label, confidence = out.strip().rsplit(maxsplit=1)
    assert label in get_spec("faster_vit_0_any_res").labels
    assert 0 <= float(confidence) <= 1


def test_position_biases_are_constants_and_no_axis_is_a_fifth() -> None:
    """4 windows of 7x7 and their carrier tokens; boards' runtimes transpose no more than four axes."""
    torch.manual_seed(0)
    model, x = create_model("faster_vit_0_224", 5).eval(), torch.randn(1, 3, 224, 224)
    with torch.inference_mode():
        expected = model(x).numpy()
    prepare_for_export(model)
    graph = simplify(trace(model, (1, 3, 224, 224), 20))
    assert not [tensor.name for tensor in graph.graph.initializer if "cpb_mlp" in tensor.name]
    assert max(len(shape) for shape in shapes(graph).values()) == 4
    blocks, exchanging = 6 + 5, 6
    found = Counter(node.op_type for node in graph.graph.node)
    assert found["Softmax"] == blocks + exchanging
    assert found["Gelu"] == 2 + 3 + blocks + exchanging
    assert found["LayerNormalization"] == 2 * (blocks + exchanging) + 3
    assert not found.keys() & {"Sigmoid", "Pad", "BatchNormalization", "Gather", "Shape"}
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"image": x.numpy()})[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["faster_vit_5_224", "faster_vit_6_any_res", "faster_vit_4_21k_768"])
def test_model_that_no_file_can_hold_is_refused_at_once(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        OptionError, match=rf"^{name} takes \d\.\d GB in float32, and a model file can hold at most 2\.1 GB"
    ):
        export(Recipe(name, weights="random"), tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())
