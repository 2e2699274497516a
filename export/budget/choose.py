"""Exporting the best that fits a time on the board: weigh sizes, formats and precisions, export, look at the file."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgevit.device_profiles import GENERIC, Profile, find_profile
from edgevit.errors import OptionError
from edgevit.export.budget.weigh import OPTION, Choice, table_lines, weigh
from edgevit.export.data.choose import folder_images, read_labelled
from edgevit.export.data.images import ImageSet
from edgevit.export.estimate.estimate import conditions, estimate
from edgevit.export.pipeline import export
from edgevit.export.recipe import SUFFIXES, default_output
from edgevit.export.report.place import check_report_path
from edgevit.export.result import ExportResult
from edgevit.models.weights.resolve import resolve_weights
from edgevit.models.zoo.registry import get_spec
from edgevit.runtime.labels import read_labels
from edgevit.runtime.loading import load
from edgevit.runtime.progress import Track


class OverBudgetError(OptionError):
    """A finished file's estimate is above the budget."""


def export_within(
    budget_ms: float,
    given: Mapping[str, Any],
    out: Path | None,
    track: Track,
    page: Path | None,
    tell: Callable[[str], None],
) -> ExportResult:
    """Export what fits a budget; of several the largest input, then float before int8, then the faster format.

    With labelled pictures of classes, the accuracy on those that did not calibrate decides instead.

    Args:
        budget_ms: most that one picture may take on the target without preparing it, estimated, in milliseconds.
        given: the options that a user gave, which stay as they are.
        out: the file to write; its suffix gives the format.
        track: wraps the loops over images, for a progress display.
        page: path of an HTML report to write beside it.
        tell: is told, in lines, what was weighed.

    Raises:
        OptionError: there is no target, nothing is known of its times, options contradict each other, or nothing fits.
        EdgevitError: of another kind, as `edgevit.export.pipeline.export` raises it.
    """
    profile = _board(budget_ms, given)
    # a layout's folder, in which the page may lie, is made later
    if page is not None and given.get("layout") != "frigate":
        check_report_path(page, figures=True)
    if out is not None and given.get("layout") != "frigate" and given.get("format") is None:
        by_suffix = {suffix: form for form, suffix in SUFFIXES.items()}
        given = {**given, "format": by_suffix.get(out.suffix)}
    choices = weigh(given, profile, tell)
    fitting = [choice for choice in choices if choice.ms <= budget_ms]
    for line in table_lines(choices, budget_ms, profile):
        tell(line)
    if judged := _judged(fitting, given):
        fitting = _by_accuracy(judged, profile, budget_ms, track, tell)
    for choice in fitting:
        try:
            target = default_output(choice.recipe) if out is None else out
            return export(choice.recipe, target, track, page, accept=_accept(choice, profile, budget_ms, tell))
        except OverBudgetError as error:
            tell(f"left out     {error}")
    fastest = min(choices, key=lambda choice: choice.ms)
    if fastest.ms <= budget_ms:
        raise OptionError(
            f"{OPTION} {budget_ms:g} cannot be met on a {profile.title}: the finished files take longer than was "
            "weighed; allow more, or choose a smaller model"
        )
    raise OptionError(
        f"{OPTION} {budget_ms:g} cannot be met on a {profile.title}: the fastest there is takes {fastest.ms:.1f} ms "
        f"({fastest}), estimated; allow more, or choose a smaller model"
    )


def _accept(choice: Choice, profile: Profile, budget_ms: float, tell: Callable[[str], None]) -> Callable[[Path], None]:
    """Return what looks at a finished file, and raises OverBudgetError where its own estimate does not fit."""

    def look(path: Path) -> None:
        ms = estimate(path, profile).ms
        if ms > budget_ms:
            raise OverBudgetError(f"{choice}: the finished file is estimated at {ms:.1f} ms")
        tell(f"chosen       {choice}: the finished file is estimated at {ms:.1f} ms, the budget is {budget_ms:g}")

    return look


def _board(budget_ms: float, given: Mapping[str, Any]) -> Profile:
    if isinstance(budget_ms, bool) or not isinstance(budget_ms, int | float) or not 0 < budget_ms < float("inf"):
        raise OptionError(f"{OPTION} is {budget_ms!r}, expected a number of milliseconds above 0")
    if given.get("target") in (None, GENERIC):
        raise OptionError(f"{OPTION} is a time on a board; say which: --target rpi4")
    if given.get("precision") == "dynamic":
        raise OptionError(f"{OPTION} does not weigh --precision 'dynamic'; give another, or none")
    profile = find_profile(str(given["target"]))
    conditions(profile, OPTION)
    return profile


def _judged(fitting: list[Choice], given: Mapping[str, Any]) -> list[Choice]:
    """Return the choices among which accuracy decides: the faster format of each size and precision.

    Nothing where only one fits, or no labelled pictures of the model's classes are given.
    """
    best: dict[tuple[object, ...], Choice] = {}
    for choice in fitting:
        best.setdefault((choice.recipe.input_size, choice.recipe.precision), choice)
    if len(best) < 2 or given.get("data") is None:
        return []
    recipe = fitting[0].recipe
    spec = get_spec(recipe.model)
    if spec.task != "classify" or recipe.unlabelled:
        return []
    weights = resolve_weights(spec, None if recipe.weights is None else str(recipe.weights))
    labels = read_labels(recipe.labels) if recipe.labels is not None else weights.labels or spec.labels
    folder = read_labelled(Path(str(given["data"])), "classes", tuple(labels), False)
    return list(best.values()) if any(part.class_names() for part in folder.parts.values()) else []


def _by_accuracy(
    choices: list[Choice], profile: Profile, budget_ms: float, track: Track, tell: Callable[[str], None]
) -> list[Choice]:
    """Export each choice to judge it; return those whose file fits, the most accurate first, of equals the fastest."""
    with tempfile.TemporaryDirectory() as folder:
        made: list[tuple[Choice, ExportResult]] = []
        for number, choice in enumerate(choices):
            path = Path(folder) / f"{number}{SUFFIXES[choice.recipe.format]}"
            # a layout and what goes with it change no answer
            result = export(replace(choice.recipe, layout="file"), path, track)
            ms = estimate(path, profile).ms
            if ms <= budget_ms:
                made.append((choice, result))
            else:
                tell(f"left out     {choice}: the finished file is estimated at {ms:.1f} ms")
        if not made:
            return []
        images = _judging(made)
        if images.truth is None:
            return [choice for choice, _ in made]
        tell(f"judged by    {len(images.images)} pictures {images.origin}")
        found = []
        for choice, result in made:
            top1 = _top1(result.path, images, track)
            tell(f"accuracy     {100 * top1:.2f} % of {len(images.images)} pictures: {choice}, {choice.ms:.1f} ms")
            found.append((-top1, choice.ms, choice))
    return [choice for *_, choice in sorted(found, key=lambda each: each[:2])]


def _judging(made: list[tuple[Choice, ExportResult]]) -> ImageSet:
    """Return the pictures of --data that judge an export: none of them calibrated one of the files."""
    # all that are int8 were calibrated with the same pictures
    choice, result = next((one for one in made if one[0].recipe.precision == "int8"), made[0])
    recipe, manifest = choice.recipe, result.manifest
    assert recipe.data is not None
    folder = read_labelled(recipe.data, "classes", manifest.labels, recipe.unlabelled)
    levels, record = manifest.preprocess.levels, manifest.weights.held_out
    return folder_images(folder, record, manifest.labels, recipe, judging=True, levels=levels).evaluation


def _top1(path: Path, images: ImageSet, track: Track) -> float:
    """Return the share of pictures whose class a file tells, 0..1."""
    assert images.truth is not None
    with load(path, task="classify") as model:
        pictures = track(images.images, "pictures judged", len(images.images))
        return images.truth.score(np.stack([model(picture).probs for picture in pictures]))
