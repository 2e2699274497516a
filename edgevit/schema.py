"""From parsed JSON or TOML to frozen dataclasses, by their annotations: each field checked once, at the door."""

import dataclasses
import json
import re
import sys
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

MOST_VALUES = 1_000_000
"""Values of one list that are read at most."""
DEEPEST = 100
"""Objects and lists within each other that a JSON document may have."""

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_BRACKET = re.compile(r"[\[{\]}]")


def read_json(text: str) -> Any:
    """Parse a JSON document from outside.

    Python's own parser recurses as deep as the document does; where a package has raised the recursion limit, deep
    nesting crashes the process instead of raising.

    Raises:
        ValueError: it is no JSON, or nested deeper than DEEPEST.
    """
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub("", text)):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > DEEPEST:
            raise ValueError(f"nested deeper than {DEEPEST}")
    return json.loads(text)


class FieldError(ValueError):
    """A field of a document is wrong: "WHERE is FOUND, expected EXPECTED"."""


def read_value(kind: Any, value: Any, where: str) -> Any:
    """Return a JSON or TOML value as the annotated type `kind`, or raise FieldError naming the field."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return None if value is None else read_value(arguments[0], value, where)
    if origin is Literal:
        _check(value in arguments, value, f"one of {', '.join(map(str, arguments))}", where)
        return value
    if origin is tuple:
        _check(isinstance(value, list), value, "a list", where)
        _check(len(value) <= MOST_VALUES, f"{len(value)} values", f"at most {MOST_VALUES}", where)
        kinds = [arguments[0]] * len(value) if arguments[-1] is ... else list(arguments)
        _check(len(value) == len(kinds), value, f"{len(kinds)} values", where)
        return tuple(read_value(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(kinds, value, strict=True)))
    if origin is dict:
        _check(isinstance(value, Mapping), value, "an object", where)
        _check(len(value) <= MOST_VALUES, f"{len(value)} values", f"at most {MOST_VALUES}", where)
        return {key: read_value(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(kind, value, where)
    if kind is float:
        _check(type(value) in (int, float) and abs(value) < sys.float_info.max, value, "a finite number", where)
        return float(value)
    if kind is str:
        # half of a surrogate pair is valid JSON, but cannot be printed
        _check(isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value), value, "text", where)
        return value
    _check(type(value) is kind, value, kind.__name__, where)
    return value


def _read_dataclass(kind: Any, value: Any, where: str) -> Any:
    _check(isinstance(value, Mapping), value, "an object", where)
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        _check(name in value or not required, "nothing", "a value", f"{where}.{name}")
    values = {name: read_value(hints[name], value[name], f"{where}.{name}") for name in fields if name in value}
    try:
        return kind(**values)
    except ValueError as error:
        raise FieldError(f"{where}.{error}") from error


def _check(condition: bool, found: Any, expected: str, where: str) -> None:
    if not condition:
        # the text of a list of millions would take as much memory again
        short = not isinstance(found, list | Mapping) or len(found) < 60
        shown = repr(found) if short and len(repr(found)) < 60 else type(found).__name__
        raise FieldError(f"{where} is {shown}, expected {expected}")
