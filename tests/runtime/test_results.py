import json

import numpy as np
import pytest

from edgevit.runtime.events.labels import LabelRules
from edgevit.runtime.results import Result
from edgevit.runtime.segmentation import Segmentation

NAMES = ("ant", "bee", "cat", "dog", "eel", "fox")
RESULT = Result(
    probs=np.array([0.05, 0.5, 0.25, 0.125, 0.0625, 0.0125], np.float32),
    names=NAMES,
    source="field/bee 1.jpg",
    preprocess_ms=1.23456,
    inference_ms=20.0,
    postprocess_ms=0.01,
)


def test_best_classes_come_first() -> None:
    assert (RESULT.top1, RESULT.top1_conf, RESULT.top1_index) == ("bee", 0.5, 1)
    assert RESULT.top5 == ("bee", "cat", "dog", "eel", "ant")
    assert RESULT.top5_conf == pytest.approx((0.5, 0.25, 0.125, 0.0625, 0.05))
    assert RESULT.top(2) == (("bee", 0.5), ("cat", 0.25))
    assert RESULT.top(6, threshold=0.1) == (("bee", 0.5), ("cat", 0.25), ("dog", 0.125))
    assert RESULT.top(6, LabelRules(threshold=0.1, thresholds={"cat": 0.3}).enter) == (("bee", 0.5), ("dog", 0.125))
    assert str(RESULT) == "bee 0.50"


def test_answers_of_thousands_of_classes_and_pixels_are_shown_in_one_line() -> None:
    assert repr(RESULT) == "Result('bee 0.50', source='field/bee 1.jpg')"
    names = tuple(f"class {number}" for number in range(1000))
    many = Result(np.eye(1000, dtype=np.float32)[7], names)
    assert repr([many]) == "[Result('class 7 1.00', source=None)]"
    mask = np.zeros((2, 2), np.uint8)
    palette = ((0, 0, 0),) * len(NAMES)
    drawn = Segmentation(RESULT.probs, NAMES, "a.jpg", mask=mask, palette=palette)
    assert repr(drawn) == f"Segmentation({str(drawn)!r}, source='a.jpg')"


def test_few_classes_make_a_short_list() -> None:
    result = Result(np.array([0.25, 0.75], np.float32), ("no", "yes"))
    assert result.top5 == ("yes", "no")
    assert result.source is None


def test_json_is_as_documented() -> None:
    assert json.loads(RESULT.to_json(k=2)) == {
        "source": "field/bee 1.jpg",
        "top1": "bee",
        "top1_conf": 0.5,
        "top1_index": 1,
        "top": [{"label": "bee", "conf": 0.5}, {"label": "cat", "conf": 0.25}],
        "preprocess_ms": 1.235,
        "inference_ms": 20.0,
        "postprocess_ms": 0.01,
    }


def test_json_is_one_line_of_ascii_that_keeps_any_file_name() -> None:
    name = b"caf\xe9\n.jpg".decode("utf-8", "surrogateescape")
    text = Result(np.array([1.0], np.float32), ("été",), source=name).to_json()
    assert text.isascii()
    assert "\n" not in text
    assert json.loads(text)["source"] == name
    assert json.loads(text)["top1"] == "été"


def test_result_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        RESULT.source = "other"  # type: ignore[misc]
