"""Proof that this board, this runtime and this preprocessing give what was measured at export.

Drawn pictures go through the same decoding, scaling and session as a user's images.
"""

import base64
import contextlib
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from edgevit.artifact.cases import SelfTest, SelfTests
from edgevit.artifact.manifest import Manifest, Precision, Preprocess, read_manifest
from edgevit.errors import GateError, ModelFileError
from edgevit.runtime.backends.reference import (
    FLOAT_TOLERANCE,
    NUMBERS_TOLERANCE,
    PROBABILITY_TOLERANCE,
    chosen_places,
    compare_answer,
    flat,
)
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
SAMPLES = 64
"""Input values stored for each picture."""


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
    answer = flat(outputs) if not (boxes and integers) else np.zeros(0, np.float32)
    drawn = chosen_places(answer.size, seed)
    return SelfTest(
        png=base64.b64encode(png.tobytes()).decode(),
        input_indices=tuple(int(place) for place in places),
        input_values=tuple(_short(values.flat[place]) for place in places),
        logits=tuple(_short(logit) for logit in (answer[drawn] if len(drawn) else answer)),
        logit_indices=tuple(int(place) for place in drawn),
        boxes=boxes,
    )


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
    if decoder is None and not case.logits:
        raise ModelFileError(
            f"case {number} of the self-test holds boxes alone, but this is no detector; export it again"
        )
    of_logits = compare_answer(flat(outputs), case, tests, number) if case.logits else 0.0
    return float(of_input.max()), of_logits, boxes
