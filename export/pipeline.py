"""The whole way from a model's name to a checked artifact."""

import contextlib
import functools
import importlib.metadata
import logging
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import nn

import edgevit
from edgevit.artifact.manifest import Manifest, Parity, Precision, Preprocess, Weights
from edgevit.errors import OptionError
from edgevit.export.data.choose import choose_images, require_images
from edgevit.export.extras import import_module
from edgevit.export.frigate import making_folder, write_labels
from edgevit.export.latency import median_latencies_ms
from edgevit.export.recipe import SUFFIXES, Format, Recipe
from edgevit.export.report.measure import measure
from edgevit.export.report.page import write_report
from edgevit.export.report.place import check_report_path
from edgevit.export.result import ConvertedModel, ExportResult
from edgevit.export.stage import ConversionJob
from edgevit.export.tasks.answers import Answers
from edgevit.export.tasks.rules import rules_of
from edgevit.export.verify import check, fitting_answers, remedy_of, run_torch
from edgevit.export.write import check_writable
from edgevit.models.layers import make_export_changes
from edgevit.models.weights.load import shapes
from edgevit.models.weights.resolve import ResolvedWeights, build_with_weights, resolve_weights
from edgevit.models.zoo.registry import check_input_size, get_spec, size_note
from edgevit.models.zoo.spec import ModelSpec
from edgevit.runtime.labels import numbered_labels, read_labels
from edgevit.runtime.progress import Track
from edgevit.runtime.selftest import check_selftest, record_selftest
from edgevit.system.files import replacing_output

log = logging.getLogger(__name__)

STAGES: dict[Format, str] = {"onnx": "edgevit.export.onnx.stage", "tflite": "edgevit.export.tflite.stage"}
"""Format to the module whose `make(job)` returns a ConvertedModel; imported only when asked for."""

MAX_FILE_BYTES = 2**31
"""Largest file that ONNX's Protocol Buffers and TFLite's FlatBuffers can address."""


def export(
    recipe: Recipe,
    out: Path,
    track: Track = lambda items, label, count: items,
    page: Path | None = None,
    accept: Callable[[Path], None] = lambda path: None,
) -> ExportResult:
    """Build, load, convert, quantize and verify a model, and write it to `out` as one sealed file.

    Args:
        recipe: what to export.
        out: path of the file, or of the folder for a layout; an older file is replaced only when everything succeeded.
        track: wraps the loops over images, for a progress display.
        page: path of an HTML report to write beside it.
        accept: looks at the finished file before it takes its place; what it raises leaves the place as it was.

    Raises:
        EdgevitError: of a kind that says what is wrong; GateError if the result does not agree with PyTorch.
    """
    rules_of(get_spec(recipe.model)).check(recipe)
    suffix = SUFFIXES[recipe.format]
    place = making_folder(out, suffix) if recipe.layout == "frigate" else contextlib.nullcontext(out)
    with place as file:
        check_writable(file, suffix)
        if page is not None:
            check_report_path(page, figures=True)
        return _export(recipe, file, track, page, accept)


def _export(
    recipe: Recipe, file: Path, track: Track, page: Path | None, accept: Callable[[Path], None]
) -> ExportResult:
    spec = get_spec(recipe.model)
    rules = rules_of(spec)
    stage = import_module(STAGES[recipe.format])
    _check_file_size(spec)
    require_images(recipe)
    weights = resolve_weights(spec, None if recipe.weights is None else str(recipe.weights))
    spec = spec.with_threshold(weights.threshold)
    preprocessing = _preprocess(recipe, spec, weights)
    model = build_with_weights(spec, weights, recipe.num_classes, preprocessing.size).eval()
    labels = _labels(recipe, spec, weights, model)
    form = rules.form(spec, preprocessing)
    fitting = fitting_answers(model, preprocessing.size)
    most = min(recipe.evaluation_images, rules.evaluation_images, fitting)
    recipe = replace(recipe, evaluation_images=most)
    images = choose_images(
        *(recipe, weights, model, preprocessing, labels), judging=page is not None, form=form, track=track
    )

    images = replace(images, verification=images.verification.part(slice(fitting)))
    verified = images.verification
    reference = run_torch(model, track(verified.inputs(preprocessing), "PyTorch's answers", len(verified.images)))
    parities: list[Parity] = []

    @functools.cache
    def rounding_noise() -> float:
        # built anew, as the model itself has been changed by then
        exact = build_with_weights(spec, weights, recipe.num_classes, preprocessing.size).eval().double()
        return float(np.abs(run_torch(exact, verified.inputs(preprocessing)) - reference).max())

    def verify(step: str, answers: Answers, precision: Precision = "fp32", *, judged: bool = False) -> None:
        parity = replace(form.compare(step, reference, answers), source=verified.origin)
        remedy = remedy_of(step, recipe, labelled=images.evaluation.truth is not None, judged=judged)
        check(
            *(form, parity, precision, reference),
            trained=weights.trained,
            judged=judged,
            noise=rounding_noise,
            remedy=remedy,
        )
        parities.append(parity)
        log.info(
            "%s: %s within %.2g of PyTorch's, %.1f %% the same answer",
            *(step, form.numbers, parity.max_abs, 100 * parity.top1_agreement),
        )

    for change in make_export_changes(model):
        verify(change, run_torch(model, verified.inputs(preprocessing)))
    made = stage.make(
        ConversionJob(
            *(recipe, spec.family.name, model, preprocessing, labels, form, spec.family.boxes, images, verify, track)
        )
    )

    manifest = Manifest(
        model=spec.name,
        task=spec.task,
        input=made.input,
        preprocess=preprocessing,
        labels=labels,
        weights=Weights(
            weights.source, weights.sha256, weights.license, weights.trained, weights.note, weights.held_out
        ),
        precision=recipe.precision,
        target=recipe.board.name if recipe.board else recipe.target,
        tools=_tools(made.packages),
        parity=tuple(parities),
        quantization=made.quantization,
        pixels=rules.pixels(spec, labels, recipe.argmax),
        boxes=made.boxes,
        notes=tuple(
            note
            for note in (
                *made.notes,
                size_note(spec, preprocessing.size, weights.preprocess.size),
                _labels_note(recipe, spec, weights, labels),
            )
            if note
        ),
    )
    with replacing_output(file) as temporary:
        manifest = _write_checked(made, manifest, temporary)
        accept(temporary)
        size = temporary.stat().st_size
    if recipe.layout == "frigate":
        write_labels(file.parent, labels)
    latencies = None
    if made.quantization is not None:
        plain, exported = median_latencies_ms([made.comparison.float_model, made.content], SUFFIXES[recipe.format])
        latencies = plain, exported
    result = ExportResult(file, manifest, size / 1e6, len(made.comparison.float_model) / 1e6, latencies, made.outcome)
    if page is not None:
        # the images that decided on a budget, else the verified ones
        shown = images.evaluation if images.evaluation.images else verified
        write_report(measure(result, made.comparison, shown, shown.truth, track), page)
    return result


def _check_file_size(spec: ModelSpec) -> None:
    """Refuse a model that no file can hold: ONNX and TFLite address less than 2 GiB, and all start as float32."""
    size = 4 * sum(math.prod(shape) for shape in shapes(spec.name).values())
    if size >= MAX_FILE_BYTES:
        raise OptionError(
            f"{spec.name} takes {size / 1e9:.1f} GB in float32, and a model file can hold at most "
            f"{MAX_FILE_BYTES / 1e9:.1f} GB; choose a smaller model"
        )


def _preprocess(recipe: Recipe, spec: ModelSpec, weights: ResolvedWeights) -> Preprocess:
    preprocessing = weights.preprocess
    if recipe.input_size is not None:
        preprocessing = replace(preprocessing, size=recipe.input_size)
    if recipe.levels is not None:
        preprocessing = replace(preprocessing, levels=recipe.levels)
    check_input_size(spec, preprocessing.size)
    return preprocessing


def _labels(recipe: Recipe, spec: ModelSpec, weights: ResolvedWeights, model: nn.Module) -> tuple[str, ...]:
    classes = model.state_dict()[spec.family.head].shape[0] // spec.family.anchors
    if recipe.labels is None:
        known = (names for names in (weights.labels, spec.labels) if len(names) == classes)
        return next(known, numbered_labels(classes))
    labels = read_labels(recipe.labels)
    if len(labels) != classes:
        raise OptionError(f"--labels {recipe.labels} has {len(labels)} names, but the model has {classes} classes")
    return labels


def _labels_note(recipe: Recipe, spec: ModelSpec, weights: ResolvedWeights, labels: tuple[str, ...]) -> str | None:
    """Return that names were taken by the number of classes alone; None where something better tells them."""
    if recipe.labels is not None or weights.labels == labels or labels != spec.labels or not weights.trained:
        return None
    return f"labels are {spec.dataset}'s, since the weights have as many classes; --labels FILE gives others"


def _write_checked(made: ConvertedModel, manifest: Manifest, path: Path) -> Manifest:
    """Write the artifact with its self-test recorded, and run that test on the finished file."""
    path.write_bytes(made.content)
    manifest = replace(manifest, selftest=record_selftest(path, manifest))
    path.write_bytes(made.seal(made.content, manifest))
    check_selftest(path)
    return manifest


def _tools(packages: tuple[str, ...]) -> dict[str, str]:
    return {"edgevit": edgevit.__version__, **{name: importlib.metadata.version(name) for name in packages}}
