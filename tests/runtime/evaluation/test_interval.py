"""How sure one can be of an accuracy on few pictures."""

import pytest

from edgevit.runtime.evaluation.interval import how_sure, wilson_interval


@pytest.mark.parametrize(
    ("right", "images", "low", "high"),
    # R. G. Newcombe, Statistics in Medicine 17 (1998), pp. 857-872, table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_wilsons(right: int, images: int, low: float, high: float) -> None:
    assert wilson_interval(right, images) == pytest.approx((low, high), abs=5e-5)


def test_it_is_said_in_words() -> None:
    # (0.7222 + 1.9208 / 36) / 1.1067 = 0.7008, and 1.96 / 1.1067 * sqrt(0.2006 / 36 + 0.9604 / 1296) = 0.1408
    assert how_sure(26, 36) == "36 images: 72% plus or minus 14 (with 95% certainty 56% to 84%)"


def test_nothing_is_certain() -> None:
    low, high = wilson_interval(10, 10)
    assert 0.69 < low < 0.73  # 10 / (10 + 1.96 ** 2) = 0.7225
    assert high == pytest.approx(1.0)
