"""What is known about a model, and about a file of weights, without building or reading either."""

from dataclasses import dataclass

from edgevit.artifact import Preprocess


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
    """State-dict key of the classifier's weight, (classes, features)."""
    fixed_grid: bool = False
    """Whether weights belong to one input size, so that another size needs them cropped or resized."""


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
    """None: not known here; recorded at the first download and checked from then on."""

    @property
    def bundled(self) -> bool:
        return self.url is None

    @property
    def note(self) -> str:
        """What the classes are, said plainly where most people would expect ImageNet's."""
        other = "" if self.dataset == "ImageNet-1k" else ", not ImageNet"
        return f"{self.num_classes:,} classes, {self.dataset}{other}"


@dataclass(frozen=True)
class ModelSpec:
    """One model that can be built, trained and exported."""

    name: str
    family: Family
    variant: str
    parameters: int
    """With 1,000 classes."""
    macs: int
    """Multiply-accumulates in convolutions, linear layers and matrix products; 1,000 classes, one default input."""
    preprocess: Preprocess
    """The default input size and how images become that input."""
    top1: float
    """Published ImageNet-1k top-1 accuracy at the default input size, in percent."""
    source: str
    """Who publishes `top1`."""
    weights: tuple[WeightsSpec, ...] = ()
    """The first is the default."""
