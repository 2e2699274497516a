"""What a file format's stage is given and what it makes: a prepared model in, the content of a file out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edgevit.artifact.manifest import Input, Manifest, Precision, Preprocess, Quantization
from edgevit.export.data.images import ExportImages
from edgevit.export.quantization.search import Outcome
from edgevit.export.recipe import Recipe
from edgevit.export.report.facts import ExportFacts
from edgevit.runtime.progress import Track


class Verify(Protocol):
    """Compare one step's logits (images, classes) with PyTorch's and note how far they are; GateError if too far."""

    def __call__(self, step: str, logits: NDArray[np.float32], precision: Precision = "fp32") -> None: ...


@dataclass(frozen=True)
class ConversionJob:
    """A model that is ready to become a file."""

    recipe: Recipe
    family: str
    model: nn.Module
    """In eval mode, prepared by `edgevit.models.layers.prepare_for_export`."""
    preprocessing: Preprocess
    labels: tuple[str, ...]
    images: ExportImages
    verify: Verify
    track: Track

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of the input, (batch, 3, height, width)."""
        return (self.recipe.batch, 3, *self.preprocessing.size)


@dataclass(frozen=True)
class Written:
    """A finished file, as its report needs it."""

    path: Path
    manifest: Manifest
    size_mb: float
    latencies_ms: tuple[float, float] | None


@dataclass(frozen=True)
class ConvertedModel:
    """A model in its file format, verified, but still without its document."""

    content: bytes
    seal: Callable[[Manifest], bytes]
    """Content, document and seal."""
    input: Input
    float_size_mb: float
    packages: tuple[str, ...]
    """Names of the packages that made it."""
    quantization: Quantization | None = None
    outcome: Outcome | None = None
    latencies_ms: Callable[[], tuple[float, float]] | None = None
    """Measures the latencies of float and of this model on this machine, one thread."""
    facts: Callable[[Written], ExportFacts] | None = None
    """What a report page shows; None where the format has none."""
    notes: tuple[str, ...] = ()
    """What a user should know."""
