"""Detectors have the names, shapes and answers that were recorded, at any multiple of 32, for any number of classes."""

import json
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from edgevit.models import create_model, list_models
from edgevit.models.detection.yolox import Focus
from edgevit.models.layers import prepare_for_export
from edgevit.models.zoo.registry import get_spec
from edgevit.models.zoo.spec import ModelSpec
from tests.families import by_family
from tests.places import SHARED
from tests.recordings import fill, rule

PROPOSAL = "proposal_efficientvit_b0_det96"
"""What edgevit's own detector was recorded as, with 3 classes, when it was written down."""
RECORDINGS = {
    f"{PROPOSAL}__320x320": ("efficientvit_b0_det", 3),
    "sbcformer_xs_retinanet": ("sbcformer_xs_retinanet", 80),
    "sbcformer_xs_retinanet__320x320": ("sbcformer_xs_retinanet", 80),
    "sbcformer_xs_retinanet__192x320": ("sbcformer_xs_retinanet", 80),
    "sbcformer_b_retinanet__224x224": ("sbcformer_b_retinanet", 80),
    "yolox_nano": ("yolox_nano", 80),
    "yolox_tiny": ("yolox_tiny", 80),
}
"""Recording to model and number of classes."""
PARTS = {"boxes": "reg", "objectness": "obj", "scores": "cls"}
"""What the recordings call the answers."""

recorded = pytest.mark.skipif(not (SHARED / "golden").is_dir(), reason="the recordings are not beside this checkout")


def _maps(spec: ModelSpec, answers: tuple[Tensor, ...], size: tuple[int, int]) -> dict[str, NDArray[np.float32]]:
    """Return answers as recordings name them, "reg.p3" and so on: (B, anchors * width, H, W)."""
    family, found = spec.family, {}
    assert family.boxes is not None
    names = [part for name, part in PARTS.items() if name != "objectness" or family.boxes.objectness]
    for name, answer in zip(names, answers, strict=True):
        first = 0
        for level, stride in enumerate(family.boxes.strides, 3):
            h, w = -(-size[0] // stride), -(-size[1] // stride)
            rows = answer[:, first : first + h * w * family.anchors]
            first += h * w * family.anchors
            found[f"{name}.p{level}"] = rows.reshape(len(rows), h, w, -1).permute(0, 3, 1, 2).numpy()
        assert first == answer.shape[1]
    return found


def _agrees(found: NDArray[np.float32], golden: Mapping[str, NDArray[np.float32]], key: str) -> bool:
    """Whether a map is the recorded one but for the rounding of float32; of large maps 128 values were recorded."""
    assert found.shape == tuple(golden[f"{key}_shape"])
    tolerance, flat = 1e-4 * max(1.0, float(golden[f"{key}_std"])), found.reshape(-1)
    samples = (flat[:64], golden[f"{key}_first64"]), (flat[np.arange(64) * flat.size // 64], golden[f"{key}_sample64"])
    pairs = (*samples, (found, golden[key])) if key in golden else samples
    return all(np.abs(mine - theirs).max() <= tolerance for mine, theirs in pairs)


@recorded
@pytest.mark.parametrize("recording", RECORDINGS)
def test_answers_are_the_recorded_ones(recording: str) -> None:
    if not (path := SHARED / "golden" / f"{recording}.npz").is_file():
        pytest.skip("not among the recordings")
    name, classes = RECORDINGS[recording]
    golden, spec, model = np.load(path), get_spec(name), fill(create_model(name, classes))
    shape = tuple(int(side) for side in golden["input_shape"])
    inputs = {"": rule().golden_input(shape), "lf_": rule().golden_input_lf(shape)}
    for for_export in (False, True):
        if for_export:
            prepare_for_export(model)
        for prefix, x in inputs.items():
            with torch.inference_mode():
                maps = _maps(spec, model(torch.from_numpy(x)), (shape[2], shape[3]))
            wrong = [key for key, found in maps.items() if not _agrees(found, golden, f"{prefix}{key}")]
            assert not wrong, f"{prefix}, for export: {for_export}"


@recorded
def test_own_detector_has_the_names_that_were_written_down() -> None:
    keys = json.loads((SHARED / "keys" / f"{PROPOSAL}.json").read_text())
    state = create_model("efficientvit_b0_det", 3).state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == {key: tuple(shape) for key, shape, _ in keys}


@pytest.mark.parametrize(
    ("name", "classes", "tensors", "parameters", "size", "gmacs", "places"),
    [
        ("efficientvit_b0_det", 3, 438, 904_584, (320, 320), pytest.approx(0.315, rel=0.004), 2100),
        ("sbcformer_xs_retinanet", 80, 454, 14_931_965, (320, 320), pytest.approx(16.081, rel=1e-4), 19_206),
        ("sbcformer_xs_retinanet", 3, 454, 13_334_600, (224, 224), pytest.approx(6.225, rel=1e-4), 9441),
        ("sbcformer_s_retinanet", 80, 494, 17_861_259, (416, 416), pytest.approx(27.834, rel=1e-4), 32_526),
        ("sbcformer_b_retinanet", 80, 494, 23_350_732, (224, 224), pytest.approx(8.517, rel=1e-4), 9441),
        ("sbcformer_l_retinanet", 80, 494, 28_051_388, (320, 320), pytest.approx(19.270, rel=1e-4), 19_206),
        ("sbcformer_xs_retinanet", 80, 454, 14_931_965, (800, 1280), pytest.approx(162.169, rel=1e-4), 191_970),
        ("yolox_nano", 80, 642, 912_159, (416, 416), pytest.approx(0.54, rel=0.04), 3549),
        ("yolox_tiny", 80, 462, 5_055_855, (416, 416), pytest.approx(3.225, rel=0.04), 3549),
    ],
)
def test_size_is_that_of_the_official_parts(
    name: str, classes: int, tensors: int, parameters: int, size: tuple[int, int], gmacs: object, places: int
) -> None:
    """Counted in the official code; of YOLOX half the published FLOPs, which include norms and activations."""
    with torch.device("meta"), torch.no_grad():
        model = create_model(name, classes).eval()
        assert len(model.state_dict()) == tensors
        assert sum(parameter.numel() for parameter in model.parameters()) == parameters
        with FlopCounterMode(display=False) as counter:
            boxes, *_ = model(torch.empty(1, 3, *size))
    assert counter.get_total_flops() / 2e9 == gmacs
    assert boxes.shape == (1, places, 4)


@pytest.mark.parametrize("name", by_family(list_models("detect")))
@pytest.mark.parametrize("size", [(64, 96), (192, 128)])
def test_every_detector_answers_for_each_place_of_any_multiple_of_32(name: str, size: tuple[int, int]) -> None:
    spec = get_spec(name)
    assert spec.family.boxes is not None
    levels = [(-(-size[0] // stride), -(-size[1] // stride)) for stride in spec.family.boxes.strides]
    places = sum(h * w for h, w in levels) * spec.family.anchors
    with torch.inference_mode():
        answers = create_model(name, 7).eval()(torch.zeros(2, 3, *size))
    widths = (4, 1, 7) if spec.family.boxes.objectness else (4, 7)
    assert [tuple(answer.shape) for answer in answers] == [(2, places, width) for width in widths]


def test_detectors_see_the_whole_picture_in_its_own_aspect() -> None:
    for name in list_models("detect"):
        steps = get_spec(name).preprocess
        assert (steps.crop_mode, steps.crop_pct, steps.fill, steps.interpolation) == ("letterbox", 1, 114, "bilinear")


def test_yolox_takes_levels_as_they_are_blue_first() -> None:
    """X = (level / 255 - mean) / std is the level itself."""
    for name in ("yolox_nano", "yolox_tiny"):
        spec = get_spec(name)
        for steps in (spec.preprocess, spec.weights[0].preprocess):
            assert (steps.size, steps.channels, steps.mean) == ((416, 416), "BGR", (0, 0, 0))
            assert [200 / 255 / std for std in steps.std] == pytest.approx([200] * 3)


@pytest.mark.parametrize("name", by_family(list_models("detect")))
def test_training_starts_with_every_place_empty(name: str) -> None:
    """A score of a hundredth everywhere, so that the many places without an object do not drown the few with one."""
    torch.manual_seed(0)
    with torch.inference_mode():
        _, *logits = create_model(name, 4).eval()(torch.zeros(1, 3, 64, 64))
    for found in logits:
        assert torch.sigmoid(found).mean() == pytest.approx(0.01, rel=0.5)


@pytest.mark.parametrize("size", [(2, 2), (6, 10)])
def test_first_convolution_of_stride_2_is_that_of_the_four_corners(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    focus: nn.Module = Focus(8).double().eval()
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    with torch.inference_mode():
        before = focus(x)
        prepare_for_export(focus)
        assert torch.allclose(focus(x), before, atol=1e-12)


def test_coco_has_the_classes_that_farms_ask_for_in_their_places() -> None:
    """COCO's 80 classes in the order of its ids, which skip ten: places counted in its published list of 91 ids."""
    labels = get_spec("yolox_nano").labels
    known = {"person": 0, "bird": 14, "cat": 15, "dog": 16, "horse": 17, "sheep": 18, "cow": 19, "toothbrush": 79}
    assert {name: labels.index(name) for name in known} == known
    assert len(set(labels)) == len(labels) == 80
