"""The zoo's table says what the built models are."""

import subprocess
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from edgevit.errors import OptionError, UnknownNameError
from edgevit.models import create_model, list_models
from edgevit.models.compact_ffn import merge_branches
from edgevit.models.layers import prepare_for_export
from edgevit.models.zoo.registry import check_input_size, find_weights, get_spec, size_note
from tests.places import ROOT


@pytest.mark.parametrize("name", list_models())
def test_parameters_and_macs_are_those_of_the_built_model(name: str) -> None:
    spec = get_spec(name)
    with torch.device("meta"), torch.no_grad():
        model = create_model(name).eval()
        merge_branches(model)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        x = torch.empty(1, 3, *spec.preprocess.size)
        if spec.task == "classify" and not spec.plain:  # of hallucinated models the paper's formulation is counted
            prepare_for_export(model)
            model(x)  # constants are made at the first call
        with FlopCounterMode(display=False) as counter:
            model(x)
    assert parameters == spec.parameters
    assert counter.get_total_flops() == 2 * spec.macs


@pytest.mark.parametrize("name", list_models("classify"))
def test_every_model_has_the_asked_number_of_classes(name: str) -> None:
    with torch.device("meta"), torch.no_grad():
        assert create_model(name, num_classes=7).eval()(torch.empty(2, 3, 64, 64)).shape == (2, 7)


@pytest.mark.parametrize("name", list_models())
def test_weights_entries_are_complete(name: str) -> None:
    spec = get_spec(name)
    assert len({entry.name for entry in spec.weights}) == len(spec.weights)
    for entry in spec.weights:
        assert entry.bundled or (entry.url or "").startswith("https://")
        assert entry.license
        assert not entry.labels or len(entry.labels) == entry.num_classes
        check_input_size(spec, entry.preprocess.size)


def test_bundled_weights_are_the_default_and_say_that_they_are_not_imagenet() -> None:
    for name in ("sbcformer_xs", "efficientvit_b0"):
        entry = get_spec(name).weights[0]
        assert entry.bundled
        assert entry.note == "10 classes, CIFAR-10, not ImageNet"
        assert entry.labels[3] == "cat"
    assert not any(entry.bundled for entry in get_spec("sbcformer_l").weights)


def test_bundled_detector_says_what_it_knows() -> None:
    entry = get_spec("efficientvit_b0_det").weights[0]
    assert entry.bundled
    assert entry.note == "10 classes, Aquarium Combined and drawn scenes, not COCO"
    assert (entry.labels[0], entry.labels[-1]) == ("fish", "triangle")


def test_preprocessing_is_the_official_evaluation() -> None:
    crops = {name: get_spec(name).preprocess.crop_pct for name in list_models("classify")}
    assert {crops[name] for name in crops if name.startswith("sbcformer")} == {0.875}
    assert crops["efficientvit_b0"] == crops["efficientvit_b1"] == 0.95
    assert {crops[f"efficientvit_{variant}"] for variant in ("b2", "b3", "l1", "l2", "l3")} == {1.0}
    assert get_spec("efficientvit_l2").weights[-1].preprocess.size == (384, 384)


def test_unknown_model_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean sbcformer_xs"):
        create_model("sbcformer-xs")


@pytest.mark.parametrize(
    ("name", "model", "weights"),
    [
        ("efficientvit_b0.r224_in1k", "efficientvit_b0", "imagenet_r224"),
        ("efficientvit_b1.r288_in1k", "efficientvit_b1", "imagenet_r288"),
        ("timm/efficientvit_l2.r384_in1k", "efficientvit_l2", "imagenet_r384"),
        ("hf_hub:timm/efficientvit_b1.r224_in1k", "efficientvit_b1", "imagenet_r224"),
        ("deit_tiny_patch16_224.fb_in1k", "deit_tiny_patch16_224", "imagenet_r224"),
        ("pvt_v2_b1.in1k", "pvt_v2_b1", "imagenet_r224"),
        ("nextvit_small.bd_in1k", "nextvit_small", "imagenet_r224"),
    ],
)
def test_timms_name_is_a_model_with_its_weights_first(name: str, model: str, weights: str) -> None:
    spec = get_spec(name)
    assert (spec.name, spec.weights[0].name) == (model, weights)
    assert sorted(entry.name for entry in spec.weights) == sorted(entry.name for entry in get_spec(model).weights)


def test_weights_that_timm_does_not_have_are_refused() -> None:
    message = (
        "no weights of efficientvit_b1 named 'r999_in1k'; choose one of: imagenet_r224, imagenet_r256, imagenet_r288"
    )
    with pytest.raises(UnknownNameError, match=f"^{message}$"):
        get_spec("efficientvit_b1.r999_in1k")


@pytest.mark.parametrize(
    ("model", "weights"),
    [
        ("efficientvit_b0", "imagenet_r224"),
        ("efficientvit_l2", "imagenet_r224"),
        ("faster_vit_4_21k_384", "imagenet_r384"),
    ],
)
def test_imagenet_is_the_default_of_the_published_weights(model: str, weights: str) -> None:
    entry = find_weights(get_spec(model), "imagenet")
    assert entry is not None
    assert entry.name == weights


def test_imagenet_is_not_made_up() -> None:
    assert find_weights(get_spec("sbcformer_xs"), "imagenet") is None
    assert find_weights(get_spec("efficientvit_seg_b0_cityscapes"), "imagenet") is None


def test_zero_classes_are_refused() -> None:
    with pytest.raises(OptionError, match="num_classes=1 or more"):
        create_model("sbcformer_xs", num_classes=0)


@pytest.mark.parametrize(("size", "near"), [((225, 225), "224 or 256"), ((0, 0), "32"), ((224, 40), "32 or 64")])
def test_size_that_is_not_a_multiple_of_32_is_refused(size: tuple[int, int], near: str) -> None:
    with pytest.raises(OptionError, match=f"multiple of 32; try imgsz={near}$"):
        check_input_size(get_spec("sbcformer_xs"), size)


@pytest.mark.parametrize(
    ("size", "trained", "note"),
    [
        ((224, 224), (224, 224), None),
        ((160, 160), (160, 160), None),
        ((256, 256), (256, 256), None),
        ((224, 256), (224, 224), "made for 224x224, was resized"),
        ((160, 224), (224, 224), "made for 224x224, was cut to its corner of near offsets"),
        ((128, 160), (160, 160), "made for 160x160, was cut to its corner of near offsets"),
        ((224, 224), (160, 160), "made for 160x160, has far offsets that were not trained"),
        ((256, 256), (160, 160), "made for 160x160, has far offsets that were not trained"),
        ((224, 224), (256, 256), "made for 256x256, was resized"),
    ],
)
def test_another_size_than_the_weights_is_noted_where_they_belong_to_one(
    size: tuple[int, int], trained: tuple[int, int], note: str | None
) -> None:
    found = size_note(get_spec("sbcformer_xs"), size, trained)
    text = f"input {size[0]}x{size[1]}: the attention bias table, "
    assert found == (None if note is None else text + note)
    assert size_note(get_spec("efficientvit_b0"), size, trained) is None


def test_registry_needs_no_torch_and_building_says_how_to_get_it() -> None:
    code = """
import sys
sys.modules["torch"] = None
from edgevit.models import create_model
from edgevit.models import list_models
from edgevit.models.zoo.registry import get_spec
print(get_spec(list_models()[0]).parameters)
try:
    create_model("sbcformer_xs")
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "5594161",
        "torch is not installed, and building sbcformer_xs needs it; run: pip install 'edgevit[export]'",
    ]
