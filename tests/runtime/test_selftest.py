"""The self-test passes on a sound file and machine, and names the first figure that differs on any other."""

import base64
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.artifact.cases import SelfTests
from edgevit.artifact.manifest import Input, Manifest, Preprocess, read_manifest
from edgevit.errors import GateError, ModelFileError
from edgevit.runtime import selftest
from edgevit.runtime.backends.session import open_exported, open_session
from edgevit.runtime.images.read import read_image
from edgevit.runtime.selftest import check_selftest, record_cases, record_selftest
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


def test_model_that_normalizes_itself_gets_shares_of_white(make_model: MakeModel) -> None:
    """Its document tells the mean and deviation, but the graph applies them."""
    taken = Input(name="image", shape=(1, 3, 24, 32), normalized_in_graph=True)
    told = Preprocess((24, 32), mean=(0.3, 0.5, 0.7), std=(0.5, 0.25, 0.125))
    shares = dataclasses.replace(told, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    plain = make_model(input=taken, preprocess=told)
    path = make_model(input=taken, preprocess=told, selftest=record_cases(open_session(plain), shares, "fp32"))
    assert check_selftest(path).cases == 3


def test_document_of_another_input_is_told_before_any_case(make_model: MakeModel, tests: SelfTests) -> None:
    path = make_model(input=Input(name="image", shape=(1, 3, 24, 32), layout="NHWC"), selftest=tests)
    with pytest.raises(ModelFileError, match="takes float32 NCHW input, but its document says float32 NHWC"):
        check_selftest(path)


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


def test_case_of_boxes_alone_has_no_difference_of_logits(make_detector: MakeModel) -> None:
    """The raw numbers of an int8 detector are not recorded."""
    manifest = dataclasses.replace(MANIFEST, precision="int8")
    recorded = record_selftest(make_detector(precision="int8"), manifest)
    assert [case.logits for case in recorded.cases] == [(), (), ()]
    assert (recorded.score_tolerance, recorded.missing_boxes) == (0.05, 0.2)
    assert check_selftest(make_detector(precision="int8", selftest=recorded)).logit_difference == 0.0
