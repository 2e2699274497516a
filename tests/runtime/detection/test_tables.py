"""Boxes from one output that is a table, by hand."""

import dataclasses

import numpy as np
import pytest

from edgevit.artifact.manifest import BoxOutput
from edgevit.errors import ModelFileError
from edgevit.runtime.detection.decoders import own_decoder
from edgevit.runtime.detection.suppress import Limits
from tests.made_detector import MANIFEST

JOINED = BoxOutput("joined", (8,), boxes="detections", scores="detections")
FOUND = own_decoder(dataclasses.replace(MANIFEST, labels=("hen", "fox"), boxes=JOINED))
assert FOUND is not None
DECODER = FOUND
# columns: two places on one object, one elsewhere, one that is not sure enough
ANSWER = np.array(
    [[20, 21, 50, 5], [20, 20, 40, 5], [16, 16, 10, 4], [16, 16, 20, 4], [0.6, 0.9, 0.1, 0.2], [0.1, 0.2, 0.5, 0.1]],
    np.float32,
)


def test_surer_box_stays_and_sides_are_around_the_centre() -> None:
    DECODER.check([ANSWER.shape], 2)
    found = DECODER.find([ANSWER], Limits())
    np.testing.assert_allclose(found.boxes, [[13, 12, 29, 28], [45, 30, 55, 50]])
    np.testing.assert_allclose(found.scores, [0.9, 0.5])
    assert found.classes.tolist() == [0, 1]


def test_limits_are_obeyed() -> None:
    assert len(DECODER.find([ANSWER], Limits(threshold=0.7)).boxes) == 1
    assert len(DECODER.find([ANSWER], Limits(threshold=0.15)).boxes) == 3
    assert len(DECODER.find([ANSWER], Limits(overlap=0.99)).boxes) == 3
    assert len(DECODER.find([ANSWER], Limits(most=1)).boxes) == 1


def test_output_of_another_form_is_refused() -> None:
    with pytest.raises(ModelFileError, match="answers with 6x4 for a picture, but .* 7xN"):
        DECODER.check([ANSWER.shape], 3)
