"""How sure one can be of a share that was counted on few pictures."""

import math

Z = 1.959964
"""The normal distribution has 95 % within so many deviations."""


def wilson_interval(right: int, images: int) -> tuple[float, float]:
    """Return the 95 % interval, 0..1, of the share of all pictures of this kind that are answered right.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the American
    Statistical Association 22 (1927), pp. 209-212. It holds for pictures that do not resemble each other: ten of one
    scene are worth little more than one.

    Args:
        right: pictures answered right.
        images: all of them, at least 1.
    """
    share, factor = right / images, 1 + Z**2 / images
    center = (share + Z**2 / (2 * images)) / factor
    half = Z / factor * math.sqrt(share * (1 - share) / images + Z**2 / (4 * images**2))
    return max(0.0, center - half), min(1.0, center + half)


def how_sure(right: int, images: int) -> str:
    """Return it in words: "36 images: 72 % plus or minus 14 (with 95 % certainty 56 to 84 %)"."""
    low, high = wilson_interval(right, images)
    return (
        f"{images:,} images: {right / images:.0%} plus or minus {50 * (high - low):.0f} "
        f"(with 95% certainty {low:.0%} to {high:.0%})"
    )
