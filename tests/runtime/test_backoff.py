"""Pauses between attempts: doubling, bounded, spread."""

from edgevit.runtime.backoff import Backoff


def test_pauses_double_up_to_the_longest() -> None:
    backoff = Backoff(first_s=1, most_s=60)
    assert [backoff.wait_s(failures, 1.0) for failures in (1, 2, 3, 6, 7, 1000)] == [1, 2, 4, 32, 60, 60]


def test_pauses_are_spread_between_half_and_all() -> None:
    backoff = Backoff(first_s=0.5, most_s=30)
    assert [backoff.wait_s(3, chance) for chance in (0.0, 0.5, 1.0)] == [1.0, 1.5, 2.0]
