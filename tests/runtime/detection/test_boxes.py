"""Boxes, their overlaps, and what a result of detection counts."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from edgevit.errors import OptionError
from edgevit.runtime.detection.boxes import FoundBoxes, TrueBoxes, no_truth, nothing_found, overlaps
from edgevit.runtime.detection.result import Detections
from edgevit.runtime.images.regions import Region


def _found(*, ids: bool = False) -> Detections:
    return Detections(
        probs=np.array([0.9, 0.0, 0.4], np.float32),
        names=("hen", "fox", "egg"),
        multi_label=True,
        boxes=np.array([[0, 0, 10, 20], [50, 40, 70, 60], [90, 70, 100, 80]], np.float32),
        scores=np.array([0.9, 0.6, 0.4], np.float32),
        classes=np.array([0, 0, 2]),
        ids=np.array([3, 0, 1]) if ids else None,
        image=np.zeros((80, 100, 3), np.uint8),
    )


def test_overlap_is_intersection_over_union() -> None:
    one = np.array([[0, 0, 10, 10], [0, 0, 0, 0]], np.float32)
    other = np.array([[5, 0, 15, 10], [0, 0, 10, 5], [20, 20, 30, 30], [3, 3, 3, 3]], np.float32)
    assert overlaps(one, other) == pytest.approx(np.array([[1 / 3, 0.5, 0, 0], [0, 0, 0, 0]]), abs=1e-6)


def test_classes_of_one_name_are_counted_together() -> None:
    result = dataclasses.replace(_found(), names=("hen", "egg", "hen"))
    assert result.counts == {"hen": result.count("hen")} == {"hen": 3}


def test_counts_by_label_threshold_and_the_region_of_the_centre() -> None:
    result = _found()
    assert result.counts == {"hen": 2, "egg": 1}
    assert str(result) == "hen 2, egg 1"
    assert (result.count(), result.count("hen"), result.count("hen", 0.7), result.count("fox")) == (3, 2, 1, 0)
    # the second hen's centre is (60, 50): in the right half, though its box begins left of it
    right = Region("right", 0.55, 0, 0.45, 1)
    assert (result.count("hen", region=right), result.count(region=right)) == (1, 2)
    with pytest.raises(OptionError, match="no class 'cow'; it has hen, fox, egg"):
        result.count("cow")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"region": "gate"}, "region= is 'gate', expected an edgevit.Region such as"),
        ({"region": (0, 0, 1, 1)}, "region= is (0, 0, 1, 1), expected an edgevit.Region such as"),
        ({"threshold": "half"}, "threshold= is 'half', expected a finite number"),
        ({"threshold": 50}, "threshold= is 50, expected a number from 0 to 1"),
        ({"label": 0}, "the model has no class 0; it has hen, fox, egg"),
    ],
)
def test_what_cannot_be_counted_is_told(given: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        _found().count(**given)
    assert str(caught.value).startswith(message)


def test_result_as_plain_values() -> None:
    facts = _found(ids=True).to_dict(threshold=0.5)
    assert (facts["task"], facts["size"], facts["counts"]) == ("detect", [80, 100], {"hen": 2})
    assert facts["detections"] == [
        {"label": "hen", "index": 0, "conf": 0.9, "box": [0.0, 0.0, 10.0, 20.0], "id": 3},
        {"label": "hen", "index": 0, "conf": 0.6, "box": [50.0, 40.0, 70.0, 60.0], "id": 0},
    ]


def test_nothing_found_says_so() -> None:
    empty = Detections(probs=np.zeros(1, np.float32), names=("hen",), multi_label=True)
    assert (str(empty), empty.counts, empty.count("hen"), empty.to_dict()["detections"]) == ("nothing", {}, 0, [])


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    assert len(nothing_found().boxes) == len(no_truth().boxes) == 0
    with pytest.raises(ValueError, match=r"expected \(n, 4\)"):
        TrueBoxes(np.zeros((2, 5), np.float32), np.zeros(2, np.int64), np.zeros(2, np.bool_))
    with pytest.raises(ValueError, match=r"scores have the shape \(1,\), expected \(2,\)"):
        FoundBoxes(np.zeros((2, 4), np.float32), np.zeros(1, np.float32), np.zeros(2, np.int64))
