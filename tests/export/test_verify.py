"""The gates that an export must pass."""

import contextlib
import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.artifact.manifest import Parity, Precision
from edgevit.errors import GateError
from edgevit.export import verify
from edgevit.export.tasks import answers
from edgevit.export.verify import check_numbers

compare = answers.CLASSES.compare


def check(
    parity: Parity,
    precision: Precision,
    reference: NDArray[np.float32],
    *,
    trained: bool,
    noise: Callable[[], float] = lambda: 0.0,
) -> None:
    """Ask for the gates of classes or of pixels, as the reference's axes say."""
    form = answers.CLASSES if reference.ndim == 2 else answers.PIXELS
    verify.check(form, parity, precision, reference, trained=trained, noise=noise)


REFERENCE = np.array([[3.0, 1.0, 0.0], [0.0, 2.0, 1.0]], np.float32)


def test_comparison_measures_difference_cosine_and_agreement() -> None:
    logits = np.array([[3.0, 1.0, 0.5], [2.0, 0.0, 1.0]], np.float32)
    parity = compare("step", REFERENCE, logits)
    first = 10 / np.sqrt(10 * (10 + 0.25))
    second = 1 / np.sqrt(5 * 5)
    assert parity.max_abs == pytest.approx(2.0)
    assert parity.cosine == pytest.approx((first + second) / 2)
    assert (parity.top1_agreement, parity.images) == (0.5, 2)


def test_equal_answers_pass_every_gate() -> None:
    parity = compare("step", REFERENCE, REFERENCE)
    for precision in ("fp32", "fp16", "dynamic", "int8"):
        check(parity, precision, REFERENCE, trained=True)


def test_float_export_may_not_move_a_logit_by_a_thousandth() -> None:
    parity = compare("tracing", REFERENCE, REFERENCE + 1e-3)
    with pytest.raises(GateError, match="after tracing .* differ by up to 0.001, allowed is 0.0004"):
        check(parity, "fp32", REFERENCE, trained=True)


PIXELS = np.zeros((2, 3, 4, 4), np.float32)
PERFECT = Parity("int8", max_abs=0.0, cosine=1.0, top1_agreement=1.0, images=2)
JUST_BELOW = 1e-6

COSINES: dict[Precision, float] = {"fp32": 0.99999, "fp16": 0.999, "dynamic": 0.98, "int8": 0.95}
"""The promises, for classes and pixels alike."""
KEPT_CLASSES: dict[Precision, float] = {"fp32": 1.0, "fp16": 0.98, "dynamic": 0.95, "int8": 0.9}
KEPT_PIXELS: dict[Precision, float] = {"fp32": 0.999, "fp16": 0.98, "dynamic": 0.95, "int8": 0.9}


@pytest.mark.parametrize("reference", [REFERENCE, PIXELS], ids=["classes", "pixels"])
@pytest.mark.parametrize("precision", COSINES)
def test_gate_of_the_cosine_closes_at_its_figure(precision: Precision, reference: NDArray[np.float32]) -> None:
    asked = COSINES[precision]
    check(dataclasses.replace(PERFECT, cosine=asked), precision, reference, trained=True)
    with pytest.raises(GateError, match=f"the logits' cosine is .*, at least {asked} is asked; the export was not"):
        check(dataclasses.replace(PERFECT, cosine=asked - JUST_BELOW), precision, reference, trained=True)


@pytest.mark.parametrize("precision", KEPT_CLASSES)
def test_gate_of_the_kept_classes_closes_at_its_figure(precision: Precision) -> None:
    asked = KEPT_CLASSES[precision]
    check(dataclasses.replace(PERFECT, top1_agreement=asked), precision, REFERENCE, trained=True)
    with pytest.raises(GateError, match=rf"% of 2 images keep their class, at least {100 * asked:.0f}% is asked"):
        check(dataclasses.replace(PERFECT, top1_agreement=asked - JUST_BELOW), precision, REFERENCE, trained=True)


@pytest.mark.parametrize("precision", KEPT_PIXELS)
def test_gate_of_the_kept_pixels_closes_at_its_figure(precision: Precision) -> None:
    asked = KEPT_PIXELS[precision]
    check(dataclasses.replace(PERFECT, top1_agreement=asked), precision, PIXELS, trained=True)
    with pytest.raises(GateError, match="% of the pixels of 2 images keep their class, at least"):
        check(dataclasses.replace(PERFECT, top1_agreement=asked - JUST_BELOW), precision, PIXELS, trained=True)


@pytest.mark.parametrize(("reference", "allowed"), [(REFERENCE, 4e-4), (PIXELS, 1e-4), (-9 * PIXELS - 9, 1e-3)])
def test_gate_of_the_difference_closes_at_a_share_of_the_largest_logit(
    reference: NDArray[np.float32], allowed: float
) -> None:
    """Allowed is 1e-4 * (1 + |logit|), the largest logits being 3, 0 and -9."""
    check(dataclasses.replace(PERFECT, max_abs=allowed * 0.999), "fp32", reference, trained=True)
    with pytest.raises(GateError, match=f"logits differ by up to .*, allowed is {allowed:.2g}"):
        check(dataclasses.replace(PERFECT, max_abs=allowed * 1.001), "fp32", reference, trained=True)


def test_difference_may_be_four_times_what_float32_itself_rounds() -> None:
    """A graph that rounds in another order is as far from the exact answer as PyTorch, so both are not far apart."""
    check(dataclasses.replace(PERFECT, max_abs=0.0039), "fp32", REFERENCE, trained=True, noise=lambda: 0.001)
    with pytest.raises(GateError, match=r"by up to 0.0041, allowed is 0.004 .*float32 is 0.001\); that is 0.1%"):
        check(dataclasses.replace(PERFECT, max_abs=0.0041), "fp32", REFERENCE, trained=True, noise=lambda: 0.001)


@pytest.mark.parametrize(
    ("step", "remedy"), [("tanh GELU", "--gelu tanh"), ("simplification", "--no-simplify"), ("int8", "--max-drop 1")]
)
def test_refusal_says_what_to_do(step: str, remedy: str) -> None:
    with pytest.raises(GateError) as caught:
        check(dataclasses.replace(PERFECT, step=step, cosine=0.1), "fp16", REFERENCE, trained=True)
    assert remedy in caught.value.command_line_text


@pytest.mark.parametrize("precision", ["fp16", "dynamic", "int8"])
def test_difference_alone_stops_no_export_of_fewer_bits(precision: Precision) -> None:
    check(dataclasses.replace(PERFECT, max_abs=1e6), precision, REFERENCE, trained=True)


@pytest.mark.parametrize(("precision", "asked"), [("fp32", True), ("fp16", True), ("dynamic", False), ("int8", False)])
def test_of_untrained_weights_only_the_float_files_must_agree(precision: Precision, asked: bool) -> None:
    apart = dataclasses.replace(PERFECT, cosine=0.0, top1_agreement=0.0)
    with pytest.raises(GateError, match="cosine") if asked else contextlib.nullcontext():
        check(apart, precision, REFERENCE, trained=False)


def test_class_numbers_may_differ_in_one_pixel_of_a_thousand() -> None:
    logits = np.zeros((1, 3, 40, 50), np.float32)
    logits[:, 1] = 1.0
    numbers = np.ones((1, 1, 40, 50), np.float32)
    numbers.reshape(-1)[:2] = 2.0
    check_numbers(logits, numbers)
    numbers.reshape(-1)[2] = 2.0
    with pytest.raises(GateError, match=r"after argmax 99\.\d% of the pixels have their best class"):
        check_numbers(logits, numbers)


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_never_passes(trained: bool, value: float) -> None:
    broken = REFERENCE.copy()
    broken[1, 2] = value
    with pytest.raises(GateError, match="NaN"):
        check(compare("int8", REFERENCE, broken), "int8", REFERENCE, trained=trained)
