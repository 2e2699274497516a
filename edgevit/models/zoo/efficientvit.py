"""The EfficientViT models that classify, and weights of them."""

from edgevit.models.zoo.entries import bicubic, cifar10, imagenet, pretrained
from edgevit.models.zoo.spec import Family, ModelSpec

EFFICIENTVIT = Family(
    name="efficientvit",
    paper="EfficientViT (MIT's, not Microsoft's), ICCV 2023, arXiv 2205.14756",
    reference="github.com/mit-han-lab/efficientvit",
    reference_license="Apache-2.0",
    module="edgevit.models.efficientvit",
    build="efficientvit",
    head="head.op_list.3.linear.weight",
    backbone=("backbone.",),
)
HUB = "https://huggingface.co/han-cai/efficientvit-cls/resolve/main/"
TIMM_HUB = "https://huggingface.co/timm/"
TIMM = "github.com/huggingface/pytorch-image-models"


def _efficientvit(variant: str, parameters: int, macs: int, crop_pct: float, published: dict[int, float]) -> ModelSpec:
    """Describe a variant with official files for the image sides in `published`, a map from side to top-1."""
    name, source = f"efficientvit_{variant}", EFFICIENTVIT.reference
    weights = tuple(
        imagenet(
            f"{name}_r{side}.pt",
            f"{HUB}{name}_r{side}.pt",
            bicubic(side, crop_pct),
            top1,
            source,
            "Apache-2.0",
            timm_tag=f"r{side}_in1k",
        )
        for side, top1 in published.items()
    )
    preprocess = bicubic(224, crop_pct)
    return ModelSpec(name, EFFICIENTVIT, variant, parameters, macs, preprocess, published[224], source, weights)


EFFICIENTVITS = (
    ModelSpec(
        name="efficientvit_b0",
        family=EFFICIENTVIT,
        variant="b0",
        parameters=3_410_008,
        macs=100_233_216,
        preprocess=bicubic(224, 0.95),
        accuracy=71.4,
        source=TIMM,
        weights=(
            cifar10("efficientvit_b0"),
            pretrained("efficientvit_b0"),
            # The official file is linked in an issue only; timm's conversion has a model card and a licence.
            imagenet(
                "efficientvit_b0_r224.safetensors",
                f"{TIMM_HUB}efficientvit_b0.r224_in1k/resolve/main/model.safetensors",
                bicubic(224, 0.95),
                71.4,
                TIMM,
                "Apache-2.0",
                timm_tag="r224_in1k",
            ),
        ),
    ),
    _efficientvit("b1", 9_102_024, 519_214_592, 0.95, {224: 79.4, 256: 79.9, 288: 80.4}),
    _efficientvit("b2", 24_330_712, 1_584_937_984, 1.0, {224: 82.1, 256: 82.7, 288: 83.1}),
    _efficientvit("b3", 48_646_056, 3_953_822_208, 1.0, {224: 83.5, 256: 83.8, 288: 84.2}),
    _efficientvit("l1", 52_654_088, 5_258_479_616, 1.0, {224: 84.5}),
    _efficientvit("l2", 63_707_016, 6_949_862_400, 1.0, {224: 85.1, 256: 85.4, 288: 85.6, 320: 85.7, 384: 86.0}),
    _efficientvit("l3", 246_037_288, 27_586_525_184, 1.0, {224: 85.8, 256: 85.9, 288: 86.1, 320: 86.2, 384: 86.4}),
)
