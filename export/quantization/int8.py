"""The int8 step of an export, in any file format: calibrate, choose what stays float, quantize, account for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edgevit.artifact.manifest import Calibration, Preprocess, Quantization
from edgevit.export.cache import cached, content_key
from edgevit.export.data.images import ImageSet
from edgevit.export.layers import int8_share
from edgevit.export.quantization.calibrate import Batches, Ranges
from edgevit.export.quantization.search import Outcome, Quantizer, evaluator_of, layers_of, search
from edgevit.export.recipe import Method
from edgevit.export.stage import ConversionJob
from edgevit.export.verify import run_file
from edgevit.runtime.progress import Track

RANGES = "2"
"""Version of which tensors' ranges are found; part of the keys of cached ones."""
FLOAT_BLOCKS: Mapping[str, tuple[str, ...]] = {"efficientvit_seg": ("backbone.stages.1.op_list.0",)}
"""Family to blocks that stay float in any format.

With the published Cityscapes weights of b0 half of its channels stay below 7, and one reaches 180. It is a twentieth of
the arithmetic; on street photographs of 256x512 int8 changes 59 % of the pixels with it, 8 % without.
"""
Calibrate = Callable[[Batches, Method], Ranges]
"""Takes a float model's inputs, once or several times, and returns the ranges of its activations."""


@dataclass(frozen=True)
class Int8:
    """An int8 model and how it came about."""

    content: bytes
    quantization: Quantization
    outcome: Outcome | None
    """What the search for --max-drop found; None without one."""
    quantizer: Quantizer
    ranges: Ranges
    """What calibration saw."""

    @property
    def judged(self) -> bool:
        """Whether what is known to be on pictures has shown that it keeps to --max-drop."""
        return self.outcome is not None and self.outcome.met and self.outcome.labelled


def make_int8(
    job: ConversionJob,
    model: bytes,
    preprocessing: Preprocess,
    calibrate: Calibrate,
    quantizer_of: Callable[[Ranges], Quantizer],
) -> Int8:
    """Return the int8 form of a float model, as the recipe asks.

    Args:
        job: what is exported.
        model: the float model, as a file's content.
        preprocessing: what is left to do before it.
        calibrate: finds its ranges.
        quantizer_of: makes int8 models of it by its ranges.
    """
    recipe, source = job.recipe, job.images.calibration
    assert source is not None
    ranges = _cached_ranges(model, source, preprocessing, recipe.batch, recipe.calibration_method, job.track, calibrate)
    quantizer = quantizer_of(ranges)
    kept = quantizer.kept | layers_of(quantizer.layers, FLOAT_BLOCKS.get(job.family, ()))
    outcome = None
    if recipe.max_drop is not None:
        images = job.images.evaluation
        reference = run_file(model, quantizer.suffix, images, preprocessing)
        evaluator = evaluator_of(images, preprocessing, reference, job.form)
        outcome = search(quantizer, kept, evaluator, recipe.max_drop, job.track)
        kept |= layers_of(quantizer.layers, outcome.chosen.float_blocks)
    content = quantizer.make(kept)
    floated = quantizer.float_layers(content)
    calibration = Calibration(source.source, len(source.images), recipe.calibration_method, recipe.seed, source.skipped)
    share = int8_share(quantizer.layers, floated)
    return Int8(content, Quantization(quantizer.scheme, share, floated, calibration), outcome, quantizer, ranges)


def _cached_ranges(
    model: bytes,
    source: ImageSet,
    preprocessing: Preprocess,
    batch: int,
    method: Method,
    track: Track,
    calibrate: Calibrate,
) -> Ranges:
    """Return what `calibrate` says, from the cache where the same model has seen the same images."""
    count = -(-len(source.images) // batch)

    def compute() -> dict[str, tuple[float, float]]:
        return dict(calibrate(lambda: track(source.inputs(preprocessing, batch), "calibration", count), method))

    key = content_key(model, source.digest(preprocessing), str(batch), method, RANGES)
    return {name: (low, high) for name, (low, high) in cached("ranges", key, compute).items()}
