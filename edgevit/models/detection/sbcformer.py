"""Detectors on SBCFormer, whose weights have the classifier's names after "backbone."."""

from torch import Tensor

from edgevit.models import sbcformer
from edgevit.models.detection.light import LightDetector
from edgevit.models.detection.retinanet import RetinaNet

PREFIX = "backbone."


def sbcformer_det(variant: str, num_classes: int, **options: float) -> LightDetector:
    """Build the light detector on the SBCFormer named by `variant`: xs, s, b or l."""
    config = sbcformer.VARIANTS[variant]
    return LightDetector(sbcformer.SBCFormerBackbone(config, **options), config["dims"], num_classes)


def sbcformer_retinanet(variant: str, num_classes: int, **options: float) -> RetinaNet:
    """Build the RetinaNet on the SBCFormer named by `variant`: xs, s, b or l."""
    config = sbcformer.VARIANTS[variant]
    return RetinaNet(sbcformer.SBCFormerBackbone(config, **options), config["dims"], num_classes)


def canonical_keys(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict under the names of a detector, from those or from any that a classifier's file has."""
    renamed = sbcformer.canonical_keys({key.removeprefix(PREFIX): value for key, value in state.items()})
    return {f"{PREFIX}{key}" if key.startswith(sbcformer.STAGES) else key: value for key, value in renamed.items()}
