"""What a file format's stage makes, the float model beside it, and what a whole export returns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import BoxOutput, Input, Manifest, Preprocess, Quantization
from edgevit.export.data.images import ImageSet
from edgevit.export.layers import Layer
from edgevit.export.quantization.search import Outcome
from edgevit.export.tasks.answers import CLASSES, AnswerForm
from edgevit.export.verify import run_file
from edgevit.runtime.evaluation.metrics import sqnr_db
from edgevit.runtime.progress import Track


@dataclass(frozen=True)
class Comparison:
    """Two models of one file format that take the same inputs."""

    suffix: str
    """Suffix of the format's files."""
    float_model: bytes
    model: bytes
    """What was exported, or the same before its answers were turned into something other than logits."""
    layers: tuple[Layer, ...]
    """Layers of the float model, in its order."""
    operators: tuple[str, ...]
    """Operators that int8 exists for."""
    noise: Callable[[Sequence[NDArray[np.float32]]], Mapping[str, float | None]]
    """Inputs (B, 3, H, W) to the signal-to-quantization-noise ratio in dB of each layer's output, by its name."""
    only_int8: Callable[[str], bytes] | None = None
    """A layer's name to the model in which it alone is int8; None where each layer's sensitivity is not asked for."""
    form: AnswerForm = CLASSES
    """What the answers mean."""
    kept_because: str = "kept float by the preset of the family"
    """Why a layer is float that neither the budget nor its operator keeps."""

    def sensitivity(
        self,
        images: ImageSet,
        preprocessing: Preprocess,
        batch: int = 1,
        track: Track = lambda items, label, count: items,
    ) -> Mapping[str, float | None]:
        """Return the answers' signal-to-quantization-noise ratio in dB when one layer alone is int8, for each layer.

        A low one means that the layer needs float. None: there is no noise.
        """
        only_int8 = self.only_int8
        if only_int8 is None:
            return {}
        names = [layer.name for layer in self.layers if layer.weight is not None and layer.operator in self.operators]
        reference = run_file(self.float_model, self.suffix, images, preprocessing, batch)

        def alone(name: str) -> float | None:
            found = run_file(only_int8(name), self.suffix, images, preprocessing, batch)
            return sqnr_db(self.form.powers(reference, found))

        return {name: alone(name) for name in track(names, "sensitivity of each layer", len(names))}


@dataclass(frozen=True)
class ConvertedModel:
    """A model in its file format, verified, but still without its document."""

    content: bytes
    seal: Callable[[bytes, Manifest], bytes]
    """From the content and its document to the finished file."""
    input: Input
    packages: tuple[str, ...]
    """Names of the packages that made it."""
    comparison: Comparison
    boxes: BoxOutput | None = None
    """What the file's answers mean; None where it finds no boxes."""
    quantization: Quantization | None = None
    outcome: Outcome | None = None
    notes: tuple[str, ...] = ()
    """What a user should know."""


@dataclass(frozen=True)
class ExportResult:
    """A finished export."""

    path: Path
    """The file that was written."""
    manifest: Manifest = field(repr=False)
    """The document inside the file."""
    size_mb: float
    """The file's size in megabytes."""
    float_size_mb: float
    """The size of the same model in plain float32."""
    latencies_ms: tuple[float, float] | None = None
    """Medians of float32 and of this file on this machine, one thread; None where nothing is int8."""
    outcome: Outcome | None = field(default=None, repr=False)
    """What the search for max_drop= found; None without one."""

    @property
    def speedup(self) -> float | None:
        """The latency of float32 over this file's; None if they were not measured."""
        return None if self.latencies_ms is None else self.latencies_ms[0] / self.latencies_ms[1]
