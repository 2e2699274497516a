"""What stays float in a TFLite file: blocks by the modules' names, and the search for --max-drop over them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("litert_torch", reason="needs the extra tflite-export")

from edgevit.artifact.manifest import Preprocess
from edgevit.export.data.images import ImageSet
from edgevit.export.layers import int8_share
from edgevit.export.quantization.search import Evaluator, layers_of, search
from edgevit.export.tasks.ground_truth import FloatAnswers
from edgevit.export.tflite.calibrate import calibrate
from edgevit.export.tflite.convert import convert
from edgevit.export.tflite.quantize import TfliteQuantizer, quantize
from edgevit.export.tflite_graph.graph import float_layers, opened, operators
from edgevit.export.verify import run_file

HOW = Preprocess(size=(8, 8), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25), crop_pct=1.0)


class Blocks(nn.Module):
    """Two blocks of two convolutions, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 3, 1)) for _ in range(2))
        self.head = nn.Linear(3, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = x + block(x)
        return self.head(x.mean(dim=(2, 3)))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def images() -> ImageSet:
    random = np.random.default_rng(0)
    return ImageSet("generated", tuple(random.integers(0, 256, (8, 8, 3), np.uint8) for _ in range(20)))


@pytest.fixture(scope="module")
def quantizer(images: ImageSet) -> TfliteQuantizer:
    torch.manual_seed(0)
    model = convert(Blocks().eval(), (1, 3, 8, 8))
    return TfliteQuantizer(model, calibrate(model, lambda: images.inputs(HOW)))


def test_layers_belong_to_the_blocks_of_the_state_dict(quantizer: TfliteQuantizer) -> None:
    assert [layer.block for layer in quantizer.layers] == [
        "blocks.0.0",
        "blocks.0.2",
        "blocks.1.0",
        "blocks.1.2",
        "logits",
    ]


def test_block_given_back_is_float_and_the_rest_int8(quantizer: TfliteQuantizer) -> None:
    back = layers_of(quantizer.layers, ["blocks.0.0", "blocks.0.2"])
    total = sum(layer.macs for layer in quantizer.layers)
    floated = sum(layer.macs for layer in quantizer.layers if layer.name in back)
    found = quantizer.float_layers(quantizer.make(back))
    assert set(found) == back
    assert int8_share(quantizer.layers, found) == pytest.approx(1 - floated / total)
    every = {layer.name for layer in quantizer.layers}
    assert set(quantizer.float_layers(quantizer.make(every))) == every


def test_layer_alone_is_the_only_one_that_is_rounded(quantizer: TfliteQuantizer) -> None:
    for layer in quantizer.layers:
        found = float_layers(quantizer.alone(layer.name))
        assert {other.name for other in quantizer.layers} - set(found) == {layer.name}


def test_search_gives_back_as_few_blocks_as_the_budget_allows(
    quantizer: TfliteQuantizer, images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEVIT_HOME", str(tmp_path))
    reference = run_file(quantizer.model, ".tflite", images, HOW)
    evaluator = Evaluator(images, HOW, reference, FloatAnswers(reference))
    generous = search(quantizer, (), evaluator, max_drop=100)
    assert (generous.met, generous.chosen.float_blocks, generous.chosen.int8_share) == (True, (), 1)
    assert set(generous.sensitivity) == {layer.block for layer in quantizer.layers}
    assert min(generous.sensitivity.values()) > 15, "one rounding of a tiny model leaves most of the signal"
    strict = search(quantizer, (), evaluator, max_drop=0)
    assert strict.chosen.drop <= 0


@pytest.mark.parametrize("added", [False, True])
def test_values_that_only_hardswish_reads_have_no_levels_where_it_is_zero(added: bool, images: ImageSet) -> None:
    """A sum that reads them too needs all of them."""

    class Wide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
            with torch.no_grad():
                self.first.weight.mul_(100)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            wide = self.first(x)
            last = self.second(nn.functional.hardswish(wide))
            return last + wide if added else last  # type: ignore[no-any-return]

    torch.manual_seed(0)
    model = convert(Wide().eval(), (1, 3, 8, 8))
    ranges = calibrate(model, lambda: images.inputs(HOW))
    tree = opened(model)
    (activation,) = (item for kind, item in operators(tree) if kind == "HARD_SWISH")
    name = tree.subgraphs[0].tensors[activation.inputs[0]].name.decode()
    low, high = ranges[name]
    assert low < -30
    int8 = opened(quantize(model, ranges))
    (scale,) = (
        tensor.quantization.scale[0]
        for tensor in int8.subgraphs[0].tensors
        if tensor.name.decode().startswith(name) and tensor.quantization and tensor.quantization.scale is not None
    )
    assert scale == pytest.approx((high - (low if added else -3)) / 255, rel=1e-5)
