"""How long things stay in a region."""

from collections.abc import Sequence

import pytest

from edgevit.errors import OptionError
from edgevit.runtime.images.regions import parse_region
from edgevit.runtime.tracking.lines import Seen
from edgevit.runtime.tracking.stays import Stay, StayRule, StayState, next_stays, parse_stay

COOP = parse_region("coop=0,0,0.5,1")
"""The left half: x below 100."""
SIZE = (100, 200)
RULE = StayRule("coop", 10)


def _stays(frames: Sequence[tuple[float, float | None]], living: bool = True) -> list[Stay]:
    """Return what is told of a hen at these times and x; None where it is hidden, or gone unless it is living."""
    state = StayState()
    told: list[Stay] = []
    for now_s, x in frames:
        seen = [] if x is None else [Seen(4, "hen", (x, 50), 20)]
        alive = {4} if seen or living else set()
        state, found = next_stays(RULE, COOP, state, seen, alive, SIZE, now_s)
        told += found
    return told


def test_stay_is_told_once_when_it_is_long_and_once_when_it_is_over() -> None:
    frames = [(0, 150), (5, 50), (10, 50), (15, 50), (20, 50), (22, 150), (30, 150)]
    assert _stays(frames) == [Stay(4, "hen", 10, over=False), Stay(4, "hen", 15, over=True)]


def test_short_stays_are_not_told_and_do_not_add_up() -> None:
    assert _stays([(0, 50), (9, 50), (10, 150), (11, 50), (20, 50), (20.9, 150)]) == []


def test_trembling_at_the_border_is_no_leaving() -> None:
    # a quarter of 20 pixels is 5: at 104 it is not clearly outside
    frames = [(k, 98 if k % 2 else 104) for k in range(1, 15)]
    assert _stays(frames) == [Stay(4, "hen", 10, over=False)]


def test_hidden_has_not_left_but_one_whose_track_is_over_has() -> None:
    assert _stays([(0, 50), (6, None), (12, 50)]) == [Stay(4, "hen", 12, over=False)]
    assert _stays([(0, 50), (12, 50), (16, None)], living=False)[1:] == [Stay(4, "hen", 12, over=True)]


@pytest.mark.parametrize("text", ["gate>=30s", " gate >= 30 s ", "gate>=30", "gate>=0.5m"])
def test_rule_is_a_region_and_a_time(text: str) -> None:
    assert parse_stay(text) == StayRule("gate", 30)


@pytest.mark.parametrize("text", ["", "gate", ">=30s", "gate>30s", "gate=30s", "gate>=", "gate>=soon", "gate>=0s"])
def test_wrong_rule_is_one_line(text: str) -> None:
    with pytest.raises(OptionError, match="^dwell= is .*expected a"):
        parse_stay(text)


def test_rule_names_a_region_that_there_is() -> None:
    RULE.check_regions([COOP])
    with pytest.raises(OptionError, match="the picture has no region 'coop'; it has yard"):
        RULE.check_regions([parse_region("yard=0,0,1,1")])
    with pytest.raises(OptionError, match="name it with roi= coop=X,Y,W,H"):
        RULE.check_regions([])
