"""Rules of labels against a naive model: all frames from the first on, in plain lists and dictionaries."""

import dataclasses

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from edgevit.runtime.events.labels import LabelRules
from edgevit.runtime.events.watch import Watch
from edgevit.runtime.moment import Moment
from edgevit.runtime.results import Result

NAMES = ("ant", "bee", "cow")
# in 128ths, which floats hold exactly: what reaches a threshold does so for certain
PART = 1 / 128


@dataclasses.dataclass(frozen=True)
class Film:
    """Rules, and frames: the time of each and its confidences in 128ths; None for a gap."""

    stable: tuple[int, int]
    threshold: int
    single: dict[str, int]
    hysteresis: int
    cooldown_s: int
    frames: list[tuple[int, tuple[int, ...]] | None]


@st.composite
def films(draw: st.DrawFn) -> Film:
    n = draw(st.integers(1, 4))
    # three different confidences, so that one is the best
    confidences = st.permutations([64, 40, 24]) | st.permutations([80, 47, 1]) | st.permutations([44, 43, 41])
    times = np.cumsum(draw(st.lists(st.integers(1, 4), min_size=1, max_size=14))).tolist()
    return Film(
        (draw(st.integers(1, n)), n),
        draw(st.sampled_from([0, 41, 44, 64, 65, 90])),
        draw(st.dictionaries(st.sampled_from(NAMES), st.sampled_from([40, 47, 64, 100]), max_size=2)),
        draw(st.sampled_from([0, 1, 20, 24])),
        draw(st.integers(0, 9)),
        [None if draw(st.integers(0, 7)) == 0 else (int(now_s), tuple(draw(confidences))) for now_s in times],
    )


def naive(film: Film) -> list[tuple[int, str, str | None, float]]:
    """Return (second, label, previous, confidence) of each event."""
    votes: list[str] = []
    present: str | None = None
    told: str | None = None
    told_at: dict[str, int] = {}
    events: list[tuple[int, str, str | None, float]] = []
    for frame in film.frames:
        if frame is None:
            votes = []
            continue
        now_s, parts = frame
        confidence = dict(zip(NAMES, parts, strict=True))
        limit = {name: film.single.get(name, film.threshold) for name in NAMES}
        best = max(NAMES, key=lambda name: confidence[name])
        confidence["unknown"] = confidence[best]
        if confidence[best] >= limit[best]:
            vote = best
        elif present is not None and present != "unknown" and confidence[present] >= limit[present] - film.hysteresis:
            vote = present
        else:
            vote = "unknown"
        votes.append(vote)
        if votes[-film.stable[1] :].count(vote) >= film.stable[0]:
            present = vote
        if present is None or present == told:
            continue
        if present in told_at and now_s - told_at[present] < film.cooldown_s:
            continue
        events.append((now_s, present, told, round(confidence[present] * PART, 6)))
        told, told_at[present] = present, now_s
    return events


@given(films())
@settings(max_examples=150)
def test_events_are_those_of_the_naive_model(film: Film) -> None:
    rules = LabelRules(
        stable=film.stable,
        threshold=film.threshold * PART,
        thresholds={name: value * PART for name, value in film.single.items()},
        hysteresis=film.hysteresis * PART,
        cooldown_s=film.cooldown_s,
    )
    watch, found = Watch(rules), []
    for number, frame in enumerate(film.frames):
        if frame is None:
            watch.gap("pen")
            continue
        now_s, parts = frame
        result = Result(np.array(parts, np.float32) * np.float32(PART), NAMES)
        for event in watch.see(result, Moment("pen", number, float(now_s), 1e9 + now_s)):
            assert event.kind == "label"
            found.append((now_s, event.facts["label"], event.facts["previous"], event.facts["conf"]))
    assert found == naive(film)
