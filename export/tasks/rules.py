"""What an export does differently for each task."""

from collections.abc import Callable
from dataclasses import dataclass

from edgevit.artifact.manifest import MaskOutput, Preprocess
from edgevit.errors import OptionError
from edgevit.export.recipe import Recipe
from edgevit.export.tasks.answers import CLASSES, PIXELS, AnswerForm
from edgevit.export.tasks.boxes import BoxForm
from edgevit.models.zoo.spec import ModelSpec
from edgevit.models.zoo.spec import Task as TaskName
from edgevit.runtime.datasets.folder import Layout
from edgevit.runtime.images.palette import spread_palette

SEG_STRIDE = 8


@dataclass(frozen=True)
class TaskRules:
    """One task."""

    check: Callable[[Recipe], None]
    """Raise OptionError where the recipe does not fit the task."""
    pixels: Callable[[ModelSpec, tuple[str, ...], bool], MaskOutput | None]
    """What the model's answer means, by its labels and by whether it is class numbers; None for whole images."""
    form: Callable[[ModelSpec, Preprocess], AnswerForm]
    """What the model's answers mean where two of them are compared, by its preprocessing."""
    layout: Layout
    """What --data says of its pictures."""
    evaluation_images: int
    """The most images that decide on --max-drop: their answers are held in memory."""


def rules_of(spec: ModelSpec) -> TaskRules:
    """Return the rules for a model's task."""
    return RULES[spec.task]


def _no_masks(spec: ModelSpec, labels: tuple[str, ...], classes_in_graph: bool) -> None:
    return None


def _check_classify(recipe: Recipe) -> None:
    _refuse(recipe, "classifies", "argmax", "nms")


def _check_segment(recipe: Recipe) -> None:
    _refuse(recipe, "segments", "nms")
    if recipe.layout != "file":
        raise OptionError(
            f"--layout {recipe.layout!r} is for classifiers and detectors; {recipe.model} segments: leave it out"
        )


def _check_detect(recipe: Recipe) -> None:
    _refuse(recipe, "detects", "argmax")
    if recipe.nms and (recipe.format != "onnx" or recipe.batch != 1):
        raise OptionError(
            "--nms is for ONNX and one picture at a time, as TFLite has no such operator; leave it out: "
            "edgevit run does the same outside the graph"
        )


FOR = {"argmax": "segmentation models", "nms": "detectors"}
"""Option that changes a graph's answers, to what models it is for."""


def _refuse(recipe: Recipe, does: str, *names: str) -> None:
    """Raise OptionError for a flag that is for another task."""
    for name in names:
        if getattr(recipe, name):
            raise OptionError(f"--{name} is for {FOR[name]}; {recipe.model} {does}: leave it out")


def _box_form(spec: ModelSpec, preprocessing: Preprocess) -> AnswerForm:
    assert spec.family.boxes is not None
    return BoxForm(spec.family.boxes, preprocessing)


def _segment_pixels(spec: ModelSpec, labels: tuple[str, ...], classes_in_graph: bool) -> MaskOutput:
    palette = spec.palette if len(spec.palette) == len(labels) else spread_palette(len(labels))
    return MaskOutput(SEG_STRIDE, palette, classes_in_graph)


RULES: dict[TaskName, TaskRules] = {
    "classify": TaskRules(_check_classify, _no_masks, lambda spec, how: CLASSES, "classes", 100_000),
    "segment": TaskRules(_check_segment, _segment_pixels, lambda spec, how: PIXELS, "masks", 64),
    "detect": TaskRules(_check_detect, _no_masks, _box_form, "boxes", 256),
}
