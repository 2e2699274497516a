"""JSON from outside is parsed, or refused, whatever its nesting."""

import json
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
        with pytest.raises(ValueError, match="nested deeper|ends amid a value"):
            read_json(text)
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "b": 2, "a": 3}', "the key 'a' stands twice in one object; leave one out"),
        ('[{"x": {"": 0, "": 0}}]', "the key '' stands twice in one object"),
        ('{"a": [1, 2', "it ends amid a value, after 11 characters; copy it again"),
        ('{"a": "b', "it ends amid a value, after 8 characters"),
        ('{"a": tru', "it ends amid a value"),
        ('{"a": [12.', "it ends amid a value"),
        ('{"a": "\\u00', "it ends amid a value"),
        (" \n", "it is empty"),
        ('{"a": 1,}', "Expecting property name"),
    ],
)
def test_what_is_wrong_with_a_document_is_said(text: str, message: str) -> None:
    """Python would take the last of two equal keys without a word."""
    with pytest.raises(ValueError, match=message):
        read_json(text)


@pytest.mark.parametrize(
    "text", ['{"a": 1}\n{"a": 2}\n', '{"a": 1} b', '{"a": 1, // b\n}', '{"a": 1,}', "text", '{"a": b}']
)
def test_what_has_its_end_is_not_called_cut_off(text: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        read_json(text)


def test_equal_keys_of_two_objects_are_no_twins() -> None:
    assert read_json('[{"a": 1}, {"a": 2, "b": {"a": 3}}]') == [{"a": 1}, {"a": 2, "b": {"a": 3}}]
