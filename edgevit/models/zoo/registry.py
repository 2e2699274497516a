"""Look up what is known about a model; needs no torch."""

from dataclasses import replace

from edgevit.errors import OptionError, UnknownModelError, UnknownNameError
from edgevit.models.zoo.nearest import nearest_model
from edgevit.models.zoo.spec import ModelSpec, Task, WeightsSpec
from edgevit.models.zoo.table import MODELS

IMAGENET = "imagenet"
"""What --weights calls the published weights for ImageNet-1k, whichever input size is the model's own."""

SIZE_STEP = 32
"""All models shrink their input 32 times, so no side may be less, and multiples of it suit every one of them."""


def list_models(task: Task | None = None) -> list[str]:
    """Return the names of all models, or of those for one task."""
    return [name for name, spec in MODELS.items() if task in (None, spec.task)]


def get_spec(name: str) -> ModelSpec:
    """Return what is known about a model.

    A name as timm writes it, such as "efficientvit_b1.r288_in1k" or "timm/efficientvit_b1.r288_in1k", is that of a
    model whose default weights are the ones behind the dot.

    Raises:
        UnknownModelError: no model has this name; the message gives the nearest.
        UnknownNameError: the model has no such weights.
    """
    stem, dot, tag = name.removeprefix("hf_hub:").removeprefix("hf-hub:").removeprefix("timm/").partition(".")
    if stem not in MODELS:
        raise UnknownModelError(name, nearest_model(stem, MODELS))
    spec = MODELS[stem]
    if not dot:
        return spec
    chosen = find_weights(spec, tag)
    if chosen is None:
        raise UnknownNameError(f"weights of {stem}", tag, [entry.name for entry in spec.weights])
    return replace(spec, weights=(chosen, *(entry for entry in spec.weights if entry is not chosen)))


def relatives(spec: ModelSpec) -> tuple[ModelSpec, ...]:
    """Return the model itself, then those whose weights its training can start from: the plain one, its backbone's."""
    return (spec, *(get_spec(name) for name in (spec.plain, spec.backbone) if name))


def find_weights(spec: ModelSpec, name: str) -> WeightsSpec | None:
    """Return a model's weights by name or by timm's tag; "imagenet" are the first for ImageNet-1k."""
    if name == IMAGENET:
        return next((entry for entry in spec.weights if entry.dataset == "ImageNet-1k"), None)
    return next((entry for entry in spec.weights if name in (entry.name, entry.timm_tag)), None)


def check_input_size(spec: ModelSpec, size: tuple[int, int]) -> None:
    """Refuse an input of (height, width) pixels that the model cannot take.

    Raises:
        OptionError: a side is less than SIZE_STEP or not a multiple of the family's step; the message gives the
            nearest that are possible.
    """
    step = spec.family.size_step
    for side in size:
        if side < SIZE_STEP or side % step:
            below = side // step * step
            near = f"{below} or {below + step}" if below >= SIZE_STEP else f"{SIZE_STEP}"
            rule = f"a multiple of {step}" if step > 1 else f"{SIZE_STEP} or more"
            raise OptionError(
                f"{spec.name} cannot take an input of {size[0]}x{size[1]} pixels: each side must be {rule}; "
                f"try --imgsz {near}"
            )


def size_note(spec: ModelSpec, size: tuple[int, int], trained: tuple[int, int]) -> str | None:
    """Return what a user should know about an input of another size than the weights were trained at; None if nothing.

    Args:
        spec: the model.
        size: (height, width) of the input, in pixels.
        trained: the same of the weights.
    """
    if size == trained:
        return None
    if what := spec.family.resized:
        how = "was resized"
    elif spec.family.fixed_grid:
        what, how = "attention bias table", _table_change(size, trained, spec.preprocess.size)
    else:
        return None
    return f"input {size[0]}x{size[1]}: the {what}, made for {trained[0]}x{trained[1]}, {how}"


def _table_change(size: tuple[int, int], trained: tuple[int, int], whole: tuple[int, int]) -> str:
    """Return what became of a table of offsets: all of it is used at the size `whole`, its corner at smaller ones."""
    sides = list(zip(size, trained, whole, strict=True))
    if any(side > learnt and learnt < full for side, learnt, full in sides):
        return "has far offsets that were not trained"
    if any(max(side, learnt) > full for side, learnt, full in sides):
        return "was resized"
    return "was cut to its corner of near offsets"
