"""What the tables of the model families have in common: preprocessing and weights as most of them publish."""

import re

from edgevit.artifact.manifest import Preprocess
from edgevit.models.zoo.datasets import IMAGENET_1K, TINY_IMAGENET
from edgevit.models.zoo.spec import WeightsSpec

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def bicubic(side: int, crop_pct: float) -> Preprocess:
    """Scale the short side to side / crop_pct, cut out the centre; ImageNet's mean and deviation."""
    return Preprocess(size=(side, side), interpolation="bicubic", crop_pct=crop_pct)


def cifar10(model: str) -> WeightsSpec:
    """Describe weights that are part of the package."""
    return _bundled(model, "cifar10", "CIFAR-10", CIFAR10, 224)


def pretrained(model: str) -> WeightsSpec:
    """Describe weights that are part of the package, a start for training."""
    return _bundled(model, "pretrained", "Tiny-ImageNet", TINY_IMAGENET, 128, start=True)


def _bundled(
    model: str, name: str, dataset: str, labels: tuple[str, ...], side: int, *, start: bool = False
) -> WeightsSpec:
    return WeightsSpec(
        *(name, f"{model}-{name}.safetensors", None, "Apache-2.0", dataset, len(labels), bicubic(side, 1.0), None),
        source="edgevit; the model card lies beside the file",
        labels=labels,
        start=start,
    )


def imagenet(
    file: str,
    url: str,
    preprocess: Preprocess,
    top1: float,
    source: str,
    license: str,
    timm_tag: str | None = None,
) -> WeightsSpec:
    """Describe a published file for ImageNet-1k, named for the side of its input.

    A name such as NAME-a1311bcf.pth states the beginning of the file's SHA-256, by the convention of torch.hub.
    """
    name = f"imagenet_r{preprocess.size[0]}"
    stated = re.search(r"-([0-9a-f]{8,64})\.pth$", file)
    return WeightsSpec(
        *(name, file, url, license, "ImageNet-1k", 1000, preprocess, top1, source, IMAGENET_1K),
        sha256=stated[1] if stated else None,
        timm_tag=timm_tag,
    )
