"""The self-test passes on a sound file and machine, and names the first figure that differs on any other."""

import base64
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.artifact.cases import SelfTests
from edgevit.artifact.manifest import Input, Manifest, Precision, Preprocess, read_manifest
from edgevit.errors import GateError, ModelFileError
from edgevit.runtime import selftest
from edgevit.runtime.backends.session import Tensors, open_exported, open_session
from edgevit.runtime.images.drawn import draw_pictures
from edgevit.runtime.images.read import read_image
from edgevit.runtime.selftest import check_cases, check_selftest, record_cases, record_selftest
from tests.made_detector import MANIFEST

MakeModel = Callable[..., Path]


@pytest.fixture
def manifest(tiny_model: Path) -> Manifest:
    manifest = read_manifest(tiny_model)
    assert manifest is not None
    return manifest


@pytest.fixture
def tests(manifest: Manifest) -> SelfTests:
    assert manifest.selftest is not None
    return manifest.selftest


def test_sound_file_passes(tiny_model: Path) -> None:
    report = check_selftest(tiny_model)
    assert report.cases == 3
    assert report.input_difference < 1e-5
    assert report.logit_difference < 1e-5
    assert report.boxes is None


def test_recording_is_deterministic(tiny_model: Path, manifest: Manifest) -> None:
    session = open_session(tiny_model)
    assert record_cases(session, manifest.preprocess, manifest.precision) == manifest.selftest


def test_expected_logits_are_arithmetic(tests: SelfTests) -> None:
    """The tiny model's logits are 4 * the mean of each channel of its input, here of the scaled picture."""
    from edgevit.runtime.images.preprocess import preprocess

    for case in tests.cases:
        image = read_image(base64.b64decode(case.png))
        values = preprocess(image, Preprocess((24, 32), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)))
        np.testing.assert_allclose(case.logits, 4 * values.mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(224, 224), (1024, 2048), (32, 32)])
def test_cases_stay_small(size: tuple[int, int]) -> None:
    pictures = draw_pictures(size)
    assert max(max(picture.shape) for picture in pictures) <= 384
    assert len({picture.shape for picture in pictures}) == 3
    for picture in pictures:
        for other in (picture[::-1], picture[:, ::-1], picture[:, :, ::-1]):
            assert np.abs(picture.astype(int) - other).mean() > 20


def test_document_of_a_full_model_is_tens_of_kilobytes(make_foreign: MakeModel) -> None:
    weights = np.random.default_rng(0).normal(size=(1000, 3)).astype(np.float32)
    session = open_session(make_foreign(shape=(1, 3, 224, 224), weights=weights))
    recorded = record_cases(session, Preprocess((224, 224)), "fp32")
    text = str(dataclasses.asdict(recorded))
    assert len(text) < 100_000


@pytest.mark.parametrize(
    "change",
    [
        {"interpolation": "bilinear"},
        {"crop_pct": 1.0},
        {"crop_pct": 0.85},
        {"crop_mode": "squash"},
        {"mean": (0.485, 0.456, 0.406)},
        {"std": (0.229, 0.224, 0.225)},
        {"mean": (0.5, 0.5, 0.52)},
    ],
    ids=str,
)
def test_changed_preprocessing_is_caught(
    make_model: MakeModel, manifest: Manifest, tests: SelfTests, change: dict[str, Any]
) -> None:
    preprocessing = dataclasses.replace(manifest.preprocess, **change)
    with pytest.raises(GateError, match=r"case \d of 3: preprocessing gives .* at [RGB] row .*, expected .* within"):
        check_selftest(make_model(preprocess=preprocessing, selftest=tests))


def _swapped(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(image[:, :, ::-1])


def _mirrored(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(image[:, ::-1])


def _one_pixel_off(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.roll(image, 1, axis=1)


def _other_resize(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    import cv2

    smaller = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_NEAREST)
    return np.asarray(cv2.resize(smaller, image.shape[1::-1]), np.uint8)


@pytest.mark.parametrize("fault", [_swapped, _mirrored, _one_pixel_off, _other_resize])
def test_machine_that_decodes_otherwise_is_caught(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, fault: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
) -> None:
    monkeypatch.setattr(selftest, "read_image", lambda source, **options: fault(read_image(source, **options)))
    with pytest.raises(GateError, match="this machine does not prepare images as the export did"):
        check_selftest(tiny_model)


@pytest.mark.parametrize(
    "weights",
    [
        4 * np.eye(3)[::-1],  # swapped colours
        4.1 * np.eye(3),
        np.full((3, 3), np.nan),
    ],
    ids=["swapped", "scaled", "nan"],
)
def test_model_that_computes_otherwise_is_caught(
    make_model: MakeModel, make_graph: Callable[..., Any], tests: SelfTests, weights: NDArray[np.float64]
) -> None:
    path = make_model(graph=make_graph(weights=weights.astype(np.float32)), selftest=tests)
    with pytest.raises(GateError, match=r"case 1 of 3: logit \d is .*, expected .* within .*this runtime") as caught:
        check_selftest(path)
    assert caught.value.exit_code == 3


def test_model_with_other_classes_is_caught(
    make_model: MakeModel, make_graph: Callable[..., Any], tests: SelfTests
) -> None:
    path = make_model(graph=make_graph(weights=np.ones((4, 3), np.float32)), selftest=tests)
    with pytest.raises(GateError, match="4 logits, expected 3"):
        check_selftest(path)


def test_corrupt_byte_is_caught(tiny_model: Path) -> None:
    data = tiny_model.read_bytes()
    place = data.index(np.float32(4.0).tobytes())
    tiny_model.write_bytes(data[:place] + b"\x01" + data[place + 1 :])
    with pytest.raises(ModelFileError, match="is damaged"):
        check_selftest(tiny_model)


def test_truncated_file_is_caught(tiny_model: Path) -> None:
    tiny_model.write_bytes(tiny_model.read_bytes()[:-10])
    with pytest.raises(ModelFileError, match="is truncated"):
        check_selftest(tiny_model)


def test_file_without_a_self_test_is_named(make_model: MakeModel, make_foreign: MakeModel) -> None:
    with pytest.raises(ModelFileError, match="holds no self-test; export it again"):
        check_selftest(make_model())
    with pytest.raises(ModelFileError, match="was not exported by edgevit"):
        check_selftest(make_foreign())


def test_case_that_does_not_fit_is_named(make_model: MakeModel, tests: SelfTests) -> None:
    spoilt = dataclasses.replace(tests.cases[0], png="no base64!")
    with pytest.raises(ModelFileError, match="picture 1 of the self-test cannot be read"):
        check_selftest(make_model(selftest=dataclasses.replace(tests, cases=(spoilt,))))
    far = dataclasses.replace(tests.cases[0], input_indices=(10**9,), input_values=(0.0,))
    with pytest.raises(ModelFileError, match="is for another input size"):
        check_selftest(make_model(selftest=dataclasses.replace(tests, cases=(far,))))


# ------------------------------------------------------------------ what is tolerated

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


def test_model_that_normalizes_itself_gets_shares_of_white(make_model: MakeModel) -> None:
    """Its document tells the mean and deviation, but the graph applies them."""
    taken = Input(name="image", shape=(1, 3, 24, 32), normalized_in_graph=True)
    plain = make_model(input=taken, preprocess=UNLIKE)
    shares = dataclasses.replace(UNLIKE, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    path = make_model(input=taken, preprocess=UNLIKE, selftest=record_cases(open_session(plain), shares, "fp32"))
    assert check_selftest(path).cases == 3


def test_document_of_another_input_is_told_before_any_case(make_model: MakeModel, tests: SelfTests) -> None:
    path = make_model(input=Input(name="image", shape=(1, 3, 24, 32), layout="NHWC"), selftest=tests)
    with pytest.raises(ModelFileError, match="takes float32 NCHW input, but its document says float32 NHWC"):
        check_selftest(path)


# ------------------------------------------------------------------ what is recorded, and how it is read


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


def test_file_of_another_kind_is_told_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"x")
    with pytest.raises(ModelFileError, match=r"model\.pt.*\.onnx"):
        check_selftest(tmp_path / "model.pt")


def test_session_gets_the_threads_and_is_closed_whatever_is_found(
    make_model: MakeModel, tests: SelfTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []

    def noting(path: Path, manifest: Manifest, threads: int | None) -> Any:
        session = open_exported(path, manifest, threads)
        close = session.close
        told.append(threads)

        def noting_close() -> None:
            told.append("closed")
            close()

        monkeypatch.setattr(session, "close", noting_close)
        return session

    monkeypatch.setattr(selftest, "open_exported", noting)
    check_selftest(make_model(selftest=tests), 1)
    shifted = make_model(selftest=tests, preprocess=Preprocess((24, 32)))
    with pytest.raises(GateError):
        check_selftest(shifted, 2)
    assert told == [1, "closed", 2, "closed"]


def test_map_of_class_numbers_is_recorded_as_one(make_segmenter: MakeModel) -> None:
    """Numbers are equal or not; logits are close or not."""
    for argmax, tolerance in ((True, 0.05), (False, 0.001)):
        path = make_segmenter(argmax=argmax)
        manifest = read_manifest(path)
        assert manifest is not None
        assert manifest.pixels is not None
        pixels = dataclasses.replace(manifest.pixels, classes_in_graph=argmax)
        recorded = record_selftest(path, dataclasses.replace(manifest, pixels=pixels))
        assert (recorded.class_numbers, recorded.logit_tolerance) == (argmax, tolerance)


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


def test_case_of_boxes_alone_has_no_difference_of_logits(make_detector: MakeModel) -> None:
    """The raw numbers of an int8 detector are not recorded."""
    manifest = dataclasses.replace(MANIFEST, precision="int8")
    recorded = record_selftest(make_detector(precision="int8"), manifest)
    assert [case.logits for case in recorded.cases] == [(), (), ()]
    assert (recorded.score_tolerance, recorded.missing_boxes) == (0.05, 0.2)
    assert check_selftest(make_detector(precision="int8", selftest=recorded)).logit_difference == 0.0
