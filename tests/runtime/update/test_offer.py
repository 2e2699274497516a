"""Which boards take part in a percentage, and what a signed entry must say."""

import hashlib
from typing import Any

import pytest

from edgevit.errors import UpdateError
from edgevit.runtime.update.offer import Edition, read_offer, takes_part

SHA = hashlib.sha256(b"a model").hexdigest()


def test_place_of_a_board_is_the_hash_of_board_and_digest() -> None:
    """Worked out by `printf 'board7:...' | sha256sum`, its first eight digits, and the remainder by 100."""
    first = hashlib.sha256(f"board7:{SHA}".encode()).hexdigest()[:8]
    place = int(first, 16) % 100
    assert not takes_part("board7", SHA, place)
    assert takes_part("board7", SHA, place + 1)


def test_board_that_takes_part_stays_when_there_are_more() -> None:
    boards = [f"board{number}" for number in range(1000)]
    shares = [{board for board in boards if takes_part(board, SHA, percent)} for percent in (1, 10, 50, 100)]
    assert shares[0] < shares[1] < shares[2] < shares[3] == set(boards)
    # of a thousand, within five standard deviations
    assert 52 < len(shares[1]) < 148


def test_other_boards_come_first_with_another_model() -> None:
    other = hashlib.sha256(b"another model").hexdigest()
    boards = [f"board{number}" for number in range(1000)]
    first = {board for board in boards if takes_part(board, SHA, 10)}
    assert first != {board for board in boards if takes_part(board, other, 10)}


def test_entry_names_the_newest_and_what_the_others_keep() -> None:
    before = {"version": 4, "sha256": "b" * 64, "length": 9}
    custom = {"version": 5, "percent": 1, "before": before, "earlier": [before]}
    offer = read_offer("stable/farm.onnx", SHA, 7, custom)
    assert offer.newest == Edition(5, SHA, 7)
    outside = next(name for name in ("a", "b", "c") if not takes_part(name, SHA, 1))
    assert offer.wanted(outside) == Edition(4, "b" * 64, 9)


def test_a_board_takes_the_newest_from_its_own_place_on_and_keeps_the_one_before_below() -> None:
    before = {"version": 4, "sha256": "b" * 64, "length": 9}
    for board in ("board7", "board8"):
        place = int(hashlib.sha256(f"{board}:{SHA}".encode()).hexdigest()[:8], 16) % 100
        for percent, version in ((place, 4), (place + 1, 5)):
            custom = {"version": 5, "percent": percent, "before": before}
            wanted = read_offer("stable/farm.onnx", SHA, 7, custom).wanted(board)
            assert wanted is not None
            assert wanted.version == version


@pytest.mark.parametrize(
    ("custom", "told"),
    [
        (None, "custom is None"),
        ({}, "entry.version is None"),
        ({"version": 5}, "custom.percent is"),
        ({"version": "5", "percent": 10}, "entry.version is '5'"),
        ({"version": 5, "percent": 0}, "custom.percent is 0, expected a whole number from 1 to 100"),
        ({"version": 5, "percent": 101}, "custom.percent is 101"),
        ({"version": 5, "percent": 10, "before": {"version": 4}}, "custom.before.sha256 is"),
    ],
)
def test_entry_that_lacks_something_is_refused_by_its_name(custom: Any, told: str) -> None:
    with pytest.raises(UpdateError, match=rf"^the site's entry of stable/farm.onnx: {told}.*; publish it with"):
        read_offer("stable/farm.onnx", SHA, 7, custom)
    with pytest.raises(UpdateError):
        read_offer("stable/farm.onnx", None, 7, {"version": 5, "percent": 10})
