"""The FasterViT models, and weights of them, whose licence forbids commercial use."""

from dataclasses import replace

from edgevit.artifact.manifest import Preprocess
from edgevit.models.zoo.entries import bicubic, imagenet
from edgevit.models.zoo.spec import Family, ModelSpec, WeightsSpec

LICENSE = "NVIDIA Source Code License-NC, non-commercial"
SHORT_LICENSE = "NVIDIA-NC"

FASTERVIT = Family(
    name="fastervit",
    paper="FasterViT, ICLR 2024, arXiv 2306.06189",
    reference="github.com/NVlabs/FasterViT",
    reference_license=SHORT_LICENSE,
    module="edgevit.models.fastervit",
    build="fastervit",
    head="head.weight",
    resized="table of position biases",
)
ANY_RESOLUTION = replace(
    FASTERVIT,
    resized="",
    size_step=1,
    built_for_size=True,
    # carrier tokens need a grid of more than one window, and their position embedding one that is square
    optional=(".hat_", ".gamma1", ".gamma2"),
)
HUB = "https://huggingface.co/ahatamiz/FasterViT/resolve/main/"


def _weights(file: str, preprocess: Preprocess, top1: float) -> WeightsSpec:
    return imagenet(file, HUB + file, preprocess, top1, FASTERVIT.reference, LICENSE)


def _square(series: int, parameters: int, macs: int, top1: float) -> ModelSpec:
    preprocessing = bicubic(224, 0.875 if series == 0 else 1.0)
    weights = _weights(f"fastervit_{series}_224_1k.pth.tar", preprocessing, top1)
    name, variant = f"faster_vit_{series}_224", f"{series}_224"
    return ModelSpec(name, FASTERVIT, variant, parameters, macs, preprocessing, top1, FASTERVIT.reference, (weights,))


def _any(square: ModelSpec, parameters: int, macs: int, size: tuple[int, int] = (576, 960)) -> ModelSpec:
    """Describe the form for any resolution, which gives the other's answers at 224x224 and takes its weights."""
    variant = square.variant.replace("224", "any_res")
    preprocessing = Preprocess(size=size, interpolation="bicubic", crop_pct=1.0)
    name, family = f"faster_vit_{variant}", ANY_RESOLUTION
    return ModelSpec(name, family, variant, parameters, macs, preprocessing, None, "-", square.weights)


def _whole(side: int, window: int, macs: int, crop_pct: float, top1: float) -> ModelSpec:
    """Describe a model that was pre-trained on ImageNet-21k and has no carrier tokens."""
    preprocessing = replace(bicubic(side, crop_pct), crop_mode="squash")
    weights = _weights(f"fastervit_4_21k_{side}_w{window}.pth.tar", preprocessing, top1)
    name, variant = f"faster_vit_4_21k_{side}", f"4_21k_{side}"
    return ModelSpec(name, FASTERVIT, variant, 271_944_224, macs, preprocessing, top1, FASTERVIT.reference, (weights,))


SQUARES = (
    _square(0, 31_404_840, 3_361_847_296, 82.1),
    _square(1, 53_366_696, 5_320_075_776, 83.2),
    _square(2, 75_923_816, 8_758_692_864, 84.2),
    _square(3, 159_547_944, 18_352_836_608, 84.9),
    _square(4, 365_555_712, 42_678_708_352, 85.4),
    _square(5, 957_520_552, 113_095_411_712, 85.6),
    _square(6, 1_360_328_872, 142_741_169_152, 85.8),
)
FASTERVITS = (
    *SQUARES,
    _whole(224, 14, 40_351_592_512, 0.95, 86.6),
    _whole(384, 24, 122_914_180_352, 1.0, 87.6),
    _whole(512, 32, 227_594_333_440, 1.0, 87.8),
    _whole(768, 48, 570_466_069_760, 0.93, 87.9),
    _any(SQUARES[0], 30_609_192, 43_048_815_104),
    _any(SQUARES[1], 52_043_688, 69_402_532_480),
    _any(SQUARES[2], 74_338_664, 102_159_569_280, (541, 960)),
    _any(SQUARES[3], 156_383_784, 236_836_037_632),
    _any(SQUARES[4], 360_720_384, 550_628_368_160),
    _any(SQUARES[5], 949_637_800, 1_458_843_834_880),
    _any(SQUARES[6], 1_349_818_536, 1_876_900_072_960),
)
