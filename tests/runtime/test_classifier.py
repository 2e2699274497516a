"""The front door: a model's path in, labelled answers out; and what must be told about other people's models."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import edgevit
from edgevit.artifact.manifest import Input, Preprocess
from edgevit.errors import ImageError, ModelFileError, OptionError
from edgevit.runtime.loading import load
from edgevit.runtime.results import Result

MakeModel = Callable[..., Path]
SaveImage = Callable[[str, NDArray[np.uint8]], Path]

PLAIN: dict[str, Any] = {"mean": (0, 0, 0), "std": (1, 1, 1)}
COLORS = ("red", "green", "blue")


def _softmax(*logits: float) -> list[float]:
    powers = np.exp(np.array(logits))
    return [float(power) for power in powers / powers.sum()]


def test_answer_is_known_by_arithmetic(tiny_model: Path, red_image: NDArray[np.uint8]) -> None:
    """The logit of a colour is 4 * (level / 255 - 0.5) / 0.25."""
    result = edgevit.load(tiny_model)(red_image)
    logits = [16 * (level / 255 - 0.5) for level in (200, 50, 25)]
    assert result.probs.tolist() == pytest.approx(_softmax(*logits), rel=1e-4)
    assert (result.top1, result.names) == ("red", COLORS)
    assert result.top5 == ("red", "green", "blue")
    assert min(result.preprocess_ms, result.inference_ms, result.postprocess_ms) > 0


def test_every_kind_of_image_gets_the_same_answer(
    tiny_model: Path, save_image: SaveImage, photo: NDArray[np.uint8]
) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="Pillow images are accepted")
    path = save_image("photo.png", photo)
    classify = load(tiny_model)
    answers: list[Result] = [
        classify(path),
        classify(str(path)),
        classify(path.read_bytes()),
        classify(photo),
        classify(np.ascontiguousarray(photo[:, :, ::-1]), bgr=True),
        classify(pillow.fromarray(photo)),
    ]
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer.probs, answers[0].probs)
    assert [answer.source for answer in answers] == [str(path), str(path), None, None, None, None]


def test_channel_order_matters(tiny_model: Path, red_image: NDArray[np.uint8]) -> None:
    assert load(tiny_model)(red_image, bgr=True).top1 == "blue"


@pytest.mark.parametrize("batch", [1, 4])
def test_list_of_images_gets_a_list_of_answers(make_model: MakeModel, batch: int) -> None:
    classify = load(make_model(input=Input("image", (batch, 3, 24, 32))))
    images = [np.full((30, 40, 3), color, np.uint8) for color in np.roll(np.eye(3, dtype=np.uint8) * 200, 1, axis=0)]
    results = classify(images * 3)
    assert [result.top1 for result in results] == ["blue", "red", "green"] * 3
    assert [result.top1 for result in classify(tuple(images[:1]))] == ["blue"]
    assert classify([]) == []


def test_eight_threads_share_a_classifier(tiny_model: Path) -> None:
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (40, 60, 3), dtype=np.uint8) for _ in range(48)]
    with load(tiny_model, threads=1) as classify, ThreadPoolExecutor(8) as pool:
        alone = [classify(image).probs for image in images]
        together = [result.probs for result in pool.map(classify, images)]
    np.testing.assert_array_equal(alone, together)


def test_classifier_is_closed_at_the_end_of_with(tiny_model: Path, red_image: NDArray[np.uint8]) -> None:
    with load(tiny_model) as classify:
        classify(red_image)
    with pytest.raises(ValueError, match="was closed"):
        classify(red_image)


def test_unreadable_image_is_named(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"none\.jpg does not exist"):
        load(tiny_model)(tmp_path / "none.jpg")


def test_damaged_model_is_not_loaded(tiny_model: Path) -> None:
    data = tiny_model.read_bytes()
    tiny_model.write_bytes(data.replace(b"green", b"brown", 1))
    with pytest.raises(ModelFileError, match="is damaged"):
        load(tiny_model)


def test_normalization_within_the_graph_is_not_done_twice(make_model: MakeModel, red_image: NDArray[np.uint8]) -> None:
    path = make_model(input=Input("image", (1, 3, 24, 32), normalized_in_graph=True))
    logits = [4 * level / 255 for level in (200, 50, 25)]
    assert load(path)(red_image).probs.tolist() == pytest.approx(_softmax(*logits), rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"input": Input("image", (1, 3, 24, 32), color="BGR")}, "takes float32 NCHW BGR input"),
        ({"input": Input("image", (1, 3, 24, 32), dtype="uint8")}, "but its document says uint8 NCHW; export it"),
        ({"preprocess": Preprocess((32, 32))}, r"images of \(32, 32\); export it again"),
    ],
)
def test_input_that_this_runtime_cannot_give_is_refused(
    make_model: MakeModel, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ModelFileError, match=reason):
        load(make_model(**changes))


def test_document_with_another_number_of_labels_is_refused(make_model: MakeModel, red_image: NDArray[np.uint8]) -> None:
    with pytest.raises(ModelFileError, match="answers for 3 classes, but has 2 labels"):
        load(make_model(labels=("red", "green")))(red_image)


def test_answer_that_is_no_number_is_an_error(
    make_model: MakeModel, make_graph: Callable[..., Any], red_image: NDArray[np.uint8]
) -> None:
    weights = np.full((3, 3), np.nan, np.float32)
    with pytest.raises(ModelFileError, match="answered NaN or infinity"):
        load(make_model(graph=make_graph(weights=weights)))(red_image)


def test_labels_may_be_translated_but_preprocessing_is_the_files_own(
    tiny_model: Path, red_image: NDArray[np.uint8]
) -> None:
    assert load(tiny_model, labels=("rouge", "vert", "bleu"))(red_image).top1 == "rouge"
    with pytest.raises(OptionError, match=r"2 labels were given, but .* has 3 classes"):
        load(tiny_model, labels=("rouge", "vert"))
    with pytest.raises(OptionError, match="carries its own preprocessing; leave out mean"):
        load(tiny_model, **PLAIN)
    with pytest.raises(OptionError, match="leave out levels, or export it again with levels=LOW,HIGH"):
        load(tiny_model, levels=(0, 4095))


def test_foreign_model_runs_with_what_is_told(make_foreign: MakeModel, red_image: NDArray[np.uint8]) -> None:
    result = load(make_foreign(), labels=COLORS, **PLAIN)(red_image)
    assert result.probs.tolist() == pytest.approx(_softmax(*(4 * level / 255 for level in (200, 50, 25))), rel=1e-4)


def test_mean_and_deviation_may_be_arrays(make_foreign: MakeModel, red_image: NDArray[np.uint8]) -> None:
    told: dict[str, Any] = {"labels": ["red", "green", "blue"], "mean": (0.5,) * 3, "std": (0.25,) * 3}
    arrays = told | {"mean": np.array(told["mean"]), "std": np.array(told["std"], np.float32)}
    path = make_foreign()
    with load(path, **told) as one, load(path, **arrays) as other:
        assert one.preprocess == other.preprocess
        assert np.array_equal(one(red_image).probs, other(red_image).probs)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"mean": 0.5}, "mean= is 0.5, expected a list"),
        ({"std": np.float32(0.5)}, "std= is 0.5, expected a list"),
        ({"std": (0.5, "a", 0.5)}, r"std\[1\]= is 'a', expected a finite number"),
        ({"labels": 3}, "labels= is 3, expected text or a path or a list"),
        ({"crop_pct": "much"}, "crop_pct= is 'much', expected a finite number"),
    ],
)
def test_what_is_told_of_another_type_is_refused_by_its_name(
    make_foreign: MakeModel, told: dict[str, Any], reason: str
) -> None:
    with pytest.raises(OptionError, match=reason):
        load(make_foreign(), **told)


def test_what_is_no_source_is_refused_with_what_to_do(
    classifier: edgevit.Classifier, red_image: NDArray[np.uint8]
) -> None:
    for source, kind in ((["a.jpg", "b.jpg"], "list"), (red_image, "ndarray")):
        with pytest.raises(OptionError, match=f"the source is a {kind}, expected a path .* call the model itself"):
            classifier.stream(source)  # type: ignore[arg-type]


@pytest.mark.parametrize("k", [-1, 2.5])
def test_the_best_classes_are_a_whole_number_of_them(
    classifier: edgevit.Classifier, red_image: NDArray[np.uint8], k: float
) -> None:
    with pytest.raises(OptionError, match=f"k= is {k}, expected a whole number"):
        classifier(red_image).top(k)  # type: ignore[arg-type]


def test_foreign_model_with_its_own_softmax_gets_no_second_one(
    make_foreign: MakeModel, red_image: NDArray[np.uint8]
) -> None:
    plain = load(make_foreign(), labels=COLORS, **PLAIN)(red_image)
    ready = load(make_foreign(softmax=True), labels=COLORS, **PLAIN)(red_image)
    np.testing.assert_allclose(plain.probs, ready.probs, rtol=1e-5)


def test_foreign_model_of_open_size_needs_imgsz(make_foreign: MakeModel, red_image: NDArray[np.uint8]) -> None:
    path = make_foreign(shape=("N", 3, "H", "W"))
    assert load(path, labels=COLORS, imgsz=48, **PLAIN)(red_image).top1 == "red"
    assert load(path, labels=COLORS, imgsz=(32, 64), **PLAIN).preprocess.size == (32, 64)
    with pytest.raises(OptionError, match=r"takes images of any size; give .* \(imgsz=224\)"):
        load(path, labels=COLORS, **PLAIN)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"labels": COLORS}, r"its normalisation is unknown: give mean and std .*mean=0\.485,0\.456,0\.406"),
        ({"labels": COLORS, "mean": (0, 0, 0)}, "unknown: give std"),
        (PLAIN, r"its 3 class names are unknown: give labels \(labels=FILE"),
        ({"labels": ("red",), **PLAIN}, r"1 labels were given, but .* has 3 classes; give one for each"),
        ({"labels": COLORS, "imgsz": 64, **PLAIN}, r"imgsz is \(64, 64\), but .* takes \(24, 32\)"),
        ({"labels": COLORS, "mean": (0,), "std": (1,)}, "mean is .*, expected three numbers"),
        ({"labels": COLORS, "mean": (0, 0, 0), "std": (1, 0, 1)}, "std is .*, expected three positive numbers"),
        ({"labels": COLORS, "crop_pct": 2, **PLAIN}, "crop_pct is 2.0, expected more than 0"),
        ({"labels": COLORS, "interpolation": "nearest", **PLAIN}, "interpolation is 'nearest', expected bicubic"),
    ],
)
def test_what_must_be_told_is_asked_for(make_foreign: MakeModel, told: dict[str, Any], reason: str) -> None:
    with pytest.raises(OptionError, match=reason):
        load(make_foreign(), **told)


@pytest.mark.parametrize("names", ["{0: 'red', 1: \"gr'een\", 2: 'blue'}", '["red", "gr\'een", "blue"]'])
def test_names_in_foreign_metadata_are_used(make_foreign: MakeModel, names: str) -> None:
    assert load(make_foreign(metadata={"names": names}), **PLAIN).names == ("red", "gr'een", "blue")


@pytest.mark.parametrize(
    "names", ["{0: __import__('os').getcwd()}", "{1: 'red'}", "{0: 'a' 1: 'b'}", "{}", "red", "{0: 'a\\x41'}"]
)
def test_names_that_are_not_plain_are_never_evaluated(make_foreign: MakeModel, names: str) -> None:
    with pytest.raises(OptionError, match="class names are unknown"):
        load(make_foreign(metadata={"names": names}), **PLAIN)
