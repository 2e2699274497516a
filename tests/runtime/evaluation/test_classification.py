"""Validation of the arithmetic model against a variant of it, on pictures whose logits are known."""

import math
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.errors import DataError, ModelFileError, OptionError
from edgevit.runtime.classifier import Classifier
from edgevit.runtime.datasets.folder import read_folder
from edgevit.runtime.datasets.judged import Judged, choose_judged
from edgevit.runtime.evaluation.classification import validate
from edgevit.runtime.loading import load

MakeModel = Callable[..., Path]
SaveImage = Callable[[str, NDArray[np.uint8]], Path]

PLAIN, ORANGE, SKY = (204, 51, 51), (255, 204, 51), (51, 51, 204)
"""Logits of the tiny model are 16 * (level / 255 - 0.5): 4.8 -4.8 -4.8, 8.0 4.8 -4.8 and -4.8 -4.8 4.8."""
NAMES = ("red", "green", "blue")


def find_images(data: Path, *, unlabelled: bool = False, limit: int | None = None) -> Judged:
    return choose_judged(read_folder(data, "plain" if unlabelled else "classes", NAMES)).draw(limit)


def picture(color: tuple[int, int, int]) -> NDArray[np.uint8]:
    return np.full((40, 50, 3), color, np.uint8)


@pytest.fixture
def data(save_image: SaveImage, tmp_path: Path) -> Path:
    save_image("data/red/plain.png", picture(PLAIN))
    save_image("data/red/orange.png", picture(ORANGE))
    save_image("data/green/lime.png", picture(ORANGE))
    save_image("data/blue/deep/sky.png", picture(SKY))
    return tmp_path / "data"


@pytest.fixture
def tiny(make_model: MakeModel) -> Classifier:
    """Says red, red, red and blue to plain, orange, lime and sky."""
    return load(make_model())


@pytest.fixture
def greener(make_model: MakeModel, make_graph: Callable[..., object]) -> Classifier:
    """Its logit of green is twice that of the tiny model, so that orange and lime are green."""
    weights = np.diag([4.0, 8.0, 4.0]).astype(np.float32)
    return load(make_model("greener.onnx", graph=make_graph(weights=weights)))


def share(*others: float) -> float:
    """Return the probability of a class whose logit is more than the others' by this much."""
    return 1 / (1 + sum(math.exp(-other) for other in others))


def test_accuracy_of_one_model(data: Path, tiny: Classifier) -> None:
    found = validate([("tiny", tiny)], find_images(data))
    (model,) = found.models
    assert (found.images, found.labelled, found.unreadable, found.labels) == (4, True, (), NAMES)
    assert model.answers == (3, 0, 1)
    assert model.agreement is None
    assert model.accuracy is not None
    assert model.accuracy.top1 == 0.75
    assert model.accuracy.top5 is None
    assert model.accuracy.per_class == (1.0, 0.0, 1.0)
    assert model.accuracy.confusion == ((2, 0, 0), (1, 0, 0), (0, 0, 1))
    confidences = 2 * share(9.6, 9.6) + 2 * share(3.2, 12.8)
    assert model.mean_confidence == pytest.approx(confidences / 4, abs=1e-5)
    # all four are more than 14/15 sure, and three are right
    assert model.accuracy.ece == pytest.approx((confidences - 3) / 4, abs=1e-5)


def test_second_model_is_compared_with_the_first(data: Path, tiny: Classifier, greener: Classifier) -> None:
    found = validate([("tiny", tiny), ("greener", greener)], find_images(data))
    agreement = found.models[1].agreement
    assert agreement is not None
    assert (agreement.top1, agreement.flips, agreement.lost, agreement.gained) == (0.5, 2, 1, 1)
    before = 2 * share(9.6, 9.6) + 2 * share(3.2, 12.8)
    after = share(14.4, 9.6) + 2 * share(1.6, 14.4) + share(14.4, 9.6)
    assert agreement.confidence_drift == pytest.approx((after - before) / 4, abs=1e-5)
    # only green's logit differs, by 4.8 each time; the logits' squares sum up to 2 * 69.12 + 2 * 110.08
    assert agreement.logit_sqnr_db == pytest.approx(10 * math.log10(358.4 / (4 * 4.8**2)), abs=1e-4)
    # (4.8, -4.8, -4.8) became (4.8, -9.6, -4.8), and (8, 4.8, -4.8) became (8, 9.6, -4.8), each twice
    cosines = 92.16 / math.sqrt(69.12 * 138.24), 133.12 / math.sqrt(110.08 * 179.2)
    assert agreement.logit_cosine == pytest.approx(sum(cosines) / 2, abs=1e-5)


def test_flips_say_what_became_what(data: Path, tiny: Classifier, greener: Classifier) -> None:
    found = validate([("tiny", tiny), ("greener", greener)], find_images(data))
    assert found.models[1].agreement is not None
    first, second = found.models[1].agreement.flipped
    assert (first.source, second.source) == (f"{data}/green/lime.png", f"{data}/red/orange.png")
    assert (first.label, first.before, first.after, second.label) == ("green", "red", "green", "red")
    assert first.before_conf == pytest.approx(share(3.2, 12.8), abs=1e-5)
    assert first.after_conf == pytest.approx(share(1.6, 14.4), abs=1e-5)


def test_only_the_surest_flips_are_kept(save_image: SaveImage, tiny: Classifier, greener: Classifier) -> None:
    """Red leads by 0.8, 3.2 and 4.0 in the first model; green leads by 5.6, 1.6 and 0.8 - 0.3 in the second."""
    for name, green in (("least", 192), ("most", 242), ("middle", 204)):
        folder = save_image(f"flat/{name}.png", picture((255, green, 51))).parent
    models = [("tiny", tiny), ("greener", greener)]
    for wanted, names in ((0, []), (1, ["most"]), (2, ["most", "middle"])):
        agreement = validate(models, find_images(folder), flips=wanted).models[1].agreement
        assert agreement is not None
        assert agreement.flips == 3
        assert [Path(flip.source).stem for flip in agreement.flipped] == names


def test_unlabelled_images_tell_agreement_only(data: Path, tiny: Classifier, greener: Classifier) -> None:
    images = find_images(data, unlabelled=True)
    found = validate([("tiny", tiny), ("greener", greener)], images)
    assert not found.labelled
    assert [model.accuracy for model in found.models] == [None, None]
    agreement = found.models[1].agreement
    assert agreement is not None
    assert (agreement.top1, agreement.lost, agreement.gained) == (0.5, None, None)
    assert agreement.flipped[0].label is None


def test_same_model_differs_in_nothing(data: Path, tiny: Classifier, make_model: MakeModel) -> None:
    found = validate([("a", tiny), ("b", load(make_model("b.onnx")))], find_images(data))
    agreement = found.models[1].agreement
    assert agreement is not None
    assert (agreement.top1, agreement.confidence_drift, agreement.logit_sqnr_db) == (1.0, 0.0, None)
    assert agreement.logit_cosine == pytest.approx(1.0)


def test_probabilities_have_no_logit_sqnr(data: Path, tiny: Classifier, make_foreign: MakeModel) -> None:
    path = make_foreign(softmax=True, weights=np.diag([4.0, 8.0, 4.0]).astype(np.float32))
    other = load(path, labels=NAMES, mean=(0.5,) * 3, std=(0.25,) * 3)
    found = validate([("tiny", tiny), ("other", other)], find_images(data))
    agreement = found.models[1].agreement
    assert agreement is not None
    assert (agreement.top1, agreement.logit_sqnr_db, agreement.logit_cosine) == (0.5, None, None)


def test_models_of_different_inputs_each_get_their_own(
    data: Path, tiny: Classifier, make_model: MakeModel, make_graph: Callable[..., object]
) -> None:
    from edgevit.artifact.manifest import Input, Preprocess

    preprocessing = Preprocess(size=(64, 48), mean=(0.5,) * 3, std=(0.25,) * 3)
    large = make_model("large.onnx", input=Input(name="image", shape=(1, 3, 64, 48)), preprocess=preprocessing)
    agreement = validate([("a", tiny), ("b", load(large))], find_images(data)).models[1].agreement
    assert agreement is not None
    assert agreement.top1 == 1.0


def test_unreadable_images_are_named_and_left_out(data: Path, tiny: Classifier) -> None:
    (data / "red" / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    found = validate([("tiny", tiny)], find_images(data))
    assert found.images == 4
    assert found.unreadable == (f"{data}/red/broken.jpg is a truncated JPEG; copy or record it again",)
    assert found.models[0].accuracy is not None
    assert found.models[0].accuracy.top1 == 0.75


def test_nothing_readable_is_an_error(tmp_path: Path, tiny: Classifier) -> None:
    (tmp_path / "only.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"none of the 1 images in .* can be read: .*only.png is not an image"):
        validate([("tiny", tiny)], find_images(tmp_path))


def test_models_of_different_labels_cannot_be_compared(
    data: Path, tiny: Classifier, make_model: MakeModel, make_graph: Callable[..., object]
) -> None:
    other = load(make_model("other.onnx", labels=("red", "lime", "blue")))
    with pytest.raises(OptionError, match="class 1 is 'lime' in b, but 'green' in a; compare models of the same"):
        validate([("a", tiny), ("b", other)], find_images(data))
    two = load(make_model("two.onnx", labels=("a", "b"), graph=make_graph(weights=np.eye(2, 3, dtype=np.float32))))
    with pytest.raises(OptionError, match="b has 2 classes, but a has 3"):
        validate([("a", tiny), ("b", two)], find_images(data))


def test_model_that_fails_is_named(data: Path, make_model: MakeModel, make_graph: Callable[..., object]) -> None:
    nan = load(make_model(graph=make_graph(weights=np.full((3, 3), np.nan, np.float32))))
    with pytest.raises(ModelFileError, match="bad.onnx: the model answered NaN or infinity"):
        validate([("bad.onnx", nan)], find_images(data))


def test_memory_does_not_grow_with_the_images(save_image: SaveImage, tiny: Classifier, greener: Classifier) -> None:
    path = save_image("many/0.png", picture(ORANGE))
    for i in range(1, 160):
        (path.parent / f"{i}.png").write_bytes(path.read_bytes())

    def peak(count: int) -> int:
        images = find_images(path.parent, limit=count)
        tracemalloc.start()
        validate([("a", tiny), ("b", greener)], images, flips=5)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(32)
    assert peak(160) < 1.2 * peak(32)


def test_a_mean_over_classes_is_not_known_where_one_has_no_picture(data: Path, tiny: Classifier) -> None:
    accuracy = validate([("tiny", tiny)], find_images(data)).models[0].accuracy
    assert accuracy is not None
    assert accuracy.macro == pytest.approx((2 / 2 + 0 / 1 + 1 / 1) / 3)
    (data / "blue" / "deep" / "sky.png").unlink()
    accuracy = validate([("tiny", tiny)], find_images(data)).models[0].accuracy
    assert accuracy is not None
    assert (accuracy.per_class, accuracy.macro) == ((1.0, 0.0, None), None)


def test_folder_that_is_no_class_is_named(data: Path, save_image: SaveImage, tiny: Classifier) -> None:
    save_image("data/pink/a.png", picture(SKY))
    with pytest.raises(DataError, match=r"pink \(1 of 4 folders\) is no class of the model, whose labels are red, gre"):
        validate([("tiny", tiny)], find_images(data))


@pytest.mark.parametrize("seed", [-1, 10**22])
def test_what_is_no_seed_draws_nothing(data: Path, seed: int) -> None:
    with pytest.raises(OptionError, match=f"seed= is {seed}, expected a whole number from 0 to 9223372036854775807"):
        find_images(data).draw(1, seed)


def test_limit_must_be_positive(data: Path) -> None:
    with pytest.raises(OptionError, match="limit= is 0, expected a whole number, 1 or more"):
        find_images(data, limit=0)
