"""The cases of a self-test: which figures are kept of a picture, how far each may differ, and what is refused."""

import base64
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.artifact.cases import SelfTests
from edgevit.artifact.manifest import Precision, Preprocess
from edgevit.errors import GateError, ModelFileError
from edgevit.runtime.backends.session import Tensors
from edgevit.runtime.images.drawn import draw_pictures
from edgevit.runtime.selftest import check_cases, record_cases

UNLIKE = Preprocess((24, 32), mean=(0.3, 0.5, 0.7), std=(0.5, 0.25, 0.125))
"""Preprocessing whose channels differ."""


class FakeSession:
    """A model that answers each picture with one of the given answers, by turns."""

    runtime = "none"
    input_shape = (1, 3, 24, 32)

    def __init__(self, *answers: Sequence[float] | NDArray[np.float32], tensors: Tensors | None = None) -> None:
        self.tensors = tensors or Tensors()
        self.answers = [np.array([answer], np.float32) for answer in answers]
        self.asked = 0

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        self.asked += 1
        return self.answers[(self.asked - 1) % len(self.answers)]

    def run_outputs(self, batch: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        return (self.run(batch),)

    def close(self) -> None:
        pass


@pytest.mark.parametrize("size", [(224, 224), (1024, 2048), (32, 32)])
def test_cases_stay_small(size: tuple[int, int]) -> None:
    pictures = draw_pictures(size)
    assert max(max(picture.shape) for picture in pictures) <= 384
    assert len({picture.shape for picture in pictures}) == 3
    for picture in pictures:
        for other in (picture[::-1], picture[:, ::-1], picture[:, :, ::-1]):
            assert np.abs(picture.astype(int) - other).mean() > 20


def test_input_may_differ_by_one_and_a_half_levels_of_the_finest_channel() -> None:
    recorded = record_cases(FakeSession([1.0, 0.0]), UNLIKE, "fp32")
    assert recorded.input_tolerance == pytest.approx(1.5 / 255 / 0.125)


@pytest.mark.parametrize(
    ("precision", "tensors", "tolerance"),
    [
        ("fp32", Tensors(), 0.001),
        ("fp16", Tensors(), 0.001),
        ("dynamic", Tensors(), 0.05),
        ("int8", Tensors(), 0.05),
        ("fp32", Tensors(int8_tolerance=0.15), 0.001),
        ("dynamic", Tensors(int8_tolerance=0.15), 0.15),
        ("int8", Tensors(int8_tolerance=0.15), 0.15),
        ("int8", Tensors(probabilities=True), 0.25),
    ],
    ids=str,
)
def test_kernels_of_fewer_bits_may_differ_more(precision: Precision, tensors: Tensors, tolerance: float) -> None:
    session = FakeSession([1.0, 0.0], tensors=tensors)
    assert record_cases(session, UNLIKE, precision).logit_tolerance == tolerance


def test_one_class_number_in_twenty_may_differ() -> None:
    recorded = record_cases(FakeSession([2.0] * 40), UNLIKE, "int8", class_numbers=True)
    assert recorded.logit_tolerance == 0.05
    assert check_cases(FakeSession([3.0, 3.0, *[2.0] * 38]), UNLIKE, recorded).logit_difference == 0.05
    with pytest.raises(GateError, match=r"case 1 of 3: 7\.5% of the class numbers differ, allowed are 5\.0%"):
        check_cases(FakeSession([3.0, 3.0, 3.0, *[2.0] * 37]), UNLIKE, recorded)


def test_a_logit_may_differ_by_its_share_of_the_largest() -> None:
    recorded = record_cases(FakeSession([-8.0, 1.0]), UNLIKE, "int8")
    # 5 % of 8
    check_cases(FakeSession([-8.0, 1.39]), UNLIKE, recorded)
    with pytest.raises(GateError, match=r"logit 1 is 1\.4100, expected 1\.0000 within 0\.4000"):
        check_cases(FakeSession([-8.0, 1.41]), UNLIKE, recorded)


def test_report_has_the_largest_differences_of_all_cases() -> None:
    recorded = record_cases(FakeSession([8.0, 1.0]), UNLIKE, "int8")
    first = recorded.cases[0]
    shifted = dataclasses.replace(first, input_values=(first.input_values[0] + 0.01, *first.input_values[1:]))
    recorded = dataclasses.replace(recorded, cases=(shifted, *recorded.cases[1:]))
    report = check_cases(FakeSession([8.0, 1.0], [8.0, 1.2], [8.08, 1.0]), UNLIKE, recorded)
    assert report.input_difference == pytest.approx(0.01, abs=1e-5)
    assert report.logit_difference == pytest.approx(0.2 / 8)
    assert (report.input_tolerance, report.logit_tolerance) == (recorded.input_tolerance, 0.05)


@pytest.mark.parametrize("field", ["input", "logit"])
def test_negative_place_is_refused_where_the_document_is_read(field: str) -> None:
    case = record_cases(FakeSession([1.0, 0.0]), UNLIKE, "fp32").cases[0]
    values = "input_values" if field == "input" else "logits"
    changes: dict[str, Any] = {f"{field}_indices": (0, -1), values: (0.0, 0.0)}
    with pytest.raises(ValueError, match=f"{field}_indices is -1, expected 0 or more"):
        dataclasses.replace(case, **changes)


def test_place_outside_of_the_input_is_named() -> None:
    place = 3 * 24 * 32
    recorded = record_cases(FakeSession([1.0, 0.0]), UNLIKE, "fp32")
    spoilt = dataclasses.replace(recorded.cases[0], input_indices=(0, place), input_values=(0.0, 0.0))
    with pytest.raises(ModelFileError, match="case 1 of the self-test is for another input size"):
        check_cases(FakeSession([1.0, 0.0]), UNLIKE, dataclasses.replace(recorded, cases=(spoilt,)))


def test_place_outside_of_the_answer_is_named() -> None:
    recorded = record_cases(FakeSession([1.0, 0.0]), UNLIKE, "fp32")
    spoilt = dataclasses.replace(recorded.cases[0], logit_indices=(0, 2), logits=(1.0, 0.0))
    with pytest.raises(ModelFileError, match="case 1 of the self-test is for another answer"):
        check_cases(FakeSession([1.0, 0.0]), UNLIKE, dataclasses.replace(recorded, cases=(spoilt,)))


def test_of_a_large_answer_512_places_are_kept() -> None:
    answer = np.arange(5000, dtype=np.float32)
    recorded = record_cases(FakeSession(answer), UNLIKE, "fp32")
    for case in recorded.cases:
        assert len(set(case.logit_indices)) == 512
        assert case.logits == case.logit_indices
    other = answer.copy()
    other[recorded.cases[2].logit_indices[7]] += 10
    with pytest.raises(GateError, match="case 3 of 3: logit 7 is"):
        check_cases(FakeSession(answer, answer, other), UNLIKE, recorded)


def test_recording_of_a_large_answer_is_deterministic() -> None:
    answer = np.random.default_rng(0).normal(size=5000).astype(np.float32)
    assert record_cases(FakeSession(answer), UNLIKE, "fp32") == record_cases(FakeSession(answer), UNLIKE, "fp32")


def test_each_sampled_place_of_the_input_is_another_and_the_cases_differ() -> None:
    cases = record_cases(FakeSession([1.0, 0.0]), UNLIKE, "fp32").cases
    assert [len(set(case.input_indices)) for case in cases] == [64, 64, 64]
    assert [list(case.input_indices) for case in cases] == [sorted(case.input_indices) for case in cases]
    assert len({case.input_indices for case in cases}) == 3


def test_small_input_is_recorded_whole() -> None:
    preprocessing = Preprocess((2, 3))
    cases = record_cases(FakeSession([1.0, 0.0]), preprocessing, "fp32").cases
    assert cases[0].input_indices == tuple(range(18))


def test_first_value_of_the_input_may_be_asked_for() -> None:
    recorded = record_cases(FakeSession([1.0, 0.0]), Preprocess((2, 3)), "fp32")
    assert recorded.cases[0].input_indices[0] == 0
    assert check_cases(FakeSession([1.0, 0.0]), Preprocess((2, 3)), recorded).input_difference == 0.0


def _spoilt(recorded: SelfTests, png: bytes | str) -> SelfTests:
    text = png if isinstance(png, str) else base64.b64encode(png).decode()
    return dataclasses.replace(recorded, cases=(dataclasses.replace(recorded.cases[0], png=text),))


def test_letters_that_are_no_base64_are_not_passed_over() -> None:
    recorded = record_cases(FakeSession([1.0, 0.0]), UNLIKE, "fp32")
    png = recorded.cases[0].png
    check_cases(FakeSession([1.0, 0.0]), UNLIKE, _spoilt(recorded, png))
    with pytest.raises(ModelFileError, match="picture 1 of the self-test cannot be read"):
        check_cases(FakeSession([1.0, 0.0]), UNLIKE, _spoilt(recorded, f"{png[:40]} !{png[40:]}"))


def test_picture_of_more_than_a_million_pixels_is_not_decoded() -> None:
    import cv2

    recorded = record_cases(FakeSession([1.0, 0.0]), UNLIKE, "fp32")
    large = cv2.imencode(".png", np.zeros((1000, 1001, 3), np.uint8))[1].tobytes()
    with pytest.raises(ModelFileError, match=r"picture 1 of the self-test cannot be read \(.*1001 x 1000 pixels"):
        check_cases(FakeSession([1.0, 0.0]), UNLIKE, _spoilt(recorded, large))


def test_first_place_that_differs_is_named() -> None:
    recorded = record_cases(FakeSession([1.0, 0.0]), UNLIKE, "fp32")
    case = recorded.cases[1]
    values = list(case.input_values)
    values[5], values[9] = values[5] + 1.0, values[9] + 2.0
    spoilt = dataclasses.replace(case, input_values=tuple(values))
    recorded = dataclasses.replace(recorded, cases=(recorded.cases[0], spoilt, recorded.cases[2]))
    channel, rest = divmod(case.input_indices[5], 24 * 32)
    row, column = divmod(rest, 32)
    place = f"{'RGB'[channel]} row {row} column {column}"
    with pytest.raises(GateError, match=rf"case 2 of 3: preprocessing gives \S+ at {place}, expected {values[5]:.4f} "):
        check_cases(FakeSession([1.0, 0.0]), UNLIKE, recorded)
