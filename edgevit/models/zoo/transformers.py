"""DeiT, PVTv2 and Next-ViT, weights of them, and the twins of each with hallucinated attention and compact FFN."""

from dataclasses import replace

from edgevit.models.zoo.entries import bicubic, imagenet
from edgevit.models.zoo.spec import Family, ModelSpec

DEIT = Family(
    name="deit",
    paper="DeiT, ICML 2021, arXiv 2012.12877",
    reference="github.com/facebookresearch/deit",
    reference_license="Apache-2.0",
    module="edgevit.models.deit",
    build="deit",
    head="head.weight",
    resized="position embedding",
)
PVT = Family(
    name="pvt",
    paper="PVTv2, CVMJ 2022, arXiv 2106.13797",
    reference="github.com/whai362/PVT",
    reference_license="Apache-2.0",
    module="edgevit.models.pvt",
    build="pvt",
    head="head.weight",
)
NEXTVIT = Family(
    name="nextvit",
    paper="Next-ViT, arXiv 2207.05501",
    reference="github.com/bytedance/Next-ViT",
    reference_license="Apache-2.0",
    module="edgevit.models.nextvit",
    build="nextvit",
    head="proj_head.0.weight",
)
TWIN = "_hmhsa"
DEIT_HUB = "https://dl.fbaipublicfiles.com/deit/"
PVT_HUB = "https://github.com/whai362/PVT/releases/download/v2/"
DRIVE = "https://drive.google.com/uc?id="


def _plain(
    name: str,
    family: Family,
    variant: str,
    parameters: int,
    macs: int,
    top1: float,
    file: str,
    url: str,
    timm_tag: str,
) -> ModelSpec:
    preprocessing = bicubic(224, 0.875)
    weights = imagenet(file, url, preprocessing, top1, family.reference, "not stated by its authors", timm_tag)
    return ModelSpec(name, family, variant, parameters, macs, preprocessing, top1, family.reference, (weights,))


def _twin(plain: ModelSpec, parameters: int, macs: int) -> ModelSpec:
    """Describe a model's twin; its parameters and MACs are those with the parallel branches merged."""
    family = replace(
        plain.family,
        name=plain.family.name + TWIN,
        paper="Vision Transformer with Attention Map Hallucination and FFN Compaction, arXiv 2306.10875",
        reference="none was published",
        reference_license="-",
    )
    return replace(
        plain,
        name=plain.name + TWIN,
        family=family,
        variant=plain.variant + TWIN,
        parameters=parameters,
        macs=macs,
        accuracy=None,
        source="-",
        weights=(),
        plain=plain.name,
    )


DEIT_TINY = _plain(
    "deit_tiny_patch16_224",
    DEIT,
    "tiny",
    5_717_416,
    1_253_683_200,
    72.2,
    "deit_tiny_patch16_224-a1311bcf.pth",
    f"{DEIT_HUB}deit_tiny_patch16_224-a1311bcf.pth",
    timm_tag="fb_in1k",
)
DEIT_SMALL = _plain(
    "deit_small_patch16_224",
    DEIT,
    "small",
    22_050_664,
    4_598_882_304,
    79.9,
    "deit_small_patch16_224-cd65a155.pth",
    f"{DEIT_HUB}deit_small_patch16_224-cd65a155.pth",
    timm_tag="fb_in1k",
)
PVT_V2_B1 = _plain(
    "pvt_v2_b1", PVT, "b1", 14_009_000, 2_108_355_584, 78.7, "pvt_v2_b1.pth", f"{PVT_HUB}pvt_v2_b1.pth", timm_tag="in1k"
)
NEXTVIT_SMALL = _plain(
    "nextvit_small",
    NEXTVIT,
    "small",
    31_763_368,
    5_794_420_224,
    82.5,
    "nextvit_small.pth",
    f"{DRIVE}1yoJFpMdnwVseEEnSJxF8CIZ_txn1o_aS",
    timm_tag="bd_in1k",
)

TRANSFORMERS = (
    DEIT_TINY,
    _twin(DEIT_TINY, 4_703_032, 1_030_334_844),
    DEIT_SMALL,
    _twin(DEIT_SMALL, 17_901_736, 3_716_715_516),
    PVT_V2_B1,
    _twin(PVT_V2_B1, 12_153_884, 1_789_854_016),
    NEXTVIT_SMALL,
    _twin(NEXTVIT_SMALL, 27_257_196, 5_111_068_576),
)
