"""The few things that a data.yaml of detection tools says, read without a YAML library, which the board does not have.

Keys at the margin are read that hold text, a list, or one level of keys, in brackets or indented. What lies deeper,
such as the settings of a training, is passed over.
"""

import json
from collections.abc import Iterable, Iterator
from typing import TypeVar

from edgevit.errors import DataError

Value = str | list[str] | dict[str, str] | None
Read = TypeVar("Read")


def read_yaml(text: str, where: str) -> dict[str, Value]:
    """Return what the keys at the margin hold; None where a bracket or a quote is never closed.

    Args:
        text: of which the first document is read.
        where: the file, for messages.

    Raises:
        DataError: a key stands twice.
    """
    try:
        return _unique((key, _read(first, block)) for key, first, block in _blocks(text))
    except ValueError as error:
        raise DataError(f"{where}: {error}") from error


def _read(first: str, block: list[str]) -> Value:
    """Return what stands behind a key, and below it."""
    if not first:
        return _read_block(block)
    # brackets may go on over several lines
    joined = " ".join([first, *(line.strip() for line in block)]).strip()
    return _read_brackets(joined) if first[0] in "[{" else _scalar(joined)


def _unique(pairs: Iterable[tuple[str, Read]]) -> dict[str, Read]:
    found: dict[str, Read] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key[:60]!r} stands twice; leave one out")
        found[key] = value
    return found


def _blocks(text: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield each key at the margin, what stands behind it, and the lines below that belong to it."""
    key, first, block = "", "", list[str]()
    for line in map(_without_comment, text.splitlines()):
        pair = _split_pair(line) if line[:1] not in (" ", "\t", "-", "]", "}", "") else None
        if pair is not None:
            if key:
                yield key, first, block
            (key, first), block = pair, []
        elif line.startswith(("---", "...")):
            if key:  # another document
                break
        elif line.strip():
            block.append(line)
    if key:
        yield key, first, block


def _read_block(lines: list[str]) -> Value:
    """Return lines of "- item", or of "key: value"; those that are indented deeper than the first belong to others."""
    margin = min((_indent(line) for line in lines), default=0)
    own = [line.strip() for line in lines if _indent(line) == margin]
    if own and all(line.startswith("-") for line in own):
        return [_scalar(line[1:].strip()) for line in own]
    return _unique(_pairs(own))


def _read_brackets(text: str) -> Value:
    places = list(_unquoted(text))
    depths = [depth for _, _, depth in places]
    if not places or depths[-1] != 0 or text[-1] not in "]}":
        return None
    commas = [0, *(place for place, character, depth in places if character == "," and depth == 1), len(text) - 1]
    entries = [text[start + 1 : end].strip() for start, end in zip(commas, commas[1:], strict=False)]
    entries = [entry for entry in entries if entry]
    return [_scalar(entry) for entry in entries] if text[0] == "[" else _unique(_pairs(entries))


def _pairs(entries: list[str]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        if pair := _split_pair(entry):
            yield pair[0], _scalar(pair[1])


def _split_pair(text: str) -> tuple[str, str] | None:
    for place, character, depth in _unquoted(text):
        if character == ":" and depth == 0 and text[place + 1 : place + 2] in (" ", "\t", ""):
            return _scalar(text[:place].strip()), text[place + 1 :].strip()
    return None


def _unquoted(text: str) -> Iterator[tuple[int, str, int]]:
    """Yield place, character and depth in brackets, after it, of all that stands outside of quotes."""
    quote, before, depth, place = "", "", 0, 0
    while place < len(text):
        character = text[place]
        if quote:
            if quote == '"' and character == "\\":
                place += 1
            elif character == quote:
                quote = ""
        elif character in "\"'" and before in ("", ",", "[", "{", ":", "-"):
            quote = character
        else:
            depth += (character in "[{") - (character in "]}")
            yield place, character, depth
        before = before if character.isspace() else character
        place += 1


def _without_comment(line: str) -> str:
    for place, character, _ in _unquoted(line):
        if character == "#" and (place == 0 or line[place - 1].isspace()):
            return line[:place].rstrip()
    return line.rstrip()


def _scalar(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if len(text) > 1 and text[0] == text[-1] == '"':
        try:
            return str(json.loads(text))
        except ValueError:
            return text[1:-1]
    return text


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
