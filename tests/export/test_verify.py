"""The gates that an export must pass."""

import numpy as np
import pytest

from edgevit.errors import GateError
from edgevit.export.verify import check, compare

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
    for precision in ("fp32", "fp16", "int8"):
        check(parity, precision, REFERENCE, trained=True)


def test_float_export_may_not_move_a_logit_by_a_thousandth() -> None:
    parity = compare("tracing", REFERENCE, REFERENCE + 1e-3)
    with pytest.raises(GateError, match="after tracing .* differ by up to 0.001, allowed is 0.0004"):
        check(parity, "fp32", REFERENCE, trained=True)


def test_int8_of_trained_weights_must_keep_the_classes() -> None:
    swapped = REFERENCE[::-1].copy()
    with pytest.raises(GateError, match="no longer answers as PyTorch does"):
        check(compare("int8", REFERENCE, swapped), "int8", REFERENCE, trained=True)


@pytest.mark.parametrize("trained", [True, False])
def test_nan_never_passes(trained: bool) -> None:
    broken = np.full_like(REFERENCE, np.nan)
    with pytest.raises(GateError, match="NaN"):
        check(compare("int8", REFERENCE, broken), "int8", REFERENCE, trained=trained)
