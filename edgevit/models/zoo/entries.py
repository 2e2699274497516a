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
    return WeightsSpec(
        name="cifar10",
        file=f"{model}-cifar10.safetensors",
        url=None,
        license="Apache-2.0",
        dataset="CIFAR-10",
        num_classes=len(CIFAR10),
        preprocess=bicubic(224, 1.0),
        top1=None,
        source="edgevit; the model card lies beside the file",
        labels=CIFAR10,
    )


def pretrained(model: str, side: int) -> WeightsSpec:
    """Describe weights that are part of the package, a start for training."""
    return WeightsSpec(
        name="pretrained",
        file=f"{model}-pretrained.safetensors",
        url=None,
        license="Apache-2.0",
        dataset="Tiny-ImageNet",
        num_classes=len(TINY_IMAGENET),
        preprocess=bicubic(side, 1.0),
        top1=None,
        source="edgevit; the model card lies beside the file",
        labels=TINY_IMAGENET,
        start=True,
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
