"""The float model and what was exported of it, side by side, whatever the file format."""

import contextlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import Preprocess
from edgevit.export.data.images import ImageSet
from edgevit.export.layers import Layer
from edgevit.runtime.backends.session import open_session
from edgevit.runtime.evaluation.metrics import power_table, sqnr_db
from edgevit.runtime.progress import Track

Answers = NDArray[np.float32]
"""(images, classes), or (images, classes, height, width)."""


@dataclass(frozen=True)
class SideBySide:
    """Two models of one file format that take the same inputs."""

    suffix: str
    """Suffix of the format's files."""
    float_model: bytes
    model: bytes
    """What was exported, or the same before its answers were turned into something other than logits."""
    layers: tuple[Layer, ...]
    """Layers of the float model, in its order."""
    operators: tuple[str, ...]
    """Operators of the layers that int8 exists for."""
    noise: Callable[[Sequence[NDArray[np.float32]]], Mapping[str, float | None]]
    """Inputs (B, 3, H, W) to the signal-to-quantization-noise ratio in dB of each layer's output, by its name."""
    only_int8: Callable[[str], bytes] | None = None
    """A layer's name to the model in which it alone is int8; None where each layer's sensitivity is not asked for."""
    kept_because: str = "kept float by the preset of the family"
    """Why a layer is float that neither the budget nor its operator keeps."""

    def answers(
        self,
        model: bytes,
        images: ImageSet,
        preprocessing: Preprocess,
        batch: int = 1,
        track: Track = lambda items, label, count: items,
    ) -> Answers:
        """Return what a model of this format answers to each image."""
        with tempfile.TemporaryDirectory() as folder:
            path = (Path(folder) / "model").with_suffix(self.suffix)
            path.write_bytes(model)
            with contextlib.closing(open_session(path, rank=None)) as session:
                inputs = track(
                    images.inputs(preprocessing, batch), "answers for the report", -(-len(images.images) // batch)
                )
                return np.concatenate([session.run(one) for one in inputs])[: len(images.images)]

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
        reference = self.answers(self.float_model, images, preprocessing, batch)

        def alone(name: str) -> float | None:
            return sqnr_db(power_table(reference, self.answers(only_int8(name), images, preprocessing, batch)))

        return {name: alone(name) for name in track(names, "sensitivity of each layer", len(names))}
