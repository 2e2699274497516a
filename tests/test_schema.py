"""Options are checked once, by their annotations, and messages speak as their reader types."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from edgevit.errors import OptionError, OutputError
from edgevit.schema import Range, check_options, options_from


@dataclass(frozen=True)
class Inner:
    side: int = 1


@dataclass(frozen=True)
class Made:
    count: Annotated[int, Range(1)] = 1
    share: Annotated[float, Range(0, 1)] = 0.0
    every: str | float | None = None
    data: Path | None = None
    form: Literal["float", "int8"] = "float"
    names: Sequence[str] = ()
    limits: Mapping[str, float] = field(default_factory=dict)
    inner: Inner | None = None
    max_frames: int | None = None

    def __post_init__(self) -> None:
        check_options(self)


def test_values_take_the_form_that_their_annotation_names() -> None:
    made = Made(count=np.int64(3), share=np.float32(0.5), data="photos", names=["a", "b"])  # type: ignore[arg-type]
    assert (made.count, made.share, made.data, made.names) == (3, 0.5, Path("photos"), ("a", "b"))
    assert type(made.count) is int
    assert type(made.share) is float
    assert Made(inner=Inner(2)).inner == Inner(2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"count": "3"}, "count= is '3', expected a whole number"),
        ({"count": True}, "count= is True, expected a whole number"),
        ({"count": 0}, "count= is 0, expected a whole number, 1 or more"),
        ({"share": 1.5}, "share= is 1.5, expected a number from 0 to 1"),
        ({"share": 10**400}, "expected a finite number"),
        ({"share": float("nan")}, "share= is nan, expected a finite number"),
        ({"every": [5]}, r"every= is \[5\], expected text or a finite number"),
        ({"data": 3}, "data= is 3, expected a path"),
        ({"data": ""}, "data= is '', expected a path"),
        ({"form": "int9"}, "form= is 'int9', expected one of float, int8"),
        ({"names": "abc"}, "names= is 'abc', expected a list"),
        ({"limits": {"fox": "much"}}, "limits.fox= is 'much', expected a finite number"),
        ({"inner": 3}, "inner= is 3, expected an object"),
        ({"evry": "5s"}, r"there is no option evry=; did you mean every=\?"),
        ({"xyz": "5s"}, "there is no option xyz=; choose from count, share"),
    ],
)
def test_wrong_option_is_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        options_from(Made, given)


def test_message_names_options_as_its_reader_types_them() -> None:
    with pytest.raises(OptionError) as raised:
        Made(max_frames="many")  # type: ignore[arg-type]
    assert str(raised.value) == "max_frames= is 'many', expected a whole number"
    assert raised.value.command_line_text == "--max-frames is 'many', expected a whole number"


@pytest.mark.parametrize(
    ("typed", "in_python"),
    [
        ("--once means --max-frames 1; give one", "once= means max_frames=1; give one"),
        ("pass --weights FILE or --no-wait", "pass weights=FILE or wait=False"),
        ("--to 'a b' is no place", "to='a b' is no place"),
        ("run `pip install --upgrade edgevit`", "run `pip install --upgrade edgevit`"),
        ("the file a--b.jpg", "the file a--b.jpg"),
    ],
)
def test_option_is_shown_in_python_as_a_keyword(typed: str, in_python: str) -> None:
    assert str(OutputError(typed)) == in_python
    assert OutputError(typed).command_line_text == typed
