"""A finished export to the facts of its report: run the float and the exported model side by side on images."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import Manifest
from edgevit.export.data.images import ImageSet
from edgevit.export.layers import Layer
from edgevit.export.quantization.search import Outcome
from edgevit.export.report.changed_boxes import box_facts
from edgevit.export.report.facts import FlippedImage, LayerFacts, ReportData, Score, SearchPoint
from edgevit.export.report.masks import mask_facts
from edgevit.export.report.thumbnails import THUMBNAILS, thumbnail
from edgevit.export.result import Comparison, ExportResult
from edgevit.export.tasks.answers import AnswerForm, Answers
from edgevit.export.tasks.boxes import BoxForm, MarkedBoxes
from edgevit.export.tasks.ground_truth import GroundTruth, Labels, Masks
from edgevit.export.verify import run_file
from edgevit.runtime.evaluation.metrics import sqnr_db
from edgevit.runtime.evaluation.report import Flip
from edgevit.runtime.images.preprocess import fit
from edgevit.runtime.images.read import read_image
from edgevit.runtime.postprocess import softmax
from edgevit.runtime.progress import Track

LAYER_IMAGES = 16
"""Images that layers are measured on."""


def measure(
    result: ExportResult,
    models: Comparison,
    images: ImageSet,
    truth: GroundTruth | None = None,
    track: Track = lambda items, label, count: items,
) -> ReportData:
    """Measure what a report says beyond what the export already knows.

    Args:
        result: the finished export, whose search tells the sensitivities of blocks where there are none of layers.
        models: the float model and what was exported, int8 or not.
        images: to compare both on, if possible other ones than those it was calibrated with.
        truth: what is really on the images; None where it is not known.
        track: wraps the loops, for a progress display.
    """
    manifest, outcome = result.manifest, result.outcome
    preprocessing, batch = manifest.host_preprocess, manifest.input.shape[0]
    reference, found = (
        run_file(model, models.suffix, images, preprocessing, batch, track)
        for model in (models.float_model, models.model)
    )
    score = _score(models.form, reference, found, truth, images.origin)
    masks, boxes, flips = None, None, []
    if isinstance(models.form, BoxForm):
        marked = truth if isinstance(truth, MarkedBoxes) else None
        boxes = box_facts(models.form, reference, found, marked, images, manifest)
    elif manifest.pixels is None:
        flips = list(_flips(reference, found, truth.labels if isinstance(truth, Labels) else None, images, manifest))
    else:
        masks = mask_facts(reference, found, truth if isinstance(truth, Masks) else None, images, manifest)
    flips.sort(key=lambda pair: -pair[1].after_conf)
    return ReportData(
        result=result,
        score=score,
        points=_points(manifest, score, outcome),
        layers=_layer_facts(manifest, models, images, outcome, track),
        flips=changed.changed_images if (changed := masks or boxes) else len(flips),
        flipped=tuple(
            FlippedImage(flip, thumbnail(fit(read_image(images.images[i], levels=preprocessing.levels), preprocessing)))
            for i, flip in flips[:THUMBNAILS]
        ),
        masks=masks,
        boxes=boxes,
    )


def _layer_facts(
    manifest: Manifest, models: Comparison, images: ImageSet, outcome: Outcome | None, track: Track
) -> tuple[LayerFacts, ...]:
    every = models.layers
    floated = {layer.name for layer in every}
    sqnr: Mapping[str, float | None] = {}
    sensitivity: Mapping[str, float | None] = {}
    if manifest.quantization is not None:
        preprocessing, batch = manifest.host_preprocess, manifest.input.shape[0]
        floated = set(manifest.quantization.float_layers)
        few = images.part(slice(LAYER_IMAGES))
        sqnr = models.noise(list(few.inputs(preprocessing, batch)))
        sensitivity = models.sensitivity(few, preprocessing, batch, track)
        if not sensitivity and outcome is not None:
            sensitivity = {layer.name: outcome.sensitivity.get(layer.block) for layer in every if layer.weight}
    return tuple(
        LayerFacts(
            name=_checkpoint_name(layer),
            block=layer.block,
            operator=layer.operator,
            macs=layer.macs,
            int8=layer.name not in floated,
            reason=_reason(layer, manifest, models, outcome),
            sqnr_db=sqnr.get(layer.name),
            sensitivity_db=sensitivity.get(layer.name),
        )
        for layer in every
    )


def _checkpoint_name(layer: Layer) -> str:
    """Return the name of the layer's weights, or of its node where the exporter has made up a name for them."""
    weight = layer.weight or ""
    return weight.removesuffix(".weight") if "." in weight else layer.name


def _score(form: AnswerForm, reference: Answers, found: Answers, truth: GroundTruth | None, origin: str) -> Score:
    truth = truth or form.agreement(reference)
    return Score(
        measure=truth.measure,
        float32=truth.score(reference),
        exported=truth.score(found),
        images=len(reference),
        source=origin,
        logit_sqnr_db=sqnr_db(form.powers(reference, found)),
    )


def _points(manifest: Manifest, score: Score, outcome: Outcome | None) -> tuple[SearchPoint, ...]:
    """Return the search's trials on its own scale, or where there was none float32 and what was exported."""
    share = manifest.quantization.int8_mac_share if manifest.quantization else 0.0
    whole = SearchPoint("float32", 0.0, score.float32, chosen=manifest.quantization is None)
    if outcome is None:
        ends = (whole, SearchPoint("this file", share, score.exported, chosen=True))
        return ends if manifest.quantization else ends[:1]
    trials = (
        SearchPoint(
            _count_float(len(trial.float_blocks)),
            trial.int8_share,
            score.float32 - trial.drop / 100,
            chosen=trial == outcome.chosen,
        )
        for trial in outcome.trials
    )
    return (whole, *trials)


def _count_float(blocks: int) -> str:
    return f"{blocks} block{'' if blocks == 1 else 's'} float" if blocks else "every block int8"


def _reason(layer: Layer, manifest: Manifest, models: Comparison, outcome: Outcome | None) -> str:
    """Say why a layer is float; nothing if it is int8."""
    if manifest.quantization is None:
        return f"{manifest.precision} was asked for"
    if layer.name not in manifest.quantization.float_layers:
        return ""
    if layer.weight is None:
        return "both factors are computed, as in attention"
    if layer.operator not in models.operators:
        return "has no int8 kernel"
    if outcome is not None and layer.block in outcome.chosen.float_blocks:
        return "given back to meet the accuracy budget"
    return models.kept_because


def _flips(
    reference: NDArray[np.float32],
    found: NDArray[np.float32],
    labels: NDArray[np.int64] | None,
    images: ImageSet,
    manifest: Manifest,
) -> Iterator[tuple[int, Flip]]:
    """Yield the images to which the exported model gives another answer, with their index."""
    before, after = softmax(reference), softmax(found)
    for i in np.flatnonzero(before.argmax(axis=1) != after.argmax(axis=1)):
        image = images.images[i]
        was, now = int(before[i].argmax()), int(after[i].argmax())
        yield (
            int(i),
            Flip(
                source=str(image) if isinstance(image, Path) else f"{images.source} image {i}",
                label=None if labels is None else manifest.labels[labels[i]],
                before=manifest.labels[was],
                before_conf=float(before[i, was]),
                after=manifest.labels[now],
                after_conf=float(after[i, now]),
            ),
        )
