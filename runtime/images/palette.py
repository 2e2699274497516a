"""Colours for classes that have none of their own."""

import colorsys

RGB = tuple[int, int, int]

GOLDEN = 0.618034
"""Steps of the golden ratio around the circle of hues never come close to one another soon."""


def spread_palette(count: int) -> tuple[RGB, ...]:
    """Return colours for classes that have none of their own, neighbours unlike one another."""
    return tuple(_colour(0.08 + GOLDEN * i, 0.9 - 0.15 * (i % 3)) for i in range(count))


def _colour(hue: float, value: float) -> RGB:
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue % 1, 0.75, value))
    return red, green, blue
