"""A value of a wrong type given in Python is an OptionError of one line, and no error from within."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgevit
from edgevit.errors import OptionError
from edgevit.runtime.events.counts import CountRule
from edgevit.runtime.images.regions import Region
from edgevit.runtime.results import Result
from edgevit.runtime.segmentation import Segmentation
from edgevit.runtime.sources.stop import check_stop
from edgevit.runtime.tracking.lines import Line

RESULT = Result(np.array([0.75, 0.25], np.float32), ("hen", "fox"))
SEGMENTATION = Segmentation(
    RESULT.probs, RESULT.names, mask=np.zeros((4, 4), np.uint8), palette=((0, 0, 0), (255, 255, 255))
)
TEXT: Any = "0.5"
"""What is given where a number is expected."""
NUMBER: Any = 5
NOTHING: Any = None
SHARES = "shares of the picture go from 0 to 1"
UNITS = f"{SHARES}, and pixels are whole numbers"
SHARE = "is '0.5', expected a finite number"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: edgevit.load(NOTHING), "the model is None, expected text or a path"),
        (lambda: edgevit.load(NUMBER), "the model is 5, expected text or a path"),
        (lambda: edgevit.run(NUMBER), "options= is 5, expected an edgevit.RunOptions"),
        (lambda: check_stop(NUMBER), "stop= is 5, expected an edgevit.Stop"),
        (lambda: Region("gate", TEXT, 0, 1, 1), "roi= gate[0] is '0.5', expected a finite number"),
        (lambda: Region("gate", 0, 0, 1, float("inf")), "roi= gate[3] is inf, expected a finite number"),
        (lambda: Region(NUMBER, 0, 0, 1, 1), "roi= name is 5, expected text"),
        (lambda: Region("g", 0.1, 0.1, 0.5, 1.2), f"roi= g is 0.1,0.1,0.5,1.2; {UNITS}"),
        (lambda: Region("g", 0, 0, 1, 2), f"roi= g is 0,0,1,2; {SHARES}, and w and h in pixels from 2"),
        (lambda: Line("g", 0.5, 0, 0.5, 1.2), f"line= g is 0.5,0,0.5,1.2; {UNITS}"),
        (lambda: Line("gate", 0, TEXT, 1, 1), "line= gate[1] is '0.5', expected a finite number"),
        (lambda: CountRule("hen", ">=", TEXT), "limit= is '0.5', expected a whole number"),
        (lambda: RESULT.top(TEXT), "k= is '0.5', expected a whole number"),
        (lambda: RESULT.top(-1), "k= is -1, expected a whole number, 0 or more"),
        (lambda: RESULT.top(2, TEXT), f"threshold= {SHARE}"),
        (lambda: RESULT.top(2, 50), "threshold= is 50, expected a number from 0 to 1"),
        (lambda: RESULT.to_dict(threshold=TEXT), f"threshold= {SHARE}"),
        (lambda: RESULT.to_json(threshold=TEXT), f"threshold= {SHARE}"),
        (lambda: SEGMENTATION.segments(TEXT), f"threshold= {SHARE}"),
        (lambda: SEGMENTATION.overlay(TEXT), f"alpha= {SHARE}"),
    ],
)
def test_wrong_type_is_one_line(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        call()
    assert str(caught.value) == message


def test_numbers_of_numpy_are_numbers() -> None:
    best: Any = (np.int64(2), np.float32(0.5))
    assert RESULT.top(*best) == (("hen", 0.75),)
    values: Any = (np.float32(0.5), 0, np.float32(0.5), np.int64(1))
    assert Region("gate", *values).in_shares


def test_stop_of_a_wrong_type_is_told_before_the_stream_begins(tiny_model: Path) -> None:
    with edgevit.load(tiny_model) as model, pytest.raises(OptionError, match="^stop= is 5, expected an edgevit.Stop$"):
        model.stream("sample", stop=NUMBER)
