"""A detector as TFLite: three named float outputs, the levels of each with scales of their own."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgevit.artifact.manifest import BoxOutput, Preprocess, read_manifest
from edgevit.export.data.images import ImageSet
from edgevit.export.pipeline import export
from edgevit.export.recipe import Recipe
from edgevit.export.tasks.boxes import BoxForm
from edgevit.export.tflite.calibrate import calibrate
from edgevit.export.tflite.convert import convert
from edgevit.export.tflite.quantize import TfliteQuantizer
from edgevit.export.tflite_graph.graph import opened, operators
from edgevit.export.verify import run_file, run_torch
from edgevit.models.detection.layers import join_places
from edgevit.runtime.images.drawn import draw_pictures

NAMES = ("boxes", "objectness", "scores")
HOW = Preprocess(size=(32, 64), crop_pct=1.0, crop_mode="letterbox", interpolation="bilinear")
PLACES = 4 * 8 + 2 * 4


class Tiny(nn.Module):
    """Two levels, of strides 8 and 16, and two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 8, 8)
        self.down = nn.Conv2d(8, 8, 2, 2)
        self.fine, self.coarse = (nn.ModuleList(nn.Conv2d(8, width, 1) for width in (4, 1, 2)) for _ in range(2))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        first = torch.relu(self.stem(x))
        second = torch.relu(self.down(first))
        maps = zip([pred(first) for pred in self.fine], [pred(second) for pred in self.coarse], strict=True)
        return tuple(join_places(parts, width) for parts, width in zip(maps, (4, 1, 2), strict=True))


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(0)
    return Tiny().eval()


@pytest.fixture(scope="module")
def plain(model: nn.Module) -> bytes:
    return convert(model, (1, 3, *HOW.size), None, NAMES)


IMAGES = ImageSet("generated", tuple(draw_pictures(HOW.size)))


def output_names(content: bytes) -> list[str]:
    graph = opened(content).subgraphs[0]
    return [graph.tensors[index].name.decode() for index in graph.outputs]


def test_outputs_bear_their_names_in_order_and_answer_as_torch(model: nn.Module, plain: bytes) -> None:
    assert output_names(plain) == list(NAMES)
    found = run_file(plain, ".tflite", IMAGES, HOW)
    assert found.shape == (3, PLACES, 4 + 1 + 2)
    np.testing.assert_allclose(found, run_torch(model, IMAGES.inputs(HOW)), atol=1e-5)


def test_predictions_are_int8_and_joined_in_float(plain: bytes) -> None:
    quantizer = TfliteQuantizer(plain, calibrate(plain, lambda: IMAGES.inputs(HOW)), float_heads=0)
    content = quantizer.make(quantizer.kept)
    assert quantizer.float_layers(content) == ()
    assert output_names(content) == list(NAMES)
    tree = opened(content)
    tensors = tree.subgraphs[0].tensors
    made_by = {index: (name, item) for name, item in operators(tree) for index in item.outputs}
    scales = []
    for index in tree.subgraphs[0].outputs:
        assert tensors[index].type == 0  # float32
        name, join = made_by[index]
        assert name == "CONCATENATION"
        for part in join.inputs:
            while made_by[part][0] != "DEQUANTIZE":
                part = made_by[part][1].inputs[0]
            scales.append(float(tensors[made_by[part][1].inputs[0]].quantization.scale[0]))
    assert len(scales) == len(set(scales)) == 6
    form = BoxForm(BoxOutput("yolox", (8, 16), "boxes", "scores", "objectness"), HOW)
    reference, found = (run_file(one, ".tflite", IMAGES, HOW) for one in (plain, content))
    assert form.compare("int8", reference, found).cosine > 0.99


@pytest.mark.slow
def test_detector_of_the_zoo_is_int8_with_pixels_for_its_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEVIT_HOME", str(tmp_path))
    recipe = Recipe(
        "efficientvit_b0_det",
        weights="random",
        num_classes=2,
        imgsz=64,
        format="tflite",
        precision="int8",
        io="uint8",
        synthesized=True,
        calibration_images=16,
    )
    export(recipe, tmp_path / "m.tflite")
    manifest = read_manifest(tmp_path / "m.tflite")
    assert manifest is not None
    assert manifest.boxes is not None
    assert manifest.quantization is not None
    assert (manifest.input.dtype, manifest.input.normalized_in_graph) == ("uint8", True)
    assert manifest.quantization.int8_mac_share >= 0.9
    assert output_names((tmp_path / "m.tflite").read_bytes()) == list(NAMES)
