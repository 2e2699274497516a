"""The segmentation models have the official names, shapes and logits; the export's upsampling is the same function."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from edgevit.models import create_model, list_models
from edgevit.models.efficientvit_seg import Upsample, bicubic_weights
from edgevit.models.layers import fold_batchnorm, prepare_for_export
from edgevit.models.weights.resolve import build_with_weights, resolve_weights
from edgevit.models.zoo.datasets import ADE20K, CITYSCAPES, DatasetClasses
from edgevit.models.zoo.registry import get_spec
from tests.places import SHARED
from tests.recordings import fill, rule

GOLDEN = [name for name in list_models("segment") if (SHARED / "golden" / f"{name}.npz").is_file()]

recorded = pytest.mark.skipif(not GOLDEN, reason="the recordings of the official models are not beside this checkout")


@recorded
@pytest.mark.parametrize("name", GOLDEN)
def test_logits_are_the_official_ones(name: str) -> None:
    golden, model = np.load(SHARED / "golden" / f"{name}.npz"), fill(create_model(name))
    shape, step = tuple(int(side) for side in golden["input_shape"]), int(golden["logits_stride"])
    inputs = {"logits": rule().golden_input(shape), "logits_lf": rule().golden_input_lf(shape)}
    with torch.inference_mode():
        for key, x in inputs.items():
            found = model(torch.from_numpy(x)).numpy()
            assert found.shape == tuple(golden[f"{key}_shape"])
            reference = golden[key]
            assert np.all(np.abs(found[:, :, ::step, ::step] - reference) <= 1e-4 * (1 + np.abs(reference))), key
        model.double()
        fold_batchnorm(model)
        x, step = inputs["logits_lf"].astype(np.float64), 2 * int(golden["logits_lf_fp64_stride"])
        found = model(torch.from_numpy(x)).numpy()[:, :, ::step, ::step]
        assert np.abs(found - golden["logits_lf_fp64"]).max() <= 1e-9


@recorded
@pytest.mark.parametrize("name", list_models("segment"))
def test_names_and_shapes_are_the_official_ones(name: str) -> None:
    official = json.loads((SHARED / "keys" / f"{name}.json").read_text())
    with torch.device("meta"):
        own = {key: tuple(value.shape) for key, value in create_model(name).state_dict().items()}
    assert own == {key: tuple(shape) for key, shape, _ in official}


@pytest.mark.parametrize("name", list_models("segment"))
def test_every_model_has_the_asked_number_of_classes_at_stride_8(name: str) -> None:
    with torch.device("meta"), torch.no_grad():
        assert create_model(name, num_classes=7).eval()(torch.empty(2, 3, 64, 96)).shape == (2, 7, 8, 12)


def test_no_ade20k_head_is_invented_for_b0() -> None:
    assert len(list_models("segment")) == 11
    assert "efficientvit_seg_b0_ade20k" not in list_models()


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (16, 32)])
def test_two_products_enlarge_as_bicubic_interpolation_does(scale: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x, upsample = torch.randn(2, 3, *size, dtype=torch.float64), Upsample(scale)
    reference = F.interpolate(x, scale_factor=scale, mode="bicubic", align_corners=False)
    assert torch.equal(upsample(x), reference)
    upsample.take_export_form()
    assert (upsample(x) - reference).abs().max() < 1e-12


def test_bicubic_weights_are_keys_kernel() -> None:
    # a = -0.75 at distances 1.25, 0.25, 0.75, 1.75 of the taps, by hand
    rows = bicubic_weights(5, 2)
    assert rows[4] == pytest.approx((-0.03515625, 0.26171875, 0.87890625, -0.10546875, 0))
    assert [sum(row) for row in rows] == pytest.approx([1] * 10)


def test_export_form_answers_alike_on_a_rectangle() -> None:
    torch.manual_seed(0)
    model, x = create_model("efficientvit_seg_b0_cityscapes", 5).eval(), torch.randn(1, 3, 64, 160)
    with torch.inference_mode():
        before = model(x)
        prepare_for_export(model)
        assert (model(x) - before).abs().max() <= 1e-4 * (1 + before.abs().max())


@pytest.mark.parametrize("name", ["efficientvit_seg_b0_cityscapes", "efficientvit_seg_b1_ade20k"])
def test_classes_of_a_checkpoint_are_counted_in_its_head(name: str, tmp_path: Path) -> None:
    spec, path = get_spec(name), tmp_path / "fields.pt"
    torch.manual_seed(0)
    model = create_model(name, 3).eval()
    torch.save({"state_dict": model.state_dict()}, path)
    loaded = build_with_weights(spec, resolve_weights(spec, str(path))).eval()
    assert loaded.state_dict()[spec.family.head].shape[0] == 3
    x = torch.randn(1, 3, 32, 64)
    with torch.inference_mode():
        assert torch.equal(loaded(x), model(x))


@pytest.mark.parametrize(("scenes", "count"), [(CITYSCAPES, 19), (ADE20K, 150)])
def test_every_class_has_one_name_and_one_colour(scenes: DatasetClasses, count: int) -> None:
    assert len(set(scenes.labels)) == len(scenes.labels) == len(scenes.palette) == count
    assert all(0 <= part <= 255 for colour in scenes.palette for part in colour)


def test_well_known_classes_have_their_places_and_colours() -> None:
    known = {
        name: (CITYSCAPES.labels.index(name), CITYSCAPES.palette[CITYSCAPES.labels.index(name)])
        for name in ("road", "person", "bicycle")
    }
    assert known == {"road": (0, (128, 64, 128)), "person": (11, (220, 20, 60)), "bicycle": (18, (119, 11, 32))}
    assert (ADE20K.labels[2], ADE20K.palette[2]) == ("sky", (6, 230, 230))
    assert (ADE20K.labels[149], ADE20K.palette[149]) == ("flag", (92, 0, 255))
