"""Reference answers of a self-test: the numbers that a session gave, all or some of them, and how near others are."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.cases import SelfTest, SelfTests
from edgevit.errors import GateError, ModelFileError

NUMBERS_TOLERANCE = 0.05
"""Share of the stored class numbers that may differ, where the graph answers with those: two classes may be as good."""
MOST_LOGITS = 4096
"""An answer that has more, as a mask's, is not stored whole."""
LARGE_SAMPLES = 512
"""Logits stored of such an answer for each picture."""
FLOAT_TOLERANCE = 1e-3
"""Share of a case's largest absolute logit by which a float model's may differ; an int8 one's is the session's to say.

Float kernels of two processors sum in different orders: 6e-7 between x86-64 and an emulated Cortex-A72; fp16 is storage
only. The int8 kernels of those two agreed exactly in the same ONNX Runtime, but others need not: a value on a rounding
edge falls to either side, and each such step of 1/255 of a range travels on. Integer kernels against the same graph
computed in float moved the logits of a trained int8 sbcformer_xs by 0.5 % on these pictures and by at most 1.1 % on 120
photographs, while swapped colours moved them by 50 %. TFLite's runtimes round in more ways: int8 logits of
ai-edge-litert on those two processors agreed within 1e-6 (dynamic-range ones within 1.1 %), but tflite-runtime 2.14
moved those of an int8 sbcformer_xs by 1.5 % on these pictures, of an int8 efficientvit_b0 by 7.9 %, with the same
answers; swapped colours moved them by 51 and 148 %. Hence 5 % for ONNX and 15 % for TFLite. A class that leads by more
than twice the tolerance stays first, so no separate check of the winner is needed.
"""

PROBABILITY_TOLERANCE = 0.25
"""Share of a case's largest probability, for integer probabilities: a softmax moves them further than the logits.

Measured on efficientvit_b0: 0.06 between the int8 kernels of ai-edge-litert and of tflite-runtime 2.14.
"""


def flat(outputs: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return all numbers of one picture's outputs, those of one output after those of the other."""
    return np.concatenate([output.reshape(-1) for output in outputs])


def chosen_places(count: int, seed: int) -> NDArray[np.int64]:
    """Return which of so many numbers are stored; none where all are."""
    if count <= MOST_LOGITS:
        return np.zeros(0, np.int64)
    return np.sort(np.random.default_rng(seed).choice(count, LARGE_SAMPLES, replace=False))


def compare_answer(answer: NDArray[np.float32], case: SelfTest, tests: SelfTests, number: int) -> float:
    """Return the largest difference from what was recorded, as a share of the largest absolute number of it.

    Args:
        answer: flat.
        case: holds what was recorded.
        tests: what the case is one of.
        number: the case's, from 1.

    Raises:
        GateError: it is more than allowed.
        ModelFileError: the case is for another answer.
    """
    where = f"case {number} of {len(tests.cases)}"
    if case.logit_indices:
        if max(case.logit_indices) >= answer.size or min(case.logit_indices) < 0:
            raise ModelFileError(f"case {number} of the self-test is for another answer; export the model again")
        answer = answer[list(case.logit_indices)]
    found, wanted = answer, np.array(case.logits, np.float32)
    if found.shape != wanted.shape:
        raise GateError(f"self-test failed, {where}: {len(found)} logits, expected {len(wanted)}")
    if tests.class_numbers:
        return _check_numbers(found, wanted, tests, where)
    scale = float(np.abs(wanted).max()) or 1.0
    difference = np.abs(found - wanted) / scale
    wrong = ~(difference <= tests.logit_tolerance)  # NaN is wrong too
    if wrong.any():
        first = int(np.argmax(wrong))
        raise GateError(
            f"self-test failed, {where}: logit {first} is {found[first]:.4f}, expected {wanted[first]:.4f} "
            f"within {tests.logit_tolerance * scale:.4f}; this runtime does not compute what the export measured"
        )
    return float(difference.max())


def _check_numbers(found: NDArray[np.float32], wanted: NDArray[np.float32], tests: SelfTests, where: str) -> float:
    """Return the share of class numbers that differ."""
    share = float((found != wanted).mean())
    if share > tests.logit_tolerance:
        raise GateError(
            f"self-test failed, {where}: {share:.1%} of the class numbers differ, allowed are "
            f"{tests.logit_tolerance:.1%}; this runtime does not compute what the export measured"
        )
    return share
