"""Counts as events: each rule for itself, smoothed, with a cool-down, of the whole picture or of a region."""

import dataclasses
import operator
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevit.errors import OptionError
from edgevit.runtime.events.counts import CountRule, CountRules, parse_count
from edgevit.runtime.events.event import Event
from edgevit.runtime.events.labels import LabelRules
from edgevit.runtime.events.watch import Watch
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import event_record
from edgevit.runtime.sinks.lines import event_text
from edgevit.runtime.stream.options import StreamOptions
from tests.made_detections import counted

Told = list[tuple[int, bool, int]]
"""Frame, whether the rule holds from there on, and the count."""


def see(rules: CountRules, hens: Sequence[int], gap_at: int | None = None, roi: str | None = None) -> list[Event]:
    """Show a frame a second with so many hens; return the events."""
    watch = Watch(LabelRules(), counts=rules)
    events: list[Event] = []
    for second, count in enumerate(hens):
        if second == gap_at:
            watch.gap("pen")
        events += watch.see(counted(hen=count), Moment("pen", second, float(second), 1e9 + second, roi))
    return events


def told(events: Sequence[Event]) -> Told:
    return [(event.moment.sequence, event.facts["active"], event.facts["count"]) for event in events]


def rules(*texts: str, stable: tuple[int, int] = (1, 1), cooldown_s: float = 0.0) -> CountRules:
    return CountRules([parse_count(text) for text in texts], stable, cooldown_s)


@pytest.mark.parametrize(
    ("text", "holding"),
    [("hen>=2", {2, 3}), ("hen>2", {3}), ("hen<=1", {0, 1}), ("hen<1", {0}), ("hen==2", {2}), ("hen==0", {0})],
)
def test_rule_holds_at_its_limit_or_beyond_as_it_says(text: str, holding: set[int]) -> None:
    assert {count for count in range(4) if see(rules(text), [count])} == holding


def test_event_says_which_rule_and_how_many() -> None:
    first, second = see(rules("hen>=2"), [1, 2, 3, 1, 0])
    assert first.to_dict() | {"id": ""} == {
        "event": "count",
        "id": "",
        "time": "2001-09-09T01:46:41.000Z",
        "source": "pen",
        "roi": None,
        "frame": 1,
        "label": "hen",
        "count": 2,
        "rule": "hen>=2",
        "active": True,
    }
    assert (second.moment.sequence, second.facts["count"], second.facts["active"]) == (3, 1, False)
    assert [event_text(event_record(event)) for event in (first, second)] == ["hen>=2 (2)", "no longer hen>=2 (1)"]


def test_rule_that_never_held_is_not_told() -> None:
    assert see(rules("hen>=2"), [0, 1, 0]) == []
    assert see(CountRules(), [0, 1, 0]) == []


def test_rules_of_one_frame_are_events_of_their_own() -> None:
    events = see(rules("hen>=1", "hen>=2", "fox==0"), [2])
    assert [event.facts["rule"] for event in events] == ["hen>=1", "hen>=2", "fox==0"]
    assert len({event.id for event in events}) == 3


def test_count_is_smoothed_and_votes_do_not_cross_a_gap() -> None:
    two_of_three = rules("hen>=2", stable=(2, 3))
    assert told(see(two_of_three, [2, 0, 0, 2, 2, 0, 2])) == [(4, True, 2)]
    assert told(see(two_of_three, [2, 2])) == [(1, True, 2)]
    assert see(two_of_three, [2, 2], gap_at=1) == []


def test_cooldown_holds_back_what_is_still_true_when_it_is_over() -> None:
    assert told(see(rules("hen>=2", cooldown_s=3), [2, 0, 0, 0, 2])) == [(0, True, 2), (3, False, 0)]


def test_cooldown_of_a_video_counts_its_own_time_not_the_machines() -> None:
    watch, events = Watch(LabelRules(), counts=rules("hen>=2", cooldown_s=3)), list[Event]()
    for second, hens in enumerate((2, 0, 0, 0, 2)):
        video = dataclasses.replace(counted(hen=hens), position_s=float(second))
        events += watch.see(video, Moment("pen.mp4", second, second / 1000, 1e9))
    assert told(events) == [(0, True, 2), (3, False, 0)]


def test_rule_of_a_region_counts_there_alone() -> None:
    whole_and_coop = rules("hen>=1", "hen>=1@coop")
    assert [event.facts["rule"] for event in see(whole_and_coop, [1])] == ["hen>=1"]
    assert [event.facts["rule"] for event in see(whole_and_coop, [1], roi="coop")] == ["hen>=1@coop"]
    assert see(whole_and_coop, [1], roi="yard") == []


@pytest.mark.parametrize("text", ["hen>=10", "egg==0", "brown hen<3@left coop", "a>b>=2@x@y"])
def test_rule_is_read_as_it_is_written(text: str) -> None:
    assert str(parse_count(text)) == text


def test_blanks_around_the_parts_mean_nothing() -> None:
    assert parse_count(" hen >= 10 @ coop ") == CountRule("hen", ">=", 10, "coop")


@pytest.mark.parametrize(
    "text", ["", "hen", "hen>=", ">=3", "hen=3", "hen=>3", "hen!=3", "hen>=-1", "hen>=1.5", "hen>=1@"]
)
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="expected a class, one of >= <= == > < and a number, in quotes such as"):
        parse_count(text)


@pytest.mark.parametrize("text", ["hen>=0", "hen<0"])
def test_rule_that_no_count_can_change_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="is the same for every picture"):
        parse_count(text)


def test_stream_options_read_rules_and_check_their_regions() -> None:
    options = StreamOptions(count=["hen>=10@coop"], roi=["coop=0,0,0.5,1"], stable="3/5", cooldown="10m")
    assert options.count_rules == CountRules([CountRule("hen", ">=", 10, "coop")], (3, 5), 600.0)
    assert options.asks_for_events("detect")
    with pytest.raises(OptionError, match="the picture has no region 'yard'; it has coop"):
        StreamOptions(count=["hen>=10@yard"], roi=["coop=0,0,0.5,1"])
    with pytest.raises(OptionError, match="the model has no class 'cow'; it has hen, fox"):
        StreamOptions(count=["cow>1"]).check_model("detect", ("hen", "fox"))
    StreamOptions(count=["fox>1"]).check_model("detect", ("hen", "fox"))


COMPARES = {">=": operator.ge, "<=": operator.le, "==": operator.eq, ">": operator.gt, "<": operator.lt}


def naive(rule: str, limit: int, stable: tuple[int, int], cooldown: int, counts: Sequence[int], gap: int) -> Told:
    """Look at the whole past anew for each frame."""
    required, window = stable
    said: Told = []
    holds = False
    for now in range(len(counts)):
        begin = gap if now >= gap else 0
        votes = [COMPARES[rule](count, limit) for count in counts[begin : now + 1]][-window:]
        if sum(vote == votes[-1] for vote in votes) >= required:
            holds = votes[-1]
        last = said[-1] if said else None
        if holds != (last is not None and last[1]) and (last is None or now - last[0] >= cooldown):
            said.append((now, holds, counts[now]))
    return said


@given(
    rule=st.sampled_from(sorted(COMPARES)),
    limit=st.integers(1, 3),
    window=st.integers(1, 5).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n))),
    cooldown=st.integers(0, 4),
    counts=st.lists(st.integers(0, 4), max_size=25),
    gap=st.integers(0, 30),
)
def test_events_are_those_of_a_naive_model(
    rule: str, limit: int, window: tuple[int, int], cooldown: int, counts: list[int], gap: int
) -> None:
    seen = see(rules(f"hen{rule}{limit}", stable=window, cooldown_s=cooldown), counts, gap_at=gap)
    assert told(seen) == naive(rule, limit, window, cooldown, counts, gap)
