"""What the given options leave open, and what each way to export would take on the board."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edgevit.artifact.manifest import Precision
from edgevit.device_profiles import Profile
from edgevit.errors import MissingExtraError, OptionError
from edgevit.export.budget.work import sized_works
from edgevit.export.estimate.estimate import conditions, milliseconds
from edgevit.export.recipe import CALIBRATION, SUFFIXES, Format, Recipe, default_options, layout_size
from edgevit.export.tasks.rules import rules_of
from edgevit.models.weights.resolve import ResolvedWeights, build_with_weights, resolve_weights
from edgevit.models.zoo.registry import check_input_size, get_spec
from edgevit.models.zoo.sizes import SizedWork, find_works, smaller_sizes
from edgevit.models.zoo.spec import ModelSpec
from edgevit.schema import options_from

OPTION = "--budget-ms"
CHOSEN: tuple[Precision, ...] = ("fp32", "int8")
"""Precisions that are weighed where none is given; half precision takes as long as float32."""


@dataclass(frozen=True)
class Choice:
    """One way to export the model, and what it would take on the board."""

    recipe: Recipe
    ms: float
    """Estimated."""

    def __str__(self) -> str:
        return f"{self.recipe.size_text}, {self.recipe.format} {self.recipe.precision}"


def weigh(given: Mapping[str, Any], profile: Profile, tell: Callable[[str], None]) -> list[Choice]:
    """Return what the given options leave open, best first: largest input, float before int8, faster format.

    Raises:
        OptionError: they contradict each other, or leave nothing.
    """
    spec = get_spec(str(given["model"]))
    weights = resolve_weights(spec, None if given.get("weights") is None else str(given["weights"]))
    sizes = _sizes(spec, weights, given)
    recipes = _recipes(given, sizes, weights, tell)
    threads, mhz = conditions(profile, OPTION)
    works = {(work.size, work.format, work.precision): work for work in find_works(spec.name)}
    choices = []
    for size in sizes:
        own = [recipe for recipe in recipes if recipe.imgsz == size]
        needed = {(recipe.format, _timed(recipe)) for recipe in own}
        if missing := [way for way in needed if (size, *way) not in works]:
            tell(f"weighing     {size[0]}x{size[1]}")
            for work in _count(spec, weights, own[0], size, missing, tell):
                works[work.size, work.format, work.precision] = work
        for recipe in own:
            if found := works.get((size, recipe.format, _timed(recipe))):
                choices.append(Choice(recipe, milliseconds(found.instructions, found.misses, threads, mhz)))
    return sorted(
        choices,
        key=lambda choice: (-_pixels(choice.recipe), choice.recipe.precision == "int8", choice.ms),
    )


def _sizes(spec: ModelSpec, weights: ResolvedWeights, given: Mapping[str, Any]) -> tuple[tuple[int, int], ...]:
    if (imgsz := given.get("imgsz")) is not None:
        size = (imgsz, imgsz) if isinstance(imgsz, int) else tuple(imgsz)
        check_input_size(spec, size)
        return (size,)
    if (fixed := layout_size(given.get("layout"), spec.task)) is not None:
        return (fixed,)
    return smaller_sizes(weights.preprocess.size)


def _recipes(
    given: Mapping[str, Any],
    sizes: tuple[tuple[int, int], ...],
    weights: ResolvedWeights,
    tell: Callable[[str], None],
) -> list[Recipe]:
    """Return every whole recipe that the given options allow.

    Raises:
        OptionError: there is none; the reason is that of the last that was tried.
    """
    fixed = {name: value for name, value in given.items() if value is not None}
    forms: tuple[Format, ...] = (fixed["format"],) if "format" in fixed else tuple(SUFFIXES)
    precisions = (fixed["precision"],) if "precision" in fixed else CHOSEN
    if "precision" not in fixed and not _can_calibrate(fixed, weights):
        precisions = ("fp32",)
        tell("left out     int8: there is nothing to calibrate with; --data FOLDER or --calibration synthesized")
    recipes, refused = [], None
    for form in forms:
        for precision in precisions:
            for size in sizes:
                chosen = {"format": form, "precision": precision, "imgsz": size}
                try:
                    recipe = options_from(Recipe, default_options({**_without_idle(fixed, precision), **chosen}))
                    rules_of(get_spec(recipe.model)).check(recipe)
                    recipes.append(recipe)
                except OptionError as error:
                    refused = error
    if not recipes and refused is not None:
        raise refused
    return recipes


def _without_idle(fixed: dict[str, Any], precision: Precision) -> dict[str, Any]:
    """Leave out what would calibrate int8 where another precision is tried beside it."""
    if "precision" in fixed or precision == "int8":
        return fixed
    return {name: value for name, value in fixed.items() if name not in CALIBRATION}


def _can_calibrate(fixed: Mapping[str, Any], weights: ResolvedWeights) -> bool:
    brought = weights.entry is not None and weights.entry.brings_images
    return brought or fixed.get("data") is not None or bool(fixed.get("synthesized"))


def _timed(recipe: Recipe) -> str:
    """Return the precision whose time a recipe's file takes."""
    return "int8" if recipe.precision == "int8" else "fp32"


def _pixels(recipe: Recipe) -> int:
    height, width = recipe.input_size or (0, 0)
    return height * width


def _count(
    spec: ModelSpec,
    weights: ResolvedWeights,
    recipe: Recipe,
    size: tuple[int, int],
    ways: list[tuple[Format, str]],
    tell: Callable[[str], None],
) -> list[SizedWork]:
    """Return the work of the ways; those whose packages are missing are left out where there are others."""
    found: list[SizedWork] = []
    for form in sorted({form for form, _ in ways}):
        model = build_with_weights(spec, weights, recipe.num_classes, size).eval()
        try:
            found += sized_works(spec, model, size, (form,), [precision for other, precision in ways if other == form])
        except MissingExtraError as error:
            if {other for other, _ in ways} == {form}:
                raise
            tell(f"left out     {form}: {error}")
    return found


def table_lines(choices: list[Choice], budget_ms: float, profile: Profile) -> list[str]:
    threads, mhz = conditions(profile, OPTION)
    head = f"{profile.title}, {threads} threads, {mhz / 1000:.1f} GHz, estimated; the budget is {budget_ms:g} ms"
    rows = [
        f"             {choice.recipe.size_text:>9}  {choice.recipe.format:6}  {choice.recipe.precision:5} "
        f"{choice.ms:8.1f} ms{'  fits' if choice.ms <= budget_ms else ''}"
        for choice in choices
    ]
    return [f"weighed      {head}", *rows]
