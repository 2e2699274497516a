"""The pace of a source against a naive model: of each beat's pictures the first is taken, whenever it comes."""

import itertools

import hypothesis.strategies as st
from hypothesis import given, settings

from edgevit.runtime.sources.sampling import SamplingInterval

# in eighths of a second, which floats hold exactly
STEPS = st.lists(st.integers(0, 40), max_size=40)
TIMES = STEPS.map(lambda steps: [each / 8 for each in itertools.accumulate(steps)])


def taken(pace: SamplingInterval, times_s: list[float]) -> list[float]:
    """Return when pictures are taken, of all that come from 0 s on."""
    found, due_s = [], 0.0
    for now_s in times_s:
        if due_s <= now_s:
            found.append(now_s)
            due_s = pace.next_due(due_s, now_s)
    return found


@given(TIMES, st.integers(1, 60).map(lambda eighths: eighths / 8))
@settings(max_examples=100)
def test_of_each_beat_the_first_picture_is_taken(times_s: list[float], interval_s: float) -> None:
    first: dict[int, float] = {}
    for now_s in times_s:
        first.setdefault(int(now_s // interval_s), now_s)
    assert taken(SamplingInterval(interval_s), times_s) == list(first.values())


@given(TIMES)
def test_without_an_interval_every_picture_is_taken(times_s: list[float]) -> None:
    assert taken(SamplingInterval(), times_s) == times_s
