"""JSON from outside is parsed, or refused, whatever its nesting."""

import sys

import pytest

from edgevit.schema import read_json


def test_brackets_in_text_do_not_count_as_nesting() -> None:
    assert read_json('{"labels": ["' + "[" * 1000 + '", "\\\\"]}') == {"labels": ["[" * 1000, "\\"]}


@pytest.mark.parametrize(("depth", "sound"), [(100, True), (101, False)])
def test_nesting_is_bounded(depth: int, sound: bool) -> None:
    text = "[" * depth + "]" * depth
    if sound:
        assert read_json(text)[0] != []
    else:
        with pytest.raises(ValueError, match="nested deeper than 100"):
            read_json(text)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, '"' + "[" * 10])
def test_hostile_text_never_reaches_the_recursive_parser(text: str) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)  # as a package may have done: the parser would then crash the process
    try:
        with pytest.raises(ValueError, match="nested deeper|Unterminated"):
            read_json(text)
    finally:
        sys.setrecursionlimit(limit)
