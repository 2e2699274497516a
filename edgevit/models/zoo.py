"""The table of all models: sizes computed from the models (a test recomputes them), accuracies as published."""

from dataclasses import replace

from edgevit.artifact import Preprocess
from edgevit.models.scenes import ADE20K, CITYSCAPES, Scenes
from edgevit.models.spec import Family, ModelSpec, WeightsSpec

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

SBCFORMER = Family(
    name="sbcformer",
    paper="SBCFormer, WACV 2024, arXiv 2311.03747",
    reference="github.com/xyongLu/SBCFormer",
    reference_license="MIT",
    module="edgevit.models.sbcformer",
    build="sbcformer",
    head="head.weight",
    fixed_grid=True,
)
EFFICIENTVIT = Family(
    name="efficientvit",
    paper="EfficientViT (MIT's, not Microsoft's), ICCV 2023, arXiv 2205.14756",
    reference="github.com/mit-han-lab/efficientvit",
    reference_license="Apache-2.0",
    module="edgevit.models.efficientvit",
    build="efficientvit",
    head="head.op_list.3.linear.weight",
)
EFFICIENTVIT_SEG = replace(
    EFFICIENTVIT,
    name="efficientvit_seg",
    module="edgevit.models.efficientvit_seg",
    build="efficientvit_seg",
    head="head.output_ops.0.op_list.0.conv.weight",
    task="segment",
)
EFFICIENTVIT_SEG_WIDENED = replace(EFFICIENTVIT_SEG, head="head.output_ops.0.op_list.1.conv.weight")
"""Those whose head widens its features before the classifier."""

HUB = "https://huggingface.co/han-cai/efficientvit-cls/resolve/main/"
SEG_HUB = "https://huggingface.co/han-cai/efficientvit-seg/resolve/main/"
TIMM_HUB = "https://huggingface.co/timm/"
DRIVE = "https://drive.google.com/uc?id="
TIMM = "github.com/huggingface/pytorch-image-models"


def _bicubic(side: int, crop_pct: float) -> Preprocess:
    return Preprocess(size=(side, side), interpolation="bicubic", crop_pct=crop_pct)


def _cifar10(model: str) -> WeightsSpec:
    return WeightsSpec(
        name="cifar10",
        file=f"{model}-cifar10.safetensors",
        url=None,
        license="Apache-2.0",
        dataset="CIFAR-10",
        num_classes=len(CIFAR10),
        preprocess=_bicubic(224, 1.0),
        top1=None,
        source="edgevit; the model card lies beside the file",
        labels=CIFAR10,
    )


def _imagenet(file: str, url: str, preprocess: Preprocess, top1: float, source: str, license: str) -> WeightsSpec:
    name = f"imagenet_r{preprocess.size[0]}"
    return WeightsSpec(name, file, url, license, "ImageNet-1k", 1000, preprocess, top1, source)


def _sbcformer(variant: str, parameters: int, macs: int, top1: float, *weights: WeightsSpec) -> ModelSpec:
    name, preprocess = f"sbcformer_{variant}", _bicubic(224, 0.875)
    return ModelSpec(name, SBCFORMER, variant, parameters, macs, preprocess, top1, SBCFORMER.reference, weights)


def _efficientvit(variant: str, parameters: int, macs: int, crop_pct: float, published: dict[int, float]) -> ModelSpec:
    """Describe a variant with official files for the image sides in `published`, a map from side to top-1."""
    name, source = f"efficientvit_{variant}", EFFICIENTVIT.reference
    weights = tuple(
        _imagenet(f"{name}_r{side}.pt", f"{HUB}{name}_r{side}.pt", _bicubic(side, crop_pct), top1, source, "Apache-2.0")
        for side, top1 in published.items()
    )
    preprocess = _bicubic(224, crop_pct)
    return ModelSpec(name, EFFICIENTVIT, variant, parameters, macs, preprocess, published[224], source, weights)


def _whole(size: tuple[int, int]) -> Preprocess:
    """Take the whole picture, whatever its aspect: each of its pixels wants an answer."""
    return Preprocess(size=size, interpolation="bicubic", crop_pct=1.0, crop_mode="squash")


def _segment(
    variant: str, parameters: int, macs: int, miou: float, scenes: Scenes, how: Preprocess, *, widened: bool
) -> ModelSpec:
    name, family = f"efficientvit_seg_{variant}", EFFICIENTVIT_SEG_WIDENED if widened else EFFICIENTVIT_SEG
    weights = WeightsSpec(
        name=scenes.name.lower(),
        file=f"{name}.pt",
        url=f"{SEG_HUB}{name}.pt",
        license="see its page",
        dataset=scenes.name,
        num_classes=len(scenes.labels),
        preprocess=how,
        top1=None,
        source=family.reference,
        labels=scenes.labels,
        miou=miou,
    )
    return ModelSpec(
        name,
        family,
        variant,
        parameters,
        macs,
        how,
        miou,
        family.reference,
        (weights,),
        num_classes=len(scenes.labels),
        dataset=scenes.name,
        labels=scenes.labels,
        palette=scenes.palette,
    )


def _cityscapes(series: str, parameters: int, macs: int, miou: float) -> ModelSpec:
    how = _whole((1024, 2048))
    return _segment(f"{series}_cityscapes", parameters, macs, miou, CITYSCAPES, how, widened=series.startswith("b"))


def _ade20k(series: str, parameters: int, macs: int, miou: float) -> ModelSpec:
    how = _whole((512, 512))
    return _segment(f"{series}_ade20k", parameters, macs, miou, ADE20K, how, widened=series.startswith("l"))


MODELS = {
    spec.name: spec
    for spec in (
        _sbcformer("xs", 5_594_161, 472_081_168, 75.8, _cifar10("sbcformer_xs")),
        _sbcformer("s", 8_465_407, 634_703_792, 77.7),
        _sbcformer(
            "b",
            13_830_592,
            1_073_664_320,
            80.0,
            _imagenet(
                "sbcformer_b.pth",
                f"{DRIVE}1MrWPZOvRcWNoB1e0hiy9M9bQ5Y6UOs7p",
                _bicubic(224, 0.875),
                80.0,
                SBCFORMER.reference,
                "not stated by its authors",
            ),
        ),
        _sbcformer("l", 18_506_672, 1_995_463_296, 81.1),
        ModelSpec(
            name="efficientvit_b0",
            family=EFFICIENTVIT,
            variant="b0",
            parameters=3_410_008,
            macs=100_233_216,
            preprocess=_bicubic(224, 0.95),
            accuracy=71.4,
            source=TIMM,
            weights=(
                _cifar10("efficientvit_b0"),
                # The official file is linked in an issue only; timm's conversion has a model card and a licence.
                _imagenet(
                    "efficientvit_b0_r224.safetensors",
                    f"{TIMM_HUB}efficientvit_b0.r224_in1k/resolve/main/model.safetensors",
                    _bicubic(224, 0.95),
                    71.4,
                    TIMM,
                    "Apache-2.0",
                ),
            ),
        ),
        _efficientvit("b1", 9_102_024, 519_214_592, 0.95, {224: 79.4, 256: 79.9, 288: 80.4}),
        _efficientvit("b2", 24_330_712, 1_584_937_984, 1.0, {224: 82.1, 256: 82.7, 288: 83.1}),
        _efficientvit("b3", 48_646_056, 3_953_822_208, 1.0, {224: 83.5, 256: 83.8, 288: 84.2}),
        _efficientvit("l1", 52_654_088, 5_258_479_616, 1.0, {224: 84.5}),
        _efficientvit("l2", 63_707_016, 6_949_862_400, 1.0, {224: 85.1, 256: 85.4, 288: 85.6, 320: 85.7, 384: 86.0}),
        _efficientvit("l3", 246_037_288, 27_586_525_184, 1.0, {224: 85.8, 256: 85.9, 288: 86.1, 320: 86.2, 384: 86.4}),
        _cityscapes("b0", 706_691, 4_391_436_288, 75.653),
        _cityscapes("b1", 4_803_443, 25_105_006_592, 80.547),
        _cityscapes("b2", 15_323_779, 73_641_492_480, 82.073),
        _cityscapes("b3", 39_603_155, 179_227_852_800, 83.016),
        _cityscapes("l1", 40_242_227, 282_480_082_944, 82.716),
        _cityscapes("l2", 52_607_923, 396_122_652_672, 83.228),
        _ade20k("b1", 4_791_414, 3_090_415_616, 42.840),
        _ade20k("b2", 15_293_382, 9_083_289_600, 45.941),
        _ade20k("b3", 39_546_198, 22_173_843_456, 49.013),
        _ade20k("l1", 40_409_526, 36_338_663_424, 49.191),
        _ade20k("l2", 51_462_454, 45_175_275_520, 50.702),
    )
}
"""In the order in which they are listed."""
