"""Tracks: which box is which thing, by real times, and for how long one is remembered."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevit.runtime.detection.boxes import FoundBoxes, nothing_found
from edgevit.runtime.tracking.tracks import MOST, TrackRules, Tracks, next_tracks

RULES = TrackRules()
HEN, FOX = 0, 1


def _found(*rows: tuple[float, float, float, int]) -> FoundBoxes:
    """Return boxes 40 wide and 20 high at (x, y), with a score and a class."""
    boxes = np.array([[x - 20, y - 10, x + 20, y + 10] for x, y, _, _ in rows], np.float32).reshape(-1, 4)
    return FoundBoxes(boxes, np.array([row[2] for row in rows], np.float32), np.array([row[3] for row in rows], int))


def _ids(frames: list[tuple[float, FoundBoxes]], tracks: Tracks | None = None) -> list[list[int]]:
    """Return the ids in each frame, of which scores from 0.5 on are sure."""
    tracks, given_ids = tracks or Tracks(), []
    for now_s, found in frames:
        tracks, ids = next_tracks(RULES, tracks, found, found.scores >= 0.5, now_s)
        given_ids.append(ids.tolist())
    return given_ids


def _walking(
    times: list[float], score: float = 0.9, speed: float = 60.0, kind: int = HEN
) -> list[tuple[float, FoundBoxes]]:
    return [(now_s, _found((100 + speed * now_s, 50, score, kind))) for now_s in times]


def test_track_gets_its_number_with_its_second_frame() -> None:
    assert _ids(_walking([0, 0.1, 0.2])) == [[0], [1], [1]]


def test_numbers_have_no_gaps_where_something_was_seen_once() -> None:
    frames = _walking([0, 0.1, 0.2, 0.3])
    frames[0] = (0.0, _found((100, 50, 0.9, HEN), (400, 300, 0.9, HEN)))
    frames[2] = (0.2, _found((112, 50, 0.9, HEN), (300, 20, 0.9, HEN)))
    frames[3] = (0.3, _found((118, 50, 0.9, HEN), (300, 20, 0.9, HEN)))
    assert _ids(frames) == [[0, 0], [1], [1, 0], [1, 2]]


def test_doubtful_box_continues_a_track_but_begins_none() -> None:
    frames = [*_walking([0, 0.1]), *_walking([0.2, 0.3], score=0.2), *_walking([0.4])]
    assert _ids(frames) == [[0], [1], [1], [1], [1]]
    assert _ids(_walking([0, 0.1, 0.2], score=0.2)) == [[0], [0], [0]]


def test_two_that_pass_each_other_keep_their_numbers() -> None:
    frames = [
        (0.1 * k, _found((100 + 12 * k, 50, 0.9, HEN), (340 - 12 * k, 58, 0.8, HEN))) for k in range(21)
    ]  # they meet at frame 10
    assert _ids(frames)[-1] == _ids(frames)[1] == [1, 2]


def test_hidden_for_a_while_is_the_same_after_it_in_any_rhythm() -> None:
    for step in (0.05, 0.2):
        frames = _walking([step * k for k in range(8)])
        last_s = frames[-1][0]
        frames += [(last_s + step * k, nothing_found()) for k in range(1, int(1.2 / step))]
        frames += _walking([last_s + 1.3, last_s + 1.3 + step])
        assert _ids(frames)[-1] == [1]


def test_gone_for_longer_than_the_limit_is_another() -> None:
    frames = [*_walking([0, 0.1], speed=0), *[(0.1 * k, nothing_found()) for k in range(2, 23)]]
    assert _ids([*frames, *_walking([2.3, 2.4], speed=0)])[-1] == [2]


@pytest.mark.parametrize(("empty", "number"), [([1.0, 1.5, 2.0, 2.5], 1), ([1.0, 1.5, 2.0, 2.5, 2.75], 0)])
def test_thing_is_remembered_for_just_its_time(empty: list[float], number: int) -> None:
    # seen at 0.5, and for two seconds not: at 2.5 it is remembered, at 2.75 no more
    frames = [*_walking([0, 0.5], speed=0), *[(now_s, nothing_found()) for now_s in empty]]
    assert _ids([*frames, *_walking([3.0], speed=0)])[-1] == [number]


@pytest.mark.parametrize(("empty", "number"), [(3, 1), (4, 0)])
def test_thing_is_remembered_for_three_frames_at_least(empty: int, number: int) -> None:
    frames = [*_walking([0, 5], speed=0), *[(10.0 + 5 * k, nothing_found()) for k in range(empty)]]
    assert _ids([*frames, *_walking([10.0 + 5 * empty], speed=0)])[-1] == [number]


def test_few_frames_are_waited_for_however_long_they_take() -> None:
    frames = [*_walking([0, 5], speed=0), (10, nothing_found()), *_walking([15], speed=0)]
    assert _ids(frames)[-1] == [1]


def test_small_and_fast_is_followed_where_boxes_do_not_overlap() -> None:
    # 70 pixels between two frames, and 40 wide
    assert _ids(_walking([0, 0.5, 1.0, 1.5, 2.0], speed=140)) == [[0], [1], [1], [1], [1]]


def test_what_jumps_further_than_time_allows_is_another() -> None:
    # the same 70 pixels in a thirtieth of a second
    still = _walking([0, 1 / 30, 2 / 30], speed=0)
    assert _ids([*still, (3 / 30, _found((170, 50, 0.9, HEN)))])[-1] == [0]


def test_other_class_is_another_thing() -> None:
    assert _ids([*_walking([0, 0.1], speed=0), *_walking([0.2, 0.3], speed=0, kind=FOX)]) == [[0], [1], [0], [2]]


def test_after_a_gap_all_are_others_and_no_number_comes_again() -> None:
    tracks = Tracks()
    for now_s, found in _walking([0, 0.1], speed=0):
        tracks, _ = next_tracks(RULES, tracks, found, found.scores >= 0.5, now_s)
    assert _ids(_walking([0.2, 0.3], speed=0), tracks.after_gap()) == [[0], [2]]


def test_time_that_does_not_pass_or_runs_back_is_no_trouble() -> None:
    assert _ids(_walking([0, 0, 0.1, 0.05], speed=0)) == [[0], [1], [1], [1]]


def test_memory_is_bounded() -> None:
    draw, tracks, rules = np.random.default_rng(0), Tracks(), TrackRules(lost_s=1e9)
    for number in range(30):
        rows = [(float(x), float(y), 0.9, HEN) for x, y in draw.uniform(0, 1e5, (100, 2))]
        for offset in (0.0, 0.01):
            found = _found(*rows)
            tracks, _ = next_tracks(rules, tracks, found, found.scores >= 0.5, number + offset)
    assert tracks.next_id > 2 * MOST
    assert len(tracks.ids) == MOST


def test_those_that_were_not_seen_for_longest_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgevit.runtime.tracking.tracks.MOST", 3)
    hens = [(100.0 * k, 50.0, 0.9, HEN) for k in range(4)]
    both = [(now_s, _found(*hens[:3])) for now_s in (0.0, 0.1)]
    # the second is not seen any more when a fourth comes
    later = [(now_s, _found(hens[0], hens[2], hens[3])) for now_s in (0.2, 0.3)]
    assert _ids([*both, *later, (0.4, _found(*hens))]) == [[0, 0, 0], [1, 2, 3], [1, 3, 0], [1, 3, 4], [1, 0, 3, 4]]


@st.composite
def _films(draw: st.DrawFn) -> list[tuple[float, FoundBoxes]]:
    spots = st.tuples(st.integers(0, 300), st.integers(0, 300), st.sampled_from([0.2, 0.6, 0.9]), st.integers(0, 1))
    steps = draw(st.lists(st.floats(0, 3), min_size=1, max_size=12))
    frames = [_found(*draw(st.lists(spots, max_size=6))) for _ in steps]
    return list(zip(np.cumsum(steps).tolist(), frames, strict=True))


@given(_films())
@settings(max_examples=100)
def test_any_film_gives_each_thing_one_box_and_always_the_same(frames: list[tuple[float, FoundBoxes]]) -> None:
    tracks, highest = Tracks(), 0
    for now_s, found in frames:
        tracks, ids = next_tracks(RULES, tracks, found, found.scores >= 0.5, now_s)
        told = ids[ids > 0].tolist()
        assert len(told) == len(set(told))
        assert np.isfinite(tracks.motion.covariance).all()
        new = sorted(track for track in told if track > highest)
        assert new == list(range(highest + 1, highest + 1 + len(new)))
        highest = max([highest, *told])
    assert _ids(frames) == _ids(frames)


@pytest.mark.parametrize("rhythm", ["even", "uneven"])
def test_rhythm_of_the_frames_does_not_matter(rhythm: str) -> None:
    draw = np.random.default_rng(1)
    steps = np.full(40, 0.2) if rhythm == "even" else draw.uniform(0.02, 0.6, 40)
    times = np.cumsum(steps).tolist()
    frames = [(now_s, _found((40 + 45 * now_s, 60, 0.9, HEN), (400 - 45 * now_s, 95, 0.9, HEN))) for now_s in times]
    assert {tuple(ids) for ids in _ids(frames)[1:]} == {(1, 2)}
