"""Detectors on MIT's EfficientViT; its weights keep their names, so those of a classifier's backbone fit."""

from edgevit.models.detection.light import LightDetector
from edgevit.models.efficientvit import VARIANTS, build_backbone, canonical_keys

__all__ = ["canonical_keys", "efficientvit_det"]


def efficientvit_det(variant: str, num_classes: int) -> LightDetector:
    """Build the light detector on the EfficientViT named by `variant`: b0 or b1."""
    config = VARIANTS[variant]
    return LightDetector(build_backbone(config), config.widths[2:], num_classes)
