"""An unknown name is answered with the nearest variant of its family, never with a list of all models."""

import pytest

from edgevit.errors import UnknownModelError
from edgevit.models.zoo.nearest import nearest_model
from edgevit.models.zoo.registry import get_spec
from edgevit.models.zoo.table import MODELS


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("efficientvit_b4", "efficientvit_b3"),
        ("efficientvit_l9", "efficientvit_l3"),
        ("efficientvit", "efficientvit_b0"),
        ("efficient_vit_b2", "efficientvit_b2"),
        ("effcientvit_b2", "efficientvit_b2"),
        ("SBCFormer-XS", "sbcformer_xs"),
        ("sbcfromer_xs", "sbcformer_xs"),
        ("sbcformer_xl", "sbcformer_l"),
        ("sbcformer", "sbcformer_xs"),
        ("deit_base_patch16_224", "deit_small_patch16_224"),
        ("deit_tiny", "deit_tiny_patch16_224"),
        ("deit_base_patch16_224_hmhsa", "deit_small_patch16_224_hmhsa"),
        ("fastervit_0", "faster_vit_0_224"),
        ("faster_vit_7_224", "faster_vit_6_224"),
        ("faster_vit_4_21k", "faster_vit_4_21k_224"),
        ("pvt_v2_b5", "pvt_v2_b1"),
        ("efficientvit_seg_b0_ade20k", "efficientvit_seg_b0_cityscapes"),
        ("efficientvit_b2_det", "efficientvit_b1_det"),
        ("sbcformer_s_det", "sbcformer_xs_det"),
        ("sbcformer_m_retinanet", "sbcformer_s_retinanet"),
        ("yolox_s", "yolox_tiny"),
        ("yolov8n", "yolox_nano"),
    ],
)
def test_nearest_variant_is_meant(name: str, near: str) -> None:
    assert nearest_model(name, MODELS) == near


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v2", "retinanet_r50", "vit_tiny_patch16_224", "x", ""])
def test_another_family_is_not_guessed(name: str) -> None:
    assert nearest_model(name, MODELS) is None


def test_message_is_short() -> None:
    with pytest.raises(UnknownModelError) as caught:
        get_spec("efficientvit_b4")
    assert str(caught.value) == (
        "no model named 'efficientvit_b4'; did you mean efficientvit_b3? `edgevit models --all` lists them"
    )
    with pytest.raises(UnknownModelError, match=r"^no model named 'resnet50'; `edgevit models --all` lists them$"):
        get_spec("resnet50")
