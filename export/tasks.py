"""What an export does differently for each task."""

from collections.abc import Callable
from dataclasses import dataclass

from edgevit.artifact import Pixels
from edgevit.errors import OptionError
from edgevit.export.recipe import Recipe
from edgevit.models.scenes import spread_palette
from edgevit.models.spec import ModelSpec
from edgevit.models.spec import Task as TaskName

SEG_STRIDE = 8


@dataclass(frozen=True)
class TaskRules:
    """One task."""

    check: Callable[[Recipe, bool], None]
    """Raise OptionError where the recipe, or the wish for a report page, does not fit the task."""
    pixels: Callable[[ModelSpec, tuple[str, ...], bool], Pixels | None]
    """What the model's answer means, by its labels and by whether it is class numbers; None for whole images."""
    evaluation_images: int
    """The most images that decide on --max-drop: their answers are held in memory."""


def rules_of(spec: ModelSpec) -> TaskRules:
    """Return the rules for a model's task."""
    return RULES[spec.task]


def _check_classify(recipe: Recipe, report: bool) -> None:
    if recipe.argmax:
        raise OptionError(f"--argmax is for segmentation models; {recipe.model} classifies: leave it out")


def _check_segment(recipe: Recipe, report: bool) -> None:
    if recipe.format != "onnx":
        raise OptionError(f"{recipe.model} can be exported to ONNX only so far; give --format onnx")
    if report:
        raise OptionError(f"--report exists for classifiers only so far; leave it out for {recipe.model}")


def _segment_pixels(spec: ModelSpec, labels: tuple[str, ...], classes_in_graph: bool) -> Pixels:
    palette = spec.palette if len(spec.palette) == len(labels) else spread_palette(len(labels))
    return Pixels(SEG_STRIDE, palette, classes_in_graph)


RULES: dict[TaskName, TaskRules] = {
    "classify": TaskRules(_check_classify, lambda spec, labels, numbers: None, 100_000),
    "segment": TaskRules(_check_segment, _segment_pixels, 64),
}
