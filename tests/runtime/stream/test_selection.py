"""--every, --fps, --rotate, --roi and --tiles: which frame, which part of it, which way up."""

import random

import numpy as np
import pytest

from edgevit.errors import EdgevitError, ImageError, OptionError
from edgevit.runtime.images.regions import TURNS, Region, check_regions, cut, parse_grid, parse_region, tile_regions
from edgevit.runtime.sources.sampling import SamplingInterval, parse_duration, parse_pace

COUNTED = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
"""(4, 6, 3), each byte another."""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5s", 5),
        ("5", 5),
        (5, 5),
        (0.25, 0.25),
        ("500ms", 0.5),
        ("1.5m", 90),
        ("2 min", 120),
        ("1h", 3600),
        ("1d", 86400),
    ],
)
def test_durations_are_read_with_their_unit(text: str | float, seconds: float) -> None:
    assert parse_duration(text, "--every") == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-1s", "5 weeks", "s", "nan", "inf", "1e400", "٥s", "1,5s"])
def test_wrong_duration_is_one_line(text: str) -> None:
    with pytest.raises(OptionError, match="expected a time such as 5s, 500ms or 2m"):
        parse_duration(text, "--every")


def test_fps_is_the_inverse_of_every() -> None:
    assert parse_pace(None, 4) == parse_pace("250ms", None) == SamplingInterval(0.25)
    assert parse_pace(None, None) == SamplingInterval(None)
    with pytest.raises(OptionError, match="give one of them"):
        parse_pace("5s", 4)
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(OptionError, match="expected a number of frames a second above 0"):
            parse_pace(None, wrong)


def test_rhythm_is_kept_and_missed_beats_are_not_made_up_for() -> None:
    pace = SamplingInterval(5.0)
    assert pace.next_due(10, 10.2) == 15
    assert pace.next_due(10, 14.9) == 15
    assert pace.next_due(10, 15.0) == 20
    assert pace.next_due(10, 27.0) == 30
    assert SamplingInterval().next_due(10, 11.5) == 11.5


def test_rotation_is_clockwise() -> None:
    assert TURNS[90](COUNTED)[0, -1].tolist() == COUNTED[0, 0].tolist()
    assert TURNS[90](COUNTED).shape == (6, 4, 3)
    assert TURNS[180](COUNTED)[-1, -1].tolist() == COUNTED[0, 0].tolist()
    assert TURNS[270](COUNTED)[-1, 0].tolist() == COUNTED[0, 0].tolist()
    assert TURNS[0](COUNTED) is COUNTED
    for degrees in (90, 180, 270):
        assert np.array_equal(TURNS[360 - degrees](TURNS[degrees](COUNTED)), COUNTED)


def test_region_in_pixels_and_the_same_in_shares_are_the_same() -> None:
    assert np.array_equal(cut(COUNTED, parse_region("gate=3,1,3,2")), COUNTED[1:3, 3:6])
    assert np.array_equal(cut(COUNTED, parse_region("gate=0.5,0.25,0.5,0.5")), COUNTED[1:3, 3:6])
    assert np.array_equal(cut(COUNTED, parse_region("all=0,0,1,1")), COUNTED)


def test_tiny_share_is_still_a_pixel() -> None:
    assert cut(COUNTED, Region("dot", 0.999, 0.999, 0.001, 0.001)).shape == (1, 1, 3)


def test_region_beyond_the_picture_names_both_sizes() -> None:
    with pytest.raises(ImageError, match="region gate reaches to 7x2, but the picture is 6x4 pixels; give shares"):
        cut(COUNTED, parse_region("gate=5,0,2,2"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,0,1,1", "expected name=x,y,w,h such as gate=0.1,0.2,0.5,0.5"),
        ("=0,0,1,1", "expected name=x,y,w,h"),
        ("gate=0,0,1", "expected name=x,y,w,h"),
        ("gate=a,0,1,1", "expected name=x,y,w,h"),
        ("gate=0,0,0,1", "roi= gate is 0,0,0,1, expected x,y,w,h from 0, w and h above 0"),
        ("gate=-1,0,5,5", "roi= gate is -1,0,5,5, expected"),
        ("gate=nan,0,5,5", "roi= gate[0] is nan, expected a finite number"),
        ("gate=0.6,0,0.5,1", "which reaches beyond the picture; x+w, y+h <= 1"),
    ],
)
def test_wrong_region_is_one_line(text: str, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_region(text)
    assert message in str(caught.value)


def test_regions_have_names_of_their_own() -> None:
    with pytest.raises(OptionError, match="two regions are named 'gate'"):
        check_regions([Region("gate", 0, 0, 1, 1)] * 2)


@pytest.mark.parametrize("size", [(4, 6), (5, 7), (480, 641)])
def test_tiles_cover_every_pixel_once(size: tuple[int, int]) -> None:
    seen = np.zeros((*size, 3), np.uint8)
    tiles = tile_regions(*parse_grid("3x2"))
    for tile in tiles:
        part = cut(seen, tile)
        part += 1
    assert (seen == 1).all()
    assert [tile.name for tile in tiles] == ["r1c1", "r1c2", "r1c3", "r2c1", "r2c2", "r2c3"]


@pytest.mark.parametrize("text", ["", "3", "3x", "0x2", "3x2x1", "11x10", "-1x-2", "٣x٢"])
def test_wrong_tiles_are_one_line(text: str) -> None:
    with pytest.raises(OptionError, match="expected columns x rows such as 3x2, at most 100 tiles"):
        parse_grid(text)


def test_any_text_is_an_option_or_one_line() -> None:
    draw, messages = random.Random(6), []
    for _ in range(10_000):
        text = "".join(draw.choice("0123456789.,=x-seminfag\n\x85") for _ in range(draw.randrange(14)))
        for read in (parse_region, parse_grid, lambda text: parse_duration(text, "--every")):
            try:
                read(text)
            except EdgevitError as error:
                messages.append(str(error))
    assert len(messages) > 1000
    assert [message for message in messages if len(message.splitlines()) != 1] == []
