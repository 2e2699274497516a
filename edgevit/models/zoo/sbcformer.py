"""The SBCFormer models, and weights of them."""

from edgevit.models.zoo.entries import bicubic, cifar10, imagenet, pretrained
from edgevit.models.zoo.spec import Family, ModelSpec, WeightsSpec

SBCFORMER = Family(
    name="sbcformer",
    paper="SBCFormer, WACV 2024, arXiv 2311.03747",
    reference="github.com/xyongLu/SBCFormer",
    reference_license="MIT",
    module="edgevit.models.sbcformer",
    build="sbcformer",
    head="head.weight",
    fixed_grid=True,
    backbone=("merging_blocks.", "sbcformer_blocks."),
)
DRIVE = "https://drive.google.com/uc?id="


def _sbcformer(variant: str, parameters: int, macs: int, top1: float, *weights: WeightsSpec) -> ModelSpec:
    name, preprocess = f"sbcformer_{variant}", bicubic(224, 0.875)
    return ModelSpec(name, SBCFORMER, variant, parameters, macs, preprocess, top1, SBCFORMER.reference, weights)


SBCFORMERS = (
    _sbcformer("xs", 5_594_161, 472_081_168, 75.8, cifar10("sbcformer_xs"), pretrained("sbcformer_xs")),
    _sbcformer("s", 8_465_407, 634_703_792, 77.7),
    _sbcformer(
        "b",
        13_830_592,
        1_073_664_320,
        80.0,
        imagenet(
            "sbcformer_b.pth",
            f"{DRIVE}1MrWPZOvRcWNoB1e0hiy9M9bQ5Y6UOs7p",
            bicubic(224, 0.875),
            80.0,
            SBCFORMER.reference,
            "not stated by its authors",
        ),
    ),
    _sbcformer("l", 18_506_672, 1_995_463_296, 81.1),
)
