"""The EfficientViT models that segment, and weights of them."""

from dataclasses import replace

from edgevit.artifact.manifest import Preprocess
from edgevit.models.zoo.datasets import ADE20K, CITYSCAPES, DatasetClasses
from edgevit.models.zoo.efficientvit import EFFICIENTVIT
from edgevit.models.zoo.spec import ModelSpec, WeightsSpec

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

SEG_HUB = "https://huggingface.co/han-cai/efficientvit-seg/resolve/main/"


def _whole(size: tuple[int, int]) -> Preprocess:
    """Take the whole picture, whatever its aspect: each of its pixels wants an answer."""
    return Preprocess(size=size, interpolation="bicubic", crop_pct=1.0, crop_mode="squash")


def _segment(
    variant: str,
    parameters: int,
    macs: int,
    miou: float,
    scenes: DatasetClasses,
    preprocessing: Preprocess,
    *,
    widened: bool,
) -> ModelSpec:
    name, family = f"efficientvit_seg_{variant}", EFFICIENTVIT_SEG_WIDENED if widened else EFFICIENTVIT_SEG
    weights = WeightsSpec(
        name=scenes.name.lower(),
        file=f"{name}.pt",
        url=f"{SEG_HUB}{name}.pt",
        license="see its page",
        dataset=scenes.name,
        num_classes=len(scenes.labels),
        preprocess=preprocessing,
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
        preprocessing,
        miou,
        family.reference,
        (weights,),
        num_classes=len(scenes.labels),
        dataset=scenes.name,
        labels=scenes.labels,
        palette=scenes.palette,
        backbone=f"efficientvit_{variant.partition('_')[0]}",
    )


def _cityscapes(series: str, parameters: int, macs: int, miou: float) -> ModelSpec:
    preprocessing = _whole((1024, 2048))
    return _segment(
        f"{series}_cityscapes", parameters, macs, miou, CITYSCAPES, preprocessing, widened=series.startswith("b")
    )


def _ade20k(series: str, parameters: int, macs: int, miou: float) -> ModelSpec:
    preprocessing = _whole((512, 512))
    return _segment(f"{series}_ade20k", parameters, macs, miou, ADE20K, preprocessing, widened=series.startswith("l"))


EFFICIENTVIT_SEGS = (
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
