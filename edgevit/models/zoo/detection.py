"""The detection models, and weights of them."""

from dataclasses import replace

from edgevit.artifact.manifest import BoxOutput, Preprocess
from edgevit.models.zoo.coco import COCO
from edgevit.models.zoo.efficientvit import EFFICIENTVIT
from edgevit.models.zoo.sbcformer import SBCFORMER
from edgevit.models.zoo.spec import Family, ModelSpec, WeightsSpec

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
        backbone=("backbone.",),
        task="detect",
        boxes=YOLOX_BOXES,
    )


EFFICIENTVIT_DET = _light(EFFICIENTVIT)
SBCFORMER_DET = _light(SBCFORMER)
SBCFORMER_RETINANET = replace(
    SBCFORMER_DET,
    name="sbcformer_retinanet",
    build="sbcformer_retinanet",
    head="bbox_head.retina_cls.weight",
    more_heads=(),
    anchors=9,
    boxes=BoxOutput("retina", (8, 16, 32, 64, 128), boxes="boxes", scores="scores"),
)
YOLOX = Family(
    name="yolox",
    paper="YOLOX, arXiv 2107.08430",
    reference="github.com/Megvii-BaseDetection/YOLOX",
    reference_license="Apache-2.0",
    module="edgevit.models.detection.yolox",
    build="yolox",
    head=YOLOX_HEADS[0],
    more_heads=YOLOX_HEADS[1:],
    task="detect",
    boxes=YOLOX_BOXES,
)
AQUARIUM = WeightsSpec(
    name="aquarium",
    file="efficientvit_b0_det-aquarium.safetensors",
    url=None,
    license="CC BY 4.0",
    dataset="Aquarium Combined and drawn scenes",
    num_classes=10,
    preprocess=LETTERBOX,
    top1=None,
    source="edgevit; the model card lies beside the file. Pictures: Aquarium Combined, published by Roboflow, of Henry "
    "Doorly Zoo and the National Aquarium in Baltimore",
    labels=(
        *("fish", "jellyfish", "penguin", "puffin", "shark", "starfish", "stingray"),
        *("ellipse", "rectangle", "triangle"),
    ),
)
"""What comes with the package: learnt at up to 416x416, and quick enough for a board at 320x320."""
YOLOX_RELEASE = "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/"
BGR = replace(LETTERBOX, size=(416, 416), mean=(0.0, 0.0, 0.0), std=(1 / 255, 1 / 255, 1 / 255), channels="BGR")
"""Blue first, levels 0..255 as they are: what the official weights since version 0.1.1 were trained on."""


def _on_backbone(
    name: str,
    family: Family,
    backbone: str,
    parameters: int,
    macs: int,
    remark: str = "",
    weights: tuple[WeightsSpec, ...] = (),
) -> ModelSpec:
    """Describe a detector that nobody has published weights of; its classes are COCO's unless others are given."""
    return ModelSpec(
        name=name,
        family=family,
        variant=backbone.rpartition("_")[2],
        parameters=parameters,
        macs=macs,
        preprocess=LETTERBOX,
        accuracy=None,
        source=family.reference,
        weights=weights,
        num_classes=len(COCO),
        dataset="COCO",
        labels=COCO,
        backbone=backbone,
        remark=remark,
    )


def _retinanet(variant: str, parameters: int, macs: int) -> ModelSpec:
    backbone = f"sbcformer_{variant}"
    remark = "slow: nearly all of its work is in the head; take sbcformer_xs_det for a small board"
    return _on_backbone(f"{backbone}_retinanet", SBCFORMER_RETINANET, backbone, parameters, macs, remark)


def _yolox(variant: str, parameters: int, macs: int, ap: float) -> ModelSpec:
    name = f"yolox_{variant}"
    weights = WeightsSpec(
        name="coco",
        file=f"{name}.pth",
        url=f"{YOLOX_RELEASE}{name}.pth",
        license="Apache-2.0",
        dataset="COCO",
        num_classes=len(COCO),
        preprocess=BGR,
        top1=None,
        source=YOLOX.reference,
        labels=COCO,
        ap=ap,
    )
    return ModelSpec(
        name=name,
        family=YOLOX,
        variant=variant,
        parameters=parameters,
        macs=macs,
        preprocess=BGR,
        accuracy=ap,
        source=YOLOX.reference,
        weights=(weights,),
        num_classes=len(COCO),
        dataset="COCO",
        labels=COCO,
    )


DETECTORS = (
    _on_backbone("efficientvit_b0_det", EFFICIENTVIT_DET, "efficientvit_b0", 926_991, 331_420_800, weights=(AQUARIUM,)),
    _on_backbone("efficientvit_b1_det", EFFICIENTVIT_DET, "efficientvit_b1", 4_909_823, 1_165_878_400),
    _on_backbone("sbcformer_xs_det", SBCFORMER_DET, "sbcformer_xs", 5_579_688, 1_131_232_000),
    _yolox("nano", 912_159, 522_553_408, 25.8),
    _yolox("tiny", 5_055_855, 3_206_268_000, 32.8),
    _retinanet("xs", 14_931_965, 16_081_055_360),
    _retinanet("s", 17_861_259, 16_422_239_360),
    _retinanet("b", 23_350_732, 17_351_989_760),
    _retinanet("l", 28_051_388, 19_269_557_760),
)
