"""Proof that this board, this runtime and this preprocessing give what was measured at export.

The pictures are drawn, not photographed: hard diagonal edges of every period show another filter, stretch or crop;
three unlike channels show swapped colours; no axis is symmetric, so mirrored or turned pictures show. They go through
the same decoding, scaling and session as a user's images.
"""

import base64
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import Precision, Preprocess, SelfTest, SelfTests, read_manifest
from edgevit.errors import GateError, ModelFileError
from edgevit.runtime.backends.session import Session, find_backend, open_exported
from edgevit.runtime.images.preprocess import preprocess
from edgevit.runtime.images.read import read_image
from edgevit.runtime.images.resample import RGBImage

SIZES = ((1.0, 1.6), (0.7, 0.45), (0.2, 0.31))
"""Pictures' height and width as shares of the model's: wide and larger, tall and smaller, tiny."""
LARGEST = 384
"""Longest side of a picture in pixels, so that the cases of a model with a huge input stay small."""
MAX_PIXELS = 1_000_000
"""A self-test's picture of more is not decoded; none that is drawn here has as many as LARGEST squared."""
NUMBERS_TOLERANCE = 0.05
"""Share of the stored class numbers that may differ, where the graph answers with those: two classes may be as good."""
SAMPLES = 64
"""Input values stored for each picture."""
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


@dataclass(frozen=True)
class SelfTestReport:
    """What a passed self-test found."""

    cases: int
    input_difference: float
    """Largest difference of a normalized input value from the export's."""
    input_tolerance: float
    logit_difference: float
    """Largest difference of a logit, as a share of its case's largest absolute logit."""
    logit_tolerance: float


def record_cases(
    session: Session, preprocessing: Preprocess, precision: Precision, *, class_numbers: bool = False
) -> SelfTests:
    """Return the self-test of a model: drawn pictures, their preprocessing, and the session's answers."""
    cases = tuple(
        _record(session, preprocessing, picture, seed) for seed, picture in enumerate(draw_pictures(preprocessing.size))
    )
    one_level = 1 / 255 / min(preprocessing.std)
    tolerance = session.tensors.int8_tolerance if precision in ("int8", "dynamic") else FLOAT_TOLERANCE
    if session.tensors.probabilities:
        tolerance = PROBABILITY_TOLERANCE
    if class_numbers:
        tolerance = NUMBERS_TOLERANCE
    return SelfTests(cases, 1.5 * one_level, tolerance, class_numbers)


def check_selftest(path: str | Path, threads: int | None = None) -> SelfTestReport:
    """Run a model's self-test on this machine.

    Raises:
        ModelFileError: the file is missing, damaged, not exported by edgevit, or holds no self-test.
        GateError: a figure differs by more than its tolerance; the message names the first one.
    """
    path = Path(path)
    find_backend(path)
    manifest = read_manifest(path)
    if manifest is None:
        raise ModelFileError(f"{path} was not exported by edgevit, so it holds no self-test; use `edgevit run`")
    if manifest.selftest is None or not manifest.selftest.cases:
        raise ModelFileError(f"{path} holds no self-test; export it again")
    session = open_exported(path, manifest, threads)
    try:
        return check_cases(session, manifest.host_preprocess, manifest.selftest)
    finally:
        session.close()


def check_cases(session: Session, preprocessing: Preprocess, tests: SelfTests) -> SelfTestReport:
    """Compare preprocessing and session with what was recorded; raises as check_selftest does."""
    differences = [
        _check(session, preprocessing, number, case, tests) for number, case in enumerate(tests.cases, start=1)
    ]
    of_input, of_logits = (max(column) for column in zip(*differences, strict=True))
    return SelfTestReport(len(tests.cases), of_input, tests.input_tolerance, of_logits, tests.logit_tolerance)


def draw_pictures(size: tuple[int, int] = (224, 224)) -> list[RGBImage]:
    """Return the pictures that a model of this input size is tested with."""
    pictures = []
    for number, shares in enumerate(SIZES):
        shrink = min(1.0, LARGEST / max(side * share for side, share in zip(size, shares, strict=True)))
        height, width = (max(8, round(shrink * side * share)) for side, share in zip(size, shares, strict=True))
        pictures.append(draw_picture((height, width), seed=number))
    return pictures


def draw_picture(size: tuple[int, int], seed: int) -> RGBImage:
    """Return an (H, W, 3) picture of stripes and discs that is unlike its mirror image and its turned self."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]] / max(size)  # 0..1
    picture = np.zeros((*size, 3), np.uint8)
    for channel, (slope, level) in enumerate([(0.3, 250), (-1.1, 170), (2.7, 90)]):
        # the stripes get finer towards one side, down to four pixels
        phase = (x + slope * y) * (4 + 0.12 * max(size) * (x if channel != 1 else y))
        picture[:, :, channel] = np.where(np.floor(phase) % 2 == 0, level, 255 - level)
    for _ in range(6):
        (top, left), radius = random.random(2), 0.05 + 0.15 * random.random()
        inside = (y - top * y.max()) ** 2 + (x - left * x.max()) ** 2 < radius**2
        picture[inside] = random.integers(0, 256, 3)
    return picture


def _record(session: Session, preprocessing: Preprocess, picture: RGBImage, seed: int) -> SelfTest:
    found, png = cv2.imencode(".png", picture[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert found
    values = preprocess(read_image(png.tobytes()), preprocessing)
    places = np.sort(np.random.default_rng(seed).choice(values.size, min(SAMPLES, values.size), replace=False))
    answer = session.run(values[None])[0].reshape(-1)
    drawn = _draw_logits(answer, seed)
    return SelfTest(
        png=base64.b64encode(png.tobytes()).decode(),
        input_indices=tuple(int(place) for place in places),
        input_values=tuple(_short(values.flat[place]) for place in places),
        logits=tuple(_short(logit) for logit in (answer[drawn] if len(drawn) else answer)),
        logit_indices=tuple(int(place) for place in drawn),
    )


def _draw_logits(answer: NDArray[np.float32], seed: int) -> NDArray[np.int64]:
    """Return which parts of a flat answer are stored; none where all are."""
    if answer.size <= MOST_LOGITS:
        return np.zeros(0, np.int64)
    return np.sort(np.random.default_rng(seed).choice(answer.size, LARGE_SAMPLES, replace=False))


def _short(value: np.float32) -> float:
    """Return the shortest number that is the same float32."""
    return float(str(np.float32(value)))


def _check(
    session: Session, preprocessing: Preprocess, number: int, case: SelfTest, tests: SelfTests
) -> tuple[float, float]:
    """Return the largest differences of input and logits."""
    try:
        image = read_image(base64.b64decode(case.png, validate=True), max_pixels=MAX_PIXELS)
    except ValueError as error:
        raise ModelFileError(
            f"picture {number} of the self-test cannot be read ({error}); export the model again"
        ) from error
    values = preprocess(image, preprocessing)
    if max(case.input_indices) >= values.size or min(case.input_indices) < 0:
        raise ModelFileError(f"case {number} of the self-test is for another input size; export the model again")
    sampled = values.reshape(-1)[list(case.input_indices)]
    wanted = np.array(case.input_values, np.float32)
    of_input = np.abs(sampled - wanted)
    where = f"case {number} of {len(tests.cases)}"
    if (of_input > tests.input_tolerance).any():
        first = int(np.argmax(of_input > tests.input_tolerance))
        channel, row, column = np.unravel_index(case.input_indices[first], values.shape)
        raise GateError(
            f"self-test failed, {where}: preprocessing gives {sampled[first]:.4f} at {'RGB'[channel]} row {row} "
            f"column {column}, expected {wanted[first]:.4f} within {tests.input_tolerance:.4f}; "
            "this machine does not prepare images as the export did"
        )
    answer = session.run(values[None])[0].reshape(-1)
    if case.logit_indices:
        if max(case.logit_indices) >= answer.size or min(case.logit_indices) < 0:
            raise ModelFileError(f"case {number} of the self-test is for another answer; export the model again")
        answer = answer[list(case.logit_indices)]
    of_logits = _check_logits(answer, np.array(case.logits, np.float32), tests, where)
    return float(of_input.max()), of_logits


def _check_logits(found: NDArray[np.float32], wanted: NDArray[np.float32], tests: SelfTests, where: str) -> float:
    """Return the largest difference as a share of the largest absolute logit."""
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
