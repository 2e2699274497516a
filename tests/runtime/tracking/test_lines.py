"""Lines: in and out, trembling, ways round the end, and things that were hidden."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevit.errors import EdgevitError, ImageError, OptionError
from edgevit.runtime.tracking.lines import Crossing, Line, LineState, Seen, check_lines, next_crossings, parse_line

GATE = parse_line("gate=0.5,0,0.5,1")
"""From the middle of the upper edge down: its left is the picture's right."""
SIZE = (100, 200)


def _walk(line: Line, points: Sequence[tuple[float, float]], *, track: int = 1, side: float = 20) -> list[Crossing]:
    """Return who goes over the line on a way through these points."""
    state = LineState()
    crossings: list[Crossing] = []
    for point in points:
        state, found = next_crossings(line, state, [Seen(track, "hen", point, side)], SIZE)
        crossings += found
    return crossings


def test_in_is_from_left_to_right_of_the_way_from_the_first_end_to_the_second() -> None:
    # who walks down the picture has its right edge on his left hand
    assert [each.inwards for each in _walk(GATE, [(120, 50), (80, 50)])] == [True]
    assert [each.inwards for each in _walk(GATE, [(80, 50), (120, 50)])] == [False]
    turned = parse_line("gate=0.5,1,0.5,0")
    assert [each.inwards for each in _walk(turned, [(80, 50), (120, 50)])] == [True]


@pytest.mark.parametrize("text", ["gate=201,0,100,100", "gate=100,0,100,101"])
def test_a_line_beyond_the_picture_is_refused_as_a_region_is(text: str) -> None:
    with pytest.raises(
        ImageError, match=r"line gate reaches to \d+x\d+, but the picture is 200x100 pixels; give shares"
    ):
        parse_line(text).ends(SIZE)
    assert parse_line("gate=200,0,100,100").ends(SIZE) == ((200, 0), (100, 100))


def test_each_label_has_its_own_counts() -> None:
    state = LineState()
    for label, track in (("hen", 1), ("hen", 2), ("fox", 3)):
        for x in (120, 80):
            state, crossings = next_crossings(GATE, state, [Seen(track, label, (x, 50), 20)], SIZE)
    assert crossings == (Crossing("gate", 3, "fox", True, {"in": 1, "out": 0}),)
    assert state.counts == {"hen": {"in": 2, "out": 0}, "fox": {"in": 1, "out": 0}}
    assert state.kept(set()).counts == state.counts
    assert state.kept({2}).passages.keys() == {2}


def test_trembling_on_the_line_counts_once() -> None:
    # a quarter of 20 pixels is 5: at 96 and 104 it is on neither side
    way = [(120, 50), *[(96, 50), (104, 50)] * 5, (94, 50), *[(104, 50), (96, 50)] * 5, (90, 50)]
    assert [each.inwards for each in _walk(GATE, way)] == [True]


def test_there_and_back_counts_once_each_way() -> None:
    assert [each.inwards for each in _walk(GATE, [(120, 50), (80, 50), (120, 50), (80, 50)])] == [True, False, True]


def test_way_back_before_it_was_clear_counts_nothing() -> None:
    assert _walk(GATE, [(120, 50), (97, 50), (103, 50), (120, 50)]) == []


def test_who_begins_on_the_line_is_not_counted() -> None:
    assert _walk(GATE, [(101, 50), (80, 50)]) == []


def test_way_round_the_end_is_none_over_the_line() -> None:
    short = parse_line("gate=100,0,100,40")
    assert _walk(short, [(120, 60), (80, 60), (80, 20)]) == []
    assert [each.inwards for each in _walk(short, [(120, 60), (80, 60), (80, 20), (120, 20)])] == [False]


def test_way_over_the_line_and_round_its_end_back_counts_nothing() -> None:
    short = parse_line("gate=100,0,100,40")
    assert _walk(short, [(120, 30), (97, 30), (97, 60), (120, 60), (120, 30)]) == []


def test_hidden_while_it_crossed_still_counts() -> None:
    assert len(_walk(GATE, [(190, 50), (10, 50)])) == 1


def test_slanting_line_in_pixels() -> None:
    slant = parse_line("path=0,0,100,100")
    # along the diagonal to the lower right, the lower left is on the right
    assert [each.inwards for each in _walk(slant, [(70, 30), (30, 70)])] == [True]


@given(st.lists(st.tuples(st.floats(0, 200), st.floats(0, 100)), min_size=2, max_size=30))
def test_ways_in_and_out_take_turns(points: list[tuple[float, float]]) -> None:
    ways = [each.inwards for each in _walk(GATE, points)]
    assert all(one != other for one, other in zip(ways, ways[1:], strict=False))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,0,1,1", "expected name=x1,y1,x2,y2 such as gate=0.5,0,0.5,1"),
        ("=0,0,1,1", "expected name=x1,y1,x2,y2"),
        ("gate=0,0,1", "expected name=x1,y1,x2,y2"),
        ("gate=a,0,1,1", "expected name=x1,y1,x2,y2"),
        ("gate=-1,0,5,5", "gate is -1,0,5,5, expected x1,y1,x2,y2 from 0"),
        ("gate=nan,0,5,5", "line= gate[0] is nan, expected a finite number"),
        ("gate=3,4,3,4", "both ends are the same point"),
    ],
)
def test_wrong_line_is_one_line(text: str, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_line(text)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_lines_have_names_of_their_own() -> None:
    with pytest.raises(OptionError, match="two lines are named 'gate'"):
        check_lines([GATE, GATE])


@given(st.text(alphabet="0123456789.,=-einfag\n\x85", max_size=14))
def test_any_text_is_a_line_or_a_message_of_one_line(text: str) -> None:
    message = ""
    try:
        parse_line(text)
    except EdgevitError as error:
        message = str(error)
    assert len(message.splitlines()) <= 1
