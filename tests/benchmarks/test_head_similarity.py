"""The similarity of heads is that of what they add to the layer's output."""

import importlib.util
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from edgevit.models import create_model
from edgevit.models.deit import Attention
from tests.places import ROOT


@pytest.fixture(scope="module")
def heads() -> Any:
    """The program as a module."""
    spec = importlib.util.spec_from_file_location("head_similarity", ROOT / "benchmarks" / "head_similarity.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        spec.loader.exec_module(module)
    return module


def test_contributions_are_compared_after_the_projection(heads: Any) -> None:
    # two heads of one channel, the second's output column at 60 degrees to the first's: cosine 1/2 where both values
    # have the same sign, -1/2 where not
    projection = torch.tensor([[1.0, 0.5], [0.0, 0.75**0.5]])
    weighted = torch.tensor([[[2.0, 3.0], [1.0, 5.0], [1.0, 4.0], [1.0, -1.0]]])
    found = heads.similarity_of(weighted, projection, 2)
    assert torch.allclose(found, torch.tensor([[1.0, 0.25], [0.25, 1.0]], dtype=torch.float64), atol=1e-6)


def test_heads_that_do_the_same_are_alike(heads: Any) -> None:
    torch.manual_seed(0)
    model = create_model("deit_tiny_patch16_224", 3).eval()
    attention = model.get_submodule("blocks.4.attn")
    assert isinstance(attention, Attention)
    for layer in (attention.qkv, attention.proj):
        layer.weight.data.normal_(0, 0.05)
    qkv, proj = attention.qkv.weight.data.reshape(3, 3, 64, 192), attention.proj.weight.data.reshape(192, 3, 64)
    qkv[:, 1] = qkv[:, 0]
    proj[:, 1] = 2 * proj[:, 0]
    batch = np.random.default_rng(0).standard_normal((2, 3, 64, 64)).astype(np.float32)
    layers = heads.head_similarity(model, [batch, batch])
    assert list(layers) == [f"blocks.{i}.attn" for i in range(12)]
    similarity = layers["blocks.4.attn"]
    assert similarity[0, 1] == pytest.approx(1, abs=1e-5)
    assert abs(similarity[0, 2]) < 0.9
    assert np.allclose(np.diag(similarity), 1)
    assert heads.mean_off_diagonal(similarity) == pytest.approx((2 * similarity[0, 1] + 4 * similarity[0, 2]) / 6)


@pytest.mark.parametrize(
    ("name", "layers"), [("sbcformer_xs", 7), ("pvt_v2_b1", 6), ("pvt_v2_b1_hmhsa", 8), ("nextvit_small", 4)]
)
def test_layers_of_every_family_with_softmax_attention_are_found(heads: Any, name: str, layers: int) -> None:
    with torch.device("meta"):
        assert len(heads.attention_projections(create_model(name))) == layers


def test_model_without_heads_and_missing_inputs_are_refused(heads: Any) -> None:
    with pytest.raises(ValueError, match="no attention layers with several heads"):
        heads.head_similarity(nn.Linear(2, 2), [])
    with pytest.raises(ValueError, match="no inputs"):
        heads.head_similarity(create_model("deit_tiny_patch16_224", 3).eval(), [])


def test_program_prints_a_table_and_writes_a_picture(heads: Any, tmp_path: Path) -> None:
    for i in range(2):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.random.default_rng(i).integers(0, 255, (40, 40, 3), np.uint8))
    plot = tmp_path / "plots" / "heads.png"
    plot.parent.mkdir()
    arguments = ["sbcformer_xs", "--weights", "random", "--data", str(tmp_path), "--plot", str(plot)]
    done = CliRunner().invoke(heads.main, arguments, catch_exceptions=False)
    lines = done.output.splitlines()
    assert lines[0] == "sbcformer_xs, weights random, 2 images"
    assert lines[2].split()[:2] == ["sbcformer_blocks.0.trans_blocks.MAttn_0.attn", "3"]
    assert len(lines) == 2 + 7 + 1
    picture = cv2.imread(str(plot))
    assert picture is not None
    assert picture.shape == (2 * 140 + 20, 6 * 140 + 20, 3)
