"""Calibrated ranges, from the cache where the same model has seen the same images."""

from collections.abc import Callable

from edgevit.artifact.manifest import Preprocess
from edgevit.export.cache import cached, content_key
from edgevit.export.data.images import ImageSet
from edgevit.export.quantization.calibrate import Batches, Ranges
from edgevit.runtime.progress import Track


def cached_ranges(
    model: bytes,
    source: ImageSet,
    preprocessing: Preprocess,
    batch: int,
    method: str,
    track: Track,
    calibrate: Callable[[Batches], Ranges],
) -> Ranges:
    """Return what `calibrate` says, which depends on nothing but the other arguments.

    Args:
        model: the float model, in its file format.
        source: the calibration images.
        preprocessing: what is left to do before the model.
        batch: images at a time.
        method: how values become ranges.
        track: wraps the loop over images, for a progress display.
        calibrate: takes the model's inputs (B, 3, H, W), once or several times, and returns the ranges.
    """
    count = -(-len(source.images) // batch)

    def compute() -> dict[str, tuple[float, float]]:
        return dict(calibrate(lambda: track(source.inputs(preprocessing, batch), "calibration", count)))

    key = content_key(model, source.digest(preprocessing), str(batch), method)
    return {name: (low, high) for name, (low, high) in cached("ranges", key, compute).items()}
