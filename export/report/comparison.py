"""The float model and what was exported of it, side by side, whatever the file format."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import Preprocess
from edgevit.export.data.images import ImageSet
from edgevit.export.layers import Layer
from edgevit.export.verify import run_file
from edgevit.runtime.evaluation.metrics import power_table, sqnr_db
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
    kept_because: str = "kept float by the preset of the family"
    """Why a layer is float that neither the budget nor its operator keeps."""

    def sensitivity(
        self,
        images: ImageSet,
        preprocessing: Preprocess,
        batch: int = 1,
        track: Track = lambda items, label, count: items,
    ) -> Mapping[str, float | None]:
        """Return the logits' signal-to-quantization-noise ratio in dB when one layer alone is int8, for each layer.

        A low one means that the layer needs float. None: there is no noise.
        """
        only_int8 = self.only_int8
        if only_int8 is None:
            return {}
        names = [layer.name for layer in self.layers if layer.weight is not None and layer.operator in self.operators]
        reference = run_file(self.float_model, self.suffix, images, preprocessing, batch)

        def alone(name: str) -> float | None:
            found = run_file(only_int8(name), self.suffix, images, preprocessing, batch)
            return sqnr_db(power_table(reference, found))

        return {name: alone(name) for name in track(names, "sensitivity of each layer", len(names))}
