"""Plain transformers and their hallucinated twins become TFLite, float and int8: small models of the zoo's blocks."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("litert_torch", reason="needs the extra tflite-export")

from edgevit.artifact.manifest import Preprocess
from edgevit.export.data.images import ImageSet
from edgevit.export.layers import int8_share
from edgevit.export.tflite.calibrate import calibrate
from edgevit.export.tflite.convert import convert
from edgevit.export.tflite.quantize import TfliteQuantizer, quantize_dynamic, store_half
from edgevit.export.verify import run_file
from edgevit.models import nextvit, pvt
from edgevit.models.deit import DeiT
from edgevit.models.layers import prepare_for_export

SIDE = 64
HOW = Preprocess(size=(SIDE, SIDE), crop_pct=1.0)


def _deit(hallucinated: bool) -> nn.Module:
    model = DeiT(96, 3, 10, hallucinated=hallucinated)
    model.blocks = model.blocks[:1]
    return model


def _pvt(hallucinated: bool) -> nn.Module:
    return pvt.PVTv2((pvt.Stage(32, 1, 2, 8, 1), pvt.Stage(64, 2, 2, 4, 1)), 10, hallucinated=hallucinated)


def _nextvit(hallucinated: bool) -> nn.Module:
    stages = (nextvit.Stage(1, 32, None, 8), nextvit.Stage(1, 64, 96, 4))
    return nextvit.NextViT(stages, 10, hallucinated=hallucinated)


@pytest.mark.parametrize("hallucinated", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("build", [_deit, _pvt, _nextvit])
def test_file_answers_as_pytorch_does_and_int8_nearly(build: Callable[[bool], nn.Module], hallucinated: bool) -> None:
    torch.manual_seed(0)
    model = build(hallucinated).eval()
    random = np.random.default_rng(0)
    images = ImageSet("generated", tuple(random.integers(0, 256, (SIDE, SIDE, 3), np.uint8) for _ in range(8)))
    with torch.inference_mode():
        expected = np.concatenate([model(torch.from_numpy(batch)).numpy() for batch in images.inputs(HOW)])
        prepare_for_export(model)
        model(torch.zeros(1, 3, SIDE, SIDE))
    content = convert(model, (1, 3, SIDE, SIDE))
    found = run_file(content, ".tflite", images, HOW)
    assert np.all(np.abs(found - expected) <= 1e-4 * (1 + np.abs(expected)))
    quantizer = TfliteQuantizer(content, calibrate(content, lambda: images.inputs(HOW)))
    int8 = quantizer.make(set())
    logits = run_file(int8, ".tflite", images, HOW)
    assert np.isfinite(logits).all()
    assert np.corrcoef(logits.ravel(), expected.ravel())[0, 1] > 0.9
    assert int8_share(quantizer.layers, quantizer.float_layers(int8)) > 0.8
    for stored in (quantize_dynamic(content), store_half(content)):
        assert np.corrcoef(run_file(stored, ".tflite", images, HOW).ravel(), expected.ravel())[0, 1] > 0.99
