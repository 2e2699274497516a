"""From plain values to frozen dataclasses, by their annotations: each field checked once, at the door.

`read_value` reads parsed JSON and TOML. `check_options` and `options_from` do the same for options, whether they come
from Python or from the command line, and raise OptionError.
"""

import collections.abc
import contextlib
import dataclasses
import functools
import inspect
import json
import math
import numbers
import os
import re
import sys
import types
import typing
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, ParamSpec, TypeVar

from edgevit.errors import OptionError

Options = TypeVar("Options")
Answer = TypeVar("Answer")
Given = ParamSpec("Given")

KINDS = {int: "a whole number", bool: "true or false", str: "text", float: "a finite number"}
"""Types of single values, in words; any class that stands for a path is "a path"."""

MOST_VALUES = 1_000_000
"""Values of one list that are read at most."""
DEEPEST = 100
"""Objects and lists within each other that a JSON document may have."""
MOST_DIGITS = 20
"""Digits of a whole number that are read."""

_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"')
_BRACKET = re.compile(r"[\[{\]}]")


class CutOffError(ValueError):
    """A JSON document lacks its end."""


def read_json(text: str) -> Any:
    """Parse a JSON document from outside.

    Python's own parser recurses as deep as the document does; where a package has raised the recursion limit, deep
    nesting crashes the process instead of raising.

    Raises:
        CutOffError: it ends before its end.
        ValueError: it is no JSON, has a key twice in one object, of which Python would take the last, or is nested
            deeper than DEEPEST.
    """
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub("", text)):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > DEEPEST:
            raise ValueError(f"nested deeper than {DEEPEST}")
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        if not text.strip():
            raise ValueError("it is empty") from error
        if _is_cut_off(text, error):
            raise CutOffError(f"it ends amid a value, after {len(text):,} characters; copy it again") from error
        raise


def _is_cut_off(text: str, error: json.JSONDecodeError) -> bool:
    """Tell whether nothing closes what is open where the parser stopped: it may be amid a name, a number or `true`."""
    rest = text[error.pos :].strip()
    open_yet = text.lstrip()[:1] in ("[", "{") and error.msg != "Extra data" and not _BRACKET.search(rest)
    return not rest or open_yet or error.msg.startswith("Unterminated")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twin = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise ValueError(f"the key {twin[:60]!r} stands twice in one object; leave one out")
    return found


def is_whole(text: str) -> bool:
    """Tell whether a text is a whole number: digits from 0 to 9 alone, and no more of them than a count can have.

    `str.isdecimal` takes digits of other scripts, too, and `int` refuses thousands of them in words of its own.
    """
    return text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS


def is_plain(text: str) -> bool:
    """Tell whether a number that a text is has no digits of other scripts and no "_", which `int` and `float` take."""
    return text.isascii() and "_" not in text


def read_number(text: str) -> float:
    """Return the number that a text is.

    Raises:
        ValueError: it is none, or not plain.
    """
    if not is_plain(text):
        raise ValueError(f"{text!r} is no plain number")
    return float(text)


class FieldError(ValueError):
    """A field of a document is wrong: "WHERE is FOUND, expected EXPECTED"."""


@dataclass(frozen=True)
class Range:
    """Bounds of a number, both allowed; it stands in an annotation: Annotated[int, Range(1)]."""

    low: float = -sys.float_info.max
    high: float = sys.float_info.max

    def words(self, kind: str) -> str:
        """Return "a number from 0 to 1" or "a whole number, 1 or more"."""
        kind = kind.replace("finite ", "")
        low, high = (str(bound) if isinstance(bound, int) else f"{bound:g}" for bound in (self.low, self.high))
        if self.high == sys.float_info.max:
            return f"{kind}, {low} or more"
        if self.low == -sys.float_info.max:
            return f"{kind}, {high} or less"
        return f"{kind} from {low} to {high}"


Share = Annotated[float, Range(0, 1)]
"""A score, a confidence, or a part of a whole."""
Seed = Annotated[int, Range(0, 2**63 - 1)]
"""What chance comes from: as much as PyTorch takes."""


def read_value(kind: Any, value: Any, where: str) -> Any:
    """Return a plain value as the annotated type `kind`, or raise FieldError naming the field."""
    if type(kind) is type and kind in KINDS:  # most values are single ones, and the questions below take longer
        return _read_single(kind, value, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return _read_annotated(kind, value, where)
    if origin in (types.UnionType, typing.Union):
        return _read_union(kind, value, where)
    if origin is Literal:
        known = any(value == one and type(value) is type(one) for one in arguments)
        _check(known, value, f"one of {', '.join(map(str, arguments))}", where)
        return value
    if origin in (tuple, collections.abc.Sequence):
        # mean and deviation are often arrays
        value = value.tolist() if hasattr(value, "tolist") else value
        _check(isinstance(value, list | tuple), value, "a list", where)
        _check(len(value) <= MOST_VALUES, f"{len(value)} values", f"at most {MOST_VALUES}", where)
        many = origin is not tuple or arguments[-1] is ...
        kinds = [arguments[0]] * len(value) if many else list(arguments)
        _check(len(value) == len(kinds), value, f"{len(kinds)} values", where)
        return tuple(read_value(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(kinds, value, strict=True)))
    if origin in (dict, collections.abc.Mapping):
        _check(isinstance(value, Mapping), value, "an object", where)
        _check(len(value) <= MOST_VALUES, f"{len(value)} values", f"at most {MOST_VALUES}", where)
        return {key: read_value(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(kind):
        return value if isinstance(value, typing.cast(type, kind)) else _read_dataclass(kind, value, where)
    return _read_single(kind, value, where)


def _read_single(kind: Any, value: Any, where: str) -> Any:
    if kind is Any or kind is types.NoneType and value is None:
        return value
    expected = KINDS.get(kind) or ("nothing" if kind is types.NoneType else _words(kind))
    if kind is float:
        _check(_is_finite(value), value, expected, where)
        return float(value)
    if kind is int:
        _check(isinstance(value, numbers.Integral) and not isinstance(value, bool), value, expected, where)
        return int(value)
    if kind is str:
        _check(isinstance(value, str) and _is_printable(value), value, expected, where)
        return value
    if _is_path(kind):
        # the empty text of a variable that is not set would be the current folder
        _check(isinstance(value, str | os.PathLike) and value != "" and "\0" not in str(value), value, expected, where)
        return kind(value)
    _check(isinstance(value, kind), value, expected, where)
    return value


def _is_path(kind: Any) -> bool:
    """Tell whether a type is that of paths, without importing pathlib, which most documents do not need."""
    return isinstance(kind, type) and issubclass(kind, os.PathLike)


def _is_printable(text: str) -> bool:
    """Tell whether a text can be written: half of a surrogate pair is valid JSON, but belongs to no character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_finite(value: Any) -> bool:
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _read_annotated(kind: Any, value: Any, where: str) -> Any:
    inner, *notes = typing.get_args(kind)
    read = read_value(inner, value, where)
    for bounds in (note for note in notes if isinstance(note, Range)):
        _check(bounds.low <= read <= bounds.high, value, bounds.words(_words(inner)), where)
    return read


def _read_union(kind: Any, value: Any, where: str) -> Any:
    """Return a value as the first of several types that takes it; None stands for nothing."""
    kinds = [one for one in typing.get_args(kind) if one is not types.NoneType]
    if value is None and len(kinds) < len(typing.get_args(kind)):
        return None
    if len(kinds) == 1:
        return read_value(kinds[0], value, where)
    for one in kinds[:-1]:
        with contextlib.suppress(FieldError):
            return read_value(one, value, where)
    try:
        return read_value(kinds[-1], value, where)
    except FieldError as error:
        raise FieldError(_wrong(value, " or ".join(map(_words, kinds)), where)) from error


def _words(kind: Any) -> str:
    """Return what a type is called in a message."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        words = _words(arguments[0])
        return next((note.words(words) for note in arguments[1:] if isinstance(note, Range)), words)
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin is tuple and arguments[-1] is not ...:
        return f"{len(arguments)} values"
    if origin in (tuple, collections.abc.Sequence):
        return "a list"
    if origin in (dict, collections.abc.Mapping):
        return "an object"
    return "a path" if _is_path(kind) else KINDS.get(kind, getattr(kind, "__name__", str(kind)))


@functools.lru_cache(maxsize=256)
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


def _read_dataclass(kind: Any, value: Any, where: str) -> Any:
    _check(isinstance(value, Mapping), value, "an object", where)
    hints = _hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        _check(name in value or not required, "nothing", "a value", f"{where}.{name}")
    values = {name: read_value(hints[name], value[name], f"{where}.{name}") for name in fields if name in value}
    try:
        return kind(**values)
    except ValueError as error:
        raise FieldError(f"{where}.{error}") from error


def check_options(options: Any) -> None:
    """Check the fields of a frozen dataclass by their annotations; its __post_init__ calls this first.

    A field takes the form that its annotation names: text becomes a Path, a list a tuple, a whole number a float.

    Raises:
        OptionError: a value is of another type, or out of its Range or Literal.
    """
    hints = _hints(options.__class__)
    for field in dataclasses.fields(options):
        if field.init:
            value = check_argument(hints[field.name], getattr(options, field.name), field.name)
            object.__setattr__(options, field.name, value)


def check_argument(kind: Any, value: Any, name: str) -> Any:
    """Return an argument of a function as the type that its annotation names.

    Raises:
        OptionError: it is of another type, or out of its Range or Literal.
    """
    try:
        return read_value(kind, value, option_name(name))
    except FieldError as error:
        raise OptionError(str(error)) from error


def check_functions(**given: Any) -> None:
    """Raise OptionError for what is to be called and is no function, as in on_event=print("it came")."""
    for name, value in given.items():
        if value is not None and not callable(value):
            raise OptionError(f"{option_name(name)} is {value!r}, expected a function")


def options_from(kind: type[Options], given: Mapping[str, Any]) -> Options:
    """Return a dataclass of options made from keywords.

    Raises:
        OptionError: it has no option of a name that was given, and which is the nearest; or a value is wrong.
    """
    _check_names(given, [field.name for field in dataclasses.fields(typing.cast(Any, kind)) if field.init])
    return kind(**given)


def named(function: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """Make a keyword that a function does not have an OptionError, which names the nearest that it has."""
    known = [name for name in inspect.signature(function).parameters if name != "self"]

    @functools.wraps(function)
    def checking(*arguments: Given.args, **options: Given.kwargs) -> Answer:
        _check_names(options, known)
        return function(*arguments, **options)

    return checking


def named_fields(kind: type[Options]) -> type[Options]:
    """Do the same for a dataclass that is made directly; the decorator stands above @dataclass."""
    setattr(kind, "__init__", named(kind.__init__))  # noqa: B010 (mypy takes no assignment to a method)
    return kind


def _check_names(given: Iterable[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            import difflib

            close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {option_name(close[0])}?" if close else f"choose from {', '.join(known)}"
            raise OptionError(f"there is no option {option_name(name)}; {hint}")


def option_name(field: str) -> str:
    """Return a field's name as messages have it, "--max-frames"; an EdgevitError shows it as max_frames= in Python."""
    return f"--{field.replace('_', '-')}"


def _check(condition: bool, found: Any, expected: str, where: str) -> None:
    if not condition:
        raise FieldError(_wrong(found, expected, where))


def _wrong(found: Any, expected: str, where: str) -> str:
    # the text of a list of millions would take as much memory again
    short = not isinstance(found, list | Mapping) or len(found) < 60
    shown = repr(found) if short and len(repr(found)) < 60 else type(found).__name__
    return f"{where} is {shown}, expected {expected}"
