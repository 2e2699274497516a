"""The detection models, and weights of them."""

from dataclasses import replace

from edgevit.artifact.manifest import BoxOutput, Preprocess
from edgevit.models.zoo.coco import COCO
from edgevit.models.zoo.efficientvit import EFFICIENTVIT
from edgevit.models.zoo.sbcformer import SBCFORMER
from edgevit.models.zoo.spec import Family, ModelSpec

YOLOX_BOXES = BoxOutput("yolox", (8, 16, 32), boxes="boxes", objectness="objectness", scores="scores")
YOLOX_HEADS = tuple(f"head.cls_preds.{level}.weight" for level in range(3))
LETTERBOX = Preprocess(size=(320, 320), interpolation="bilinear", crop_pct=1.0, crop_mode="letterbox")
"""The whole picture in its own aspect, the rest grey; ImageNet's mean and deviation, as the backbones learnt them."""


def _light(family: Family) -> Family:
    """Describe the light detectors on a family of classifiers."""
    name = f"{family.name}_det"
    return replace(
        family,
        name=name,
        module=f"edgevit.models.detection.{family.name}",
        build=name,
        head=YOLOX_HEADS[0],
        more_heads=YOLOX_HEADS[1:],
        task="detect",
        boxes=YOLOX_BOXES,
    )


EFFICIENTVIT_DET = _light(EFFICIENTVIT)
SBCFORMER_DET = _light(SBCFORMER)


def _detector(name: str, family: Family, variant: str, parameters: int, macs: int) -> ModelSpec:
    """Describe a detector that nobody has published weights of; its classes are COCO's unless others are given."""
    return ModelSpec(
        name,
        family,
        variant,
        parameters,
        macs,
        LETTERBOX,
        None,
        family.reference,
        num_classes=len(COCO),
        dataset="COCO",
        labels=COCO,
    )


DETECTORS = (
    _detector("efficientvit_b0_det", EFFICIENTVIT_DET, "b0", 926_991, 331_420_800),
    _detector("efficientvit_b1_det", EFFICIENTVIT_DET, "b1", 4_909_823, 1_165_878_400),
    _detector("sbcformer_xs_det", SBCFORMER_DET, "xs", 5_579_688, 1_131_232_000),
)
