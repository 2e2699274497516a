"""What counts as a change of label: made sequences of answers, whose events can be worked out by hand."""

import dataclasses
import json
from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from edgevit.errors import OptionError
from edgevit.runtime.events.event import KINDS, Event
from edgevit.runtime.events.labels import LabelRules, parse_stable, read_thresholds
from edgevit.runtime.events.recent import MOST
from edgevit.runtime.events.watch import Watch
from edgevit.runtime.moment import Moment, iso_time
from edgevit.runtime.results import Result
from tests.places import DOCS

NAMES = ("cat", "dog", "fox")
DAY_S = 86400.0


def answer(label: str, confidence: float = 0.9) -> Result:
    probs = np.full(3, (1 - confidence) / 2, np.float32)
    probs[NAMES.index(label)] = confidence
    return Result(probs, NAMES)


def told(rules: LabelRules, answers: Iterable[Result], step_s: float = 1.0) -> list[tuple[int, str]]:
    """Return (frame, label) of each event; frames are step_s apart."""
    watch = Watch(rules)
    found = []
    for number, result in enumerate(answers):
        events = watch.see(result, Moment("pen", number, number * step_s, 1e9 + number * step_s))
        found += [(number, event.facts["label"]) for event in events]
    return found


def test_confidence_of_a_name_that_two_classes_have_is_that_of_the_one_that_was_seen() -> None:
    """ImageNet's lists call a bird and a machine crane."""
    names = ("crane", "cat", "crane")
    answers = [Result(np.array(probs, np.float32), names) for probs in ([0.1, 0.2, 0.7], [0.0, 0.6, 0.4])]
    watch, moments = Watch(LabelRules(threshold=0.65, hysteresis=0.3)), (Moment("pen", n, n, 1e9 + n) for n in range(2))
    events = [event for result in answers for event in watch.see(result, next(moments))]
    # the machine still holds in the second frame, as 0.4 is above 0.35
    assert [(event.facts["label"], event.facts["conf"]) for event in events] == [("crane", 0.7)]


def labels(text: str, confidence: float = 0.9) -> list[Result]:
    by_letter = {name[0]: name for name in NAMES}
    return [answer(by_letter[letter], confidence) for letter in text]


def test_without_rules_each_change_is_an_event() -> None:
    assert told(LabelRules(), labels("ccddc")) == [(0, "cat"), (2, "dog"), (4, "cat")]


def test_label_needs_k_of_the_last_n_frames() -> None:
    # 2 of 3: the single dogs are passed over, "dfd" brings the dog in at its second vote
    assert told(LabelRules(stable=(2, 3)), labels("ccdccdfdd")) == [(1, "cat"), (7, "dog")]


def test_one_wrong_frame_in_three_never_fires() -> None:
    assert told(LabelRules(stable=(3, 5)), labels("ccd" * 50)) == [(3, "cat")]


def test_below_its_threshold_no_class_is_believed() -> None:
    answers = [answer("cat", 0.7), answer("cat", 0.5), answer("cat", 0.7)]
    assert told(LabelRules(threshold=0.6), answers) == [(0, "cat"), (1, "unknown"), (2, "cat")]


def test_class_may_have_its_own_threshold() -> None:
    rules = LabelRules(threshold=0.5, thresholds={"fox": 0.9})
    assert told(rules, [answer("fox", 0.85), answer("cat", 0.6), answer("fox", 0.9001)]) == [
        (0, "unknown"),
        (1, "cat"),
        (2, "fox"),
    ]


def test_hysteresis_holds_a_label_that_sinks_a_little() -> None:
    sinking = [answer("cat", confidence) for confidence in (0.65, 0.55, 0.45, 0.39, 0.55, 0.65)]
    assert told(LabelRules(threshold=0.6), sinking) == [(0, "cat"), (1, "unknown"), (5, "cat")]
    # given up below 0.4 only, and not taken up again at 0.55
    assert told(LabelRules(threshold=0.6, hysteresis=0.2), sinking) == [(0, "cat"), (3, "unknown"), (5, "cat")]


def shares(cat: float, dog: float, fox: float) -> Result:
    return Result(np.array([cat, dog, fox], np.float32), NAMES)


def test_hysteresis_goes_by_the_present_labels_own_confidence() -> None:
    rules = LabelRules(threshold=0.6, hysteresis=0.2)
    seen, weak_other, strong_other = shares(0.7, 0.2, 0.1), shares(0.1, 0.5, 0.4), shares(0.41, 0.5, 0.09)
    assert told(rules, [seen, weak_other]) == [(0, "cat"), (1, "unknown")]
    assert told(rules, [seen, strong_other]) == [(0, "cat")], "the cat has more than 0.4, though it is not the best"


def test_same_label_after_a_gap_is_no_news() -> None:
    watch = Watch(LabelRules(stable=(2, 2)))
    found: list[str] = []
    for number, result in enumerate(labels("ccccdd")):
        if number == 2:
            watch.gap("pen")
        found += [event.facts["label"] for event in watch.see(result, Moment("pen", number, number, number))]
    assert found == ["cat", "dog"]


def test_event_tells_the_confidence_of_its_own_label() -> None:
    """The cat comes back while its cool-down lasts; when that is over, it is held though the dog is likelier."""
    watch = Watch(LabelRules(threshold=0.6, hysteresis=0.2, cooldown_s=3))
    answers = [shares(0.75, 0.25, 0), shares(0.125, 0.875, 0), shares(0.75, 0.25, 0), shares(0.4375, 0.5, 0.0625)]
    found = [
        (number, event.facts["label"], event.facts["conf"])
        for number, result in enumerate(answers)
        for event in watch.see(result, Moment("pen", number, number, number))
    ]
    assert found == [(0, "cat", 0.75), (1, "dog", 0.875), (3, "cat", 0.4375)]


def test_hysteresis_does_not_hold_a_label_against_a_sure_other_one() -> None:
    rules = LabelRules(threshold=0.6, hysteresis=0.5)
    assert told(rules, [answer("cat", 0.7), answer("dog", 0.7)]) == [(0, "cat"), (1, "dog")]


def test_cooldown_holds_the_same_label_back() -> None:
    # the fox comes at 0, 2 and 12 s; unknown in between is told once within its own 10 s
    text = [answer("fox" if second in (0, 2, 3, 12) else "cat", 0.9) for second in range(14)]
    assert told(LabelRules(cooldown_s=10), text) == [(0, "fox"), (1, "cat"), (12, "fox"), (13, "cat")]


def test_cooldown_of_a_video_counts_its_own_time_not_the_machines() -> None:
    text = [answer("fox" if second in (0, 2, 3, 12) else "cat", 0.9) for second in range(14)]
    video = [dataclasses.replace(each, position_s=float(second)) for second, each in enumerate(text)]
    for step_s in (0.001, 100.0):
        assert told(LabelRules(cooldown_s=10), video, step_s) == [(0, "fox"), (1, "cat"), (12, "fox"), (13, "cat")]


def test_change_within_the_cooldown_is_told_late_but_told() -> None:
    assert told(LabelRules(cooldown_s=5), labels("fcfffffff")) == [(0, "fox"), (1, "cat"), (5, "fox")]


def test_regions_and_sources_do_not_mix() -> None:
    watch = Watch(LabelRules(stable=(2, 2)))
    found: list[Event] = []
    for number, (source, roi) in enumerate([("a", "left"), ("a", "right"), ("b", "left"), ("a", "left")]):
        found += watch.see(answer("cat"), Moment(source, number, number, number, roi))
    assert [(event.moment.source, event.moment.roi) for event in found] == [("a", "left")]


def test_answer_of_a_stream_brings_its_moment_and_any_other_is_refused() -> None:
    streamed = dataclasses.replace(answer("fox"), moment=Moment("pen", 0, 0, 0))
    assert [event.moment.source for event in Watch(LabelRules()).see(streamed)] == ["pen"]
    with pytest.raises(OptionError, match="does not come from a stream"):
        Watch(LabelRules()).see(answer("fox"))


def test_frames_before_a_gap_do_not_count_with_those_after() -> None:
    watch = Watch(LabelRules(stable=(2, 3)))
    assert watch.see(answer("fox"), Moment("pen", 0, 0, 0)) == ()
    watch.gap("pen")
    assert watch.see(answer("fox"), Moment("pen", 1, 60, 60)) == ()
    assert len(watch.see(answer("fox"), Moment("pen", 2, 61, 61))) == 1


def run(walls: Sequence[float], rules: LabelRules) -> list[Event]:
    watch = Watch(rules)
    answers = labels("ffccffccff")
    return [
        event
        for number, (result, wall) in enumerate(zip(answers, walls, strict=True))
        for event in watch.see(result, Moment("pen", number, number, wall))
    ]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_a_label_is_told_once_and_the_truth_is_never_late_for_long(seed: int) -> None:
    random = np.random.default_rng(seed)
    min_size = int(random.integers(1, 4))
    rules = LabelRules(stable=(min_size, 5), threshold=0.5, hysteresis=0.1, cooldown_s=float(random.integers(0, 8)))
    watch, now, last, told_s = Watch(rules), 0.0, None, dict[str, float]()
    for number in range(500):
        now += float(random.uniform(0.1, 2))
        result = answer(NAMES[random.integers(3)], float(random.uniform(0.34, 1)))
        for event in watch.see(result, Moment("pen", number, now, random.uniform(0, 1e9))):
            label = event.facts["label"]
            assert event.facts["previous"] == last != label
            assert now - told_s.get(label, -1e9) >= rules.cooldown_s
            last, told_s[label] = label, now
    for number in range(500, 520):
        now += 1.0
        for event in watch.see(answer("fox"), Moment("pen", number, now, 0)):
            last = event.facts["label"]
    assert last == "fox"


def test_what_is_remembered_of_sources_is_bounded() -> None:
    watch = Watch(LabelRules())
    for number in range(MOST + 100):
        watch.see(answer("fox"), Moment(f"{number}.jpg", number, number, number))
    # the last ones are remembered, and tell nothing new; the first are forgotten
    assert not watch.see(answer("fox"), Moment(f"{MOST + 99}.jpg", 0, 1e6, 0))
    assert watch.see(answer("fox"), Moment("0.jpg", 0, 1e6, 0))


def test_clock_set_back_by_a_day_changes_no_event() -> None:
    steady = [1e9 + second for second in range(10)]
    set_back = [wall - DAY_S * (number >= 4) for number, wall in enumerate(steady)]
    rules = LabelRules(cooldown_s=3)
    kept = [(event.moment.sequence, event.facts["label"]) for event in run(steady, rules)]
    assert kept == [(0, "fox"), (2, "cat"), (4, "fox"), (6, "cat"), (8, "fox")]
    assert [(event.moment.sequence, event.facts["label"]) for event in run(set_back, rules)] == kept


def test_same_frames_give_the_same_events_with_the_same_ids() -> None:
    walls = [1e9 + second / 30 for second in range(10)]
    first, second = ([event.to_json() for event in run(walls, LabelRules())] for _ in range(2))
    assert first == second
    assert len({json.loads(line)["id"] for line in first}) == len(first) == 5


def test_id_depends_on_time_source_region_frame_and_kind() -> None:
    moment = Moment("pen", 7, 1.0, 1e9)
    others = [
        Event("frozen", moment),
        Event("label", Moment("yard", 7, 1.0, 1e9)),
        Event("label", Moment("pen", 8, 1.0, 1e9)),
        Event("label", Moment("pen", 7, 1.0, 1e9 + 1e-3)),
        Event("label", Moment("pen", 7, 1.0, 1e9, "left")),
    ]
    assert len({event.id for event in (Event("label", moment), *others)}) == 6
    # the monotonic clock starts anew with the machine and is no part of it
    assert Event("label", Moment("pen", 7, 99.0, 1e9)).id == Event("label", moment).id


def test_events_json_is_stable() -> None:
    event = run([1e9 + second for second in range(10)], LabelRules())[1]
    assert event.to_dict() == {
        "event": "label",
        "id": event.id,
        "time": "2001-09-09T01:46:42.000Z",
        "source": "pen",
        "roi": None,
        "frame": 2,
        "label": "cat",
        "previous": "fox",
        "conf": 0.9,
    }
    assert event.kind in KINDS


def test_time_is_utc_with_milliseconds() -> None:
    assert iso_time(0.25) == "1970-01-01T00:00:00.250Z"


@pytest.mark.parametrize(("text", "expected"), [("3/5", (3, 5)), (" 1/1 ", (1, 1))])
def test_stable_is_read(text: str, expected: tuple[int, int]) -> None:
    assert parse_stable(text) == expected


@pytest.mark.parametrize("text", ["", "3", "0/5", "6/5", "-1/5", "3/5/7", "a/b", "99999/99999", "3/٥x"])
def test_stable_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"expected k/n with 1 <= k <= n, such as 3/5"):
        parse_stable(text)


def test_thresholds_are_read() -> None:
    assert read_thresholds(["0.6", "fox=0.8", "cat=1"]) == (0.6, {"fox": 0.8, "cat": 1.0})
    assert read_thresholds([]) == (None, {})
    assert read_thresholds(0.6) == read_thresholds("0.6") == read_thresholds([0.6]) == (0.6, {})
    assert read_thresholds({"fox": 0.8}) == (None, {"fox": 0.8})


@pytest.mark.parametrize("texts", [["0.4", "0.5"], ["fox=0.4", "cat=0.4", "fox=0.4"]])
def test_two_thresholds_for_the_same_are_refused(texts: list[str]) -> None:
    with pytest.raises(OptionError, match=r"stands twice for (all classes|fox); leave one of them out"):
        read_thresholds(texts)


@pytest.mark.parametrize("text", ["", "fox", "fox=", "fox=2", "nan", "-0.1", "1e9"])
def test_threshold_that_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match=r"expected a number from 0 to 1 such as 0.6, or CLASS=0.8"):
        read_thresholds([text])


def test_threshold_for_a_class_that_does_not_exist_is_refused() -> None:
    with pytest.raises(OptionError, match="the model has no class 'wolf'; it has cat, dog, fox"):
        LabelRules(thresholds={"wolf": 0.5}).check_names(NAMES)


@pytest.mark.parametrize(
    "wrong",
    [{"stable": (4, 3)}, {"threshold": 1.5}, {"thresholds": {"fox": -1}}, {"cooldown_s": -1}, {"hysteresis": 2}],
)
def test_rules_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(OptionError, match="expected"):
        LabelRules(**wrong)  # type: ignore[arg-type]


def test_ten_thousand_random_texts_are_read_or_refused() -> None:
    random = np.random.default_rng(5)
    for _ in range(10_000):
        text = bytes(random.integers(0, 256, random.integers(0, 12), np.uint8)).decode("latin-1")
        for read in (parse_stable, read_thresholds):
            try:
                read(text)
            except OptionError:
                continue


def test_documented_fields_are_true() -> None:
    page = (DOCS / "events.md").read_text()
    event = run([1e9 + second for second in range(10)], LabelRules())[1]
    others = ("active", "value", "limit", "repeated", "reason", "away_s")
    assert [name for name in (*KINDS, *event.to_dict(), *others) if f"`{name}`" not in page] == []


def test_of_several_that_may_be_true_each_is_believed_from_even_odds_on() -> None:
    assert LabelRules(hysteresis=0.25).for_several() == LabelRules(threshold=0.5, hysteresis=0.25)
    assert LabelRules(threshold=0.75).for_several() == LabelRules(threshold=0.75)
    assert LabelRules(threshold=0).for_several().enter("fox") == 0
    assert LabelRules().enter("fox") == 0


def test_threshold_of_nothing_is_a_threshold() -> None:
    assert read_thresholds(0.0) == (0.0, {})
    assert read_thresholds("cat=0") == (None, {"cat": 0.0})
    assert read_thresholds("cat=1") == (None, {"cat": 1.0})


def test_present_label_may_sink_just_as_far_as_the_hysteresis_says() -> None:
    rules = LabelRules(threshold=0.5, hysteresis=0.25)
    first, kept, lost = (
        Result(np.array(probs, np.float32), NAMES)
        for probs in ((0.75, 0.125, 0.125), (0.25, 0.4375, 0.3125), (0.2421875, 0.4375, 0.3203125))
    )
    assert told(rules, [first, kept, kept, lost]) == [(0, "cat"), (3, "unknown")]


def test_confidence_of_an_event_has_six_digits() -> None:
    result = Result(np.array([0.7578125, 0.1171875, 0.125], np.float32), NAMES)
    (event,) = Watch(LabelRules()).see(result, Moment("pen", 0, 0.0, 1e9))
    assert event.facts["conf"] == 0.757812
