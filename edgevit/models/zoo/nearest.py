"""The model that somebody may have meant: of the same family the nearest variant, not the most alike spelling."""

import difflib
import re
from collections.abc import Mapping

from edgevit.models.zoo.spec import ModelSpec

SIZES = ("nano", "xxs", "xs", "tiny", "small", "medium", "base", "large", "huge")
"""Words for sizes, in order; n, t, s, m, b, l and h are short for some of them."""

ENDINGS = ("hmhsa", "det", "retinanet")
"""Ends of names that tell what was made of a backbone: who writes one means it."""

LEAST_LIKENESS = 0.7
"""Least likeness of a family's name, 0..1: "sbcfromer" is sbcformer, "mobilenet" is none."""


def nearest_model(name: str, models: Mapping[str, ModelSpec]) -> str | None:
    """Return the model of the likeliest family whose variant is nearest, or None if no family is like the name."""
    wanted = _plain(name)
    families: dict[str, list[str]] = {}
    for known, spec in models.items():
        family = _plain(known.partition(f"_{spec.variant.partition('_')[0]}")[0])
        families.setdefault(family, []).append(known)
    likeness = {family: _likeness(wanted[: len(family)], family) for family in families}
    family = max(families, key=lambda each: (likeness[each], len(each)))
    if likeness[family] < LEAST_LIKENESS:
        return None
    variant = wanted[len(family) :]
    candidates = [known for known in families[family] if _ending(known) == _ending(wanted)] or families[family]
    return min(candidates, key=lambda known: _distance(variant, _plain(known)[len(family) :]))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _ending(name: str) -> str:
    return next((ending for ending in ENDINGS if name.endswith(ending)), "")


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def _distance(wanted: str, variant: str) -> tuple[int, int, float]:
    """Compare two variants such as "b4" and "b3": by the letters, as sizes if they are such; the number; spelling."""
    (letters, number), (series, place) = _parts(wanted), _parts(variant)
    return _sizes_apart(letters, series), abs(number - place), -_likeness(wanted, variant)


def _parts(variant: str) -> tuple[str, int]:
    """Return the first letters and the first number: "b", 4."""
    letters, number = re.search(r"[a-z]+", variant), re.search(r"\d+", variant)
    return letters[0] if letters else "", int(number[0]) if number else 0


def _sizes_apart(one: str, other: str) -> int:
    if one == other:
        return 0
    places = [place for word in (one, other) if (place := _place(word)) is not None]
    return abs(places[0] - places[1]) if len(places) == 2 else len(SIZES)


def _place(word: str) -> int | None:
    """Return where a word stands in SIZES; "patch", "any" and the like are no sizes."""
    return next((place for place, size in enumerate(SIZES) if word.startswith(size) or word == size[0]), None)
