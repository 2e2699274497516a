"""What models for small boards take at several input sizes, and how accurate their bundled weights are there.

The figures are in sizes.json, which benchmarks/sizes.py counts, measures and writes.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("sizes.json")
SEVENTHS = (7, 6, 5)
"""Shares of a model's own side that are weighed: 224, 192 and 160 of 224 pixels."""
STEP = 32
"""Sides are rounded to multiples of it, in pixels."""


@dataclass(frozen=True)
class SizedWork:
    """What one file's operators take for one picture, by the prices of edgevit.export.estimate."""

    size: tuple[int, int]
    """(height, width) of the input in pixels."""
    format: str
    precision: str
    instructions: float
    misses: float
    """Misses of the first data cache."""


@dataclass(frozen=True)
class SizedAccuracy:
    """How accurate a model's int8 TFLite file with bundled weights is at one input size."""

    size: tuple[int, int]
    weights: str
    top1: float
    """Percent of the test pictures of the weights' data set."""
    images: int


def smaller_sizes(size: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Return (height, width) itself and two smaller ones of the same shape, in pixels, largest first."""
    height, width = ([max(STEP, round(side * share / 7 / STEP) * STEP) for share in SEVENTHS[1:]] for side in size)
    return tuple(dict.fromkeys([size, *zip(height, width, strict=True)]))


def find_works(name: str) -> tuple[SizedWork, ...]:
    """Return what was counted of a model; nothing where it was not."""
    return tuple(
        SizedWork(_sides(size), form, precision, 1e6 * instructions, 1e6 * misses)
        for size, ways in _document()["works"].get(name, {}).items()
        for way, (instructions, misses) in ways.items()
        for form, precision in [way.split()]
    )


def find_accuracies(name: str) -> tuple[SizedAccuracy, ...]:
    """Return what was measured of a model's bundled weights; nothing where it was not."""
    return tuple(_accuracies(_document()["accuracies"].get(name, {})))


def _accuracies(found: dict[str, Any]) -> Iterator[SizedAccuracy]:
    for size, facts in found.items():
        yield SizedAccuracy(_sides(size), facts["weights"], facts["top1"], facts["images"])


def _sides(size: str) -> tuple[int, int]:
    height, width = map(int, size.split("x"))
    return height, width


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return document
