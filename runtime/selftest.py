"""Proof that this board, this runtime and this preprocessing give what was measured at export.

Drawn pictures go through the same decoding, scaling and session as a user's images.
"""

import base64
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import Manifest, Precision, Preprocess, SelfTest, SelfTests, read_manifest
from edgevit.errors import GateError, ModelFileError
from edgevit.runtime.backends.session import Session, find_backend, open_exported
from edgevit.runtime.detection.decode import BoxDecoder
from edgevit.runtime.detection.decoders import own_decoder
from edgevit.runtime.detection.reference import (
    FLOAT_SCORE,
    INT8_MISSING,
    BoxComparison,
    compare_boxes,
    record_boxes,
)
from edgevit.runtime.images.drawn import draw_pictures
from edgevit.runtime.images.preprocess import preprocess
from edgevit.runtime.images.read import read_image
from edgevit.runtime.images.resample import RGBImage

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
    boxes: BoxComparison | None = None
    """How a detector's boxes were found again; None for other models."""
    score_tolerance: float = 0.0


def record_selftest(path: Path, manifest: Manifest) -> SelfTests:
    """Return the self-test of a model's file that lies at `path`, as `manifest` describes it.

    Raises:
        ModelFileError: the graph does not take or answer with what its document says.
    """
    with contextlib.closing(open_exported(path, manifest)) as session:
        return record_cases(
            session,
            manifest.host_preprocess,
            manifest.precision,
            class_numbers=manifest.pixels is not None and manifest.pixels.classes_in_graph,
            decoder=own_decoder(manifest),
        )


def record_cases(
    session: Session,
    preprocessing: Preprocess,
    precision: Precision,
    *,
    class_numbers: bool = False,
    decoder: BoxDecoder | None = None,
) -> SelfTests:
    """Return the self-test of a model: drawn pictures, their preprocessing, and the session's answers.

    With a detector's `decoder`, those are its boxes, and the raw answers too where they are of a float model.
    """
    integers = precision in ("int8", "dynamic")
    cases = tuple(
        _record(session, preprocessing, picture, seed, decoder, integers)
        for seed, picture in enumerate(draw_pictures(preprocessing.size))
    )
    one_level = 1 / 255 / min(preprocessing.std)
    tolerance = session.tensors.int8_tolerance if integers else FLOAT_TOLERANCE
    if session.tensors.probabilities:
        tolerance = PROBABILITY_TOLERANCE
    if class_numbers:
        tolerance = NUMBERS_TOLERANCE
    tests = SelfTests(cases, 1.5 * one_level, tolerance, class_numbers)
    if decoder is None:
        return tests
    return replace(
        tests,
        score_tolerance=session.tensors.int8_tolerance if integers else FLOAT_SCORE,
        missing_boxes=INT8_MISSING if integers else 0.0,
    )


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
        return check_cases(session, manifest.host_preprocess, manifest.selftest, own_decoder(manifest))
    finally:
        session.close()


def check_cases(
    session: Session, preprocessing: Preprocess, tests: SelfTests, decoder: BoxDecoder | None = None
) -> SelfTestReport:
    """Compare preprocessing, session and a detector's decoder with what was recorded; raises as check_selftest does."""
    found = [
        _check(session, preprocessing, number, case, tests, decoder) for number, case in enumerate(tests.cases, start=1)
    ]
    of_input, of_logits, boxes = zip(*found, strict=True)
    return SelfTestReport(
        len(tests.cases),
        max(of_input),
        tests.input_tolerance,
        max(of_logits),
        tests.logit_tolerance,
        None if decoder is None else sum(boxes, BoxComparison()),
        tests.score_tolerance,
    )


def _record(
    session: Session,
    preprocessing: Preprocess,
    picture: RGBImage,
    seed: int,
    decoder: BoxDecoder | None,
    integers: bool,
) -> SelfTest:
    found, png = cv2.imencode(".png", picture[:, :, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert found
    values = preprocess(read_image(png.tobytes()), preprocessing)
    places = np.sort(np.random.default_rng(seed).choice(values.size, min(SAMPLES, values.size), replace=False))
    outputs = [output[0] for output in session.run_outputs(values[None])]
    boxes = () if decoder is None else record_boxes(decoder, outputs)
    # raw numbers of an int8 detector move further than its boxes
    answer = _flat(outputs) if not (boxes and integers) else np.zeros(0, np.float32)
    drawn = _draw_logits(answer, seed)
    return SelfTest(
        png=base64.b64encode(png.tobytes()).decode(),
        input_indices=tuple(int(place) for place in places),
        input_values=tuple(_short(values.flat[place]) for place in places),
        logits=tuple(_short(logit) for logit in (answer[drawn] if len(drawn) else answer)),
        logit_indices=tuple(int(place) for place in drawn),
        boxes=boxes,
    )


def _flat(outputs: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.concatenate([output.reshape(-1) for output in outputs])


def _draw_logits(answer: NDArray[np.float32], seed: int) -> NDArray[np.int64]:
    """Return which parts of a flat answer are stored; none where all are."""
    if answer.size <= MOST_LOGITS:
        return np.zeros(0, np.int64)
    return np.sort(np.random.default_rng(seed).choice(answer.size, LARGE_SAMPLES, replace=False))


def _short(value: np.float32) -> float:
    """Return the shortest number that is the same float32."""
    return float(str(np.float32(value)))


def _check(
    session: Session,
    preprocessing: Preprocess,
    number: int,
    case: SelfTest,
    tests: SelfTests,
    decoder: BoxDecoder | None,
) -> tuple[float, float, BoxComparison]:
    """Return the largest differences of input and logits, and how the boxes were found again."""
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
    outputs = [output[0] for output in session.run_outputs(values[None])]
    boxes = BoxComparison() if decoder is None else compare_boxes(decoder, outputs, case.boxes, tests, where)
    if not case.logits:
        return float(of_input.max()), 0.0, boxes
    answer = _flat(outputs)
    if case.logit_indices:
        if max(case.logit_indices) >= answer.size or min(case.logit_indices) < 0:
            raise ModelFileError(f"case {number} of the self-test is for another answer; export the model again")
        answer = answer[list(case.logit_indices)]
    of_logits = _check_logits(answer, np.array(case.logits, np.float32), tests, where)
    return float(of_input.max()), of_logits, boxes


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
