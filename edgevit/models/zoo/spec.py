"""What is known about a model, and about a file of weights, without building or reading either."""

from dataclasses import dataclass, replace
from typing import Literal

from edgevit.artifact.manifest import BoxOutput, Preprocess
from edgevit.models.zoo.datasets import IMAGENET_1K

Task = Literal["classify", "segment", "detect"]
""""classify": logits (B, classes). "segment": logits (B, classes, H / 8, W / 8). "detect": raw boxes, objectness (where
there is one) and classes for each of N places: (B, N, 4), (B, N, 1), (B, N, classes)."""


@dataclass(frozen=True)
class Family:
    """Models that differ in width and depth only."""

    name: str
    paper: str
    reference: str
    """The official repository, whose state-dict names are used here."""
    reference_license: str
    """Licence of the official code; edgevit's own code is Apache-2.0 throughout."""
    module: str
    """Needs torch; also has `canonical_keys(state)`, which brings all known names to the official ones."""
    build: str
    """Function there: (variant, num_classes, **options) to the model."""
    head: str
    """State-dict key of the classifier's weight, (classes, features), or (classes, features, k, k) of a convolution."""
    fixed_grid: bool = False
    """Whether weights belong to one input size, so that another size needs them cropped or resized."""
    resized: str = ""
    """What of the weights, made for the default input size, is scaled to another one; empty for nothing."""
    size_step: int = 32
    """Both sides of an input must be multiples of it."""
    built_for_size: bool = False
    """Whether `build` takes `size`, (height, width): which weights there are depends on it."""
    optional: tuple[str, ...] = ()
    """Parts of the names of weights that a model built for another size may not have, and does without."""
    task: Task = "classify"
    backbone: tuple[str, ...] = ()
    """Beginnings of the names of the weights that models for other tasks have too; empty where there are none."""
    more_heads: tuple[str, ...] = ()
    """Keys of the weights of further classifiers, of detectors' other levels."""
    anchors: int = 1
    """Answers for each place: the classifier's weight has anchors * classes rows."""
    boxes: BoxOutput | None = None
    """What a detector's answers mean; None for other tasks."""

    @property
    def class_layers(self) -> tuple[str, ...]:
        """Names of the layers whose shape depends on the number of classes, such as "head"."""
        return tuple(key.rpartition(".")[0] for key in (self.head, *self.more_heads))

    def in_head(self, key: str) -> bool:
        """Return whether a state-dict key is one of `class_layers`."""
        return key.rpartition(".")[0] in self.class_layers


@dataclass(frozen=True)
class WeightsSpec:
    """One file of trained weights for one model."""

    name: str
    """What --weights calls it."""
    file: str
    """File name in the download cache, or in the package's own weights folder."""
    url: str | None
    """None: the file is part of the package."""
    license: str
    dataset: str
    num_classes: int
    preprocess: Preprocess
    top1: float | None
    """Published top-1 accuracy at `preprocess.size`, in percent; None: see the model card."""
    source: str
    """Who publishes the file and the accuracy."""
    labels: tuple[str, ...] = ()
    """Empty: the class names do not come with the weights; --labels gives them."""
    sha256: str | None = None
    """SHA-256 of the file, or its beginning, as the publisher states it; None: the first download's is remembered."""
    miou: float | None = None
    """Published mean intersection over union at `preprocess.size`, in percent; None for other tasks."""
    ap: float | None = None
    """Published average precision (COCO's, over IoU .50 to .95) at `preprocess.size`, in percent; None for others."""
    start: bool = False
    """Whether they are meant to be trained on: no images to calibrate int8 with come along."""
    timm_tag: str | None = None
    """What timm calls these weights, behind the dot of a model's name; None where timm has no such."""

    @property
    def bundled(self) -> bool:
        return self.url is None

    @property
    def brings_images(self) -> bool:
        """Whether images to calibrate int8 with are part of the package."""
        return self.bundled and not self.start

    @property
    def note(self) -> str:
        """What the classes are, said plainly where most people would expect ImageNet's, or of a detector COCO's."""
        usual = "COCO" if self.preprocess.crop_mode == "letterbox" else "ImageNet"
        other = "" if self.dataset in ("ImageNet-1k", "COCO") else f", not {usual}"
        return f"{self.num_classes:,} classes, {self.dataset}{other}"


@dataclass(frozen=True)
class ModelSpec:
    """One model that can be built, trained and exported."""

    name: str
    family: Family
    variant: str
    parameters: int
    """With `num_classes` classes."""
    macs: int
    """Multiply-accumulates in convolutions, linear layers and matrix products, for `num_classes` and one input."""
    preprocess: Preprocess
    """The default input size and how images become that input."""
    accuracy: float | None
    """Published at the default input size, in percent: ImageNet-1k top-1 accuracy, or the data set's mean IoU
    or average precision."""
    source: str
    """Who publishes `accuracy`."""
    weights: tuple[WeightsSpec, ...] = ()
    """The first is the default."""
    num_classes: int = 1000
    dataset: str = "ImageNet-1k"
    labels: tuple[str, ...] = IMAGENET_1K
    """Names of the classes that it is published with, `num_classes` of them."""
    palette: tuple[tuple[int, int, int], ...] = ()
    """RGB of each of `labels`; empty but for segmentation."""
    plain: str = ""
    """Name of the model that a hallucinated model is made from, whose weights it can start from; empty for others."""
    backbone: str = ""
    """Name of the classifier whose backbone it has, so that `--init` takes that one's weights by name too."""
    remark: str = ""
    """A word, a colon, and what a user should know before taking it; the word stands in the list of models, too."""

    @property
    def task(self) -> Task:
        return self.family.task

    def with_threshold(self, threshold: float | None) -> "ModelSpec":
        """Return the same model, whose boxes are told from another score, 0..1, on; None changes nothing."""
        boxes = self.family.boxes
        if boxes is None or threshold is None:
            return self
        return replace(self, family=replace(self.family, boxes=replace(boxes, threshold=threshold)))
