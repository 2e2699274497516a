"""Average precision: cases small enough to work out by hand, and pycocotools as the witness of all others."""

import dataclasses
import io
import xml.etree.ElementTree as ElementTree
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevit.runtime.detection.boxes import FoundBoxes, TrueBoxes, no_truth, nothing_found
from edgevit.runtime.evaluation.average_precision import BoxQuality, average_precision
from tests.box_scenes import found_boxes, perturb, true_boxes, witness
from tests.places import SHARED

BOX, OTHER, FAR = (0, 0, 100, 100), (200, 0, 300, 100), (400, 400, 500, 500)


def _agree(truth: list[TrueBoxes], found: list[FoundBoxes], classes: int) -> BoxQuality:
    """Return our figures after comparing each with the witness's."""
    ours = average_precision(truth, found, classes)
    theirs = witness(truth, found, classes)
    for name, value in dataclasses.asdict(ours).items():
        assert value == pytest.approx(theirs[name], abs=1e-6), name
    return ours


def test_all_found_and_nothing_else_is_1() -> None:
    quality = _agree([true_boxes([BOX, OTHER])], [found_boxes([BOX, OTHER], [0.9, 0.8])], 1)
    assert (quality.ap, quality.ap50, quality.ap75, quality.ap_large) == (1, 1, 1, 1)
    assert (quality.ap_small, quality.ap_medium) == (None, None)


def test_nothing_found_is_0_and_nothing_there_is_no_figure() -> None:
    quality = _agree([true_boxes([BOX])], [nothing_found()], 2)
    assert (quality.ap, quality.per_class, quality.per_class50) == (0, (0, None), (0, None))
    quality = _agree([no_truth()], [found_boxes([BOX], [0.9])], 1)
    assert (quality.ap, quality.ap50, quality.per_class) == (None, None, (None,))
    assert average_precision([], [], 1).ap is None


def test_class_that_is_not_there_does_not_count_whatever_is_found_of_it() -> None:
    quality = _agree([true_boxes([BOX])], [found_boxes([BOX, OTHER], [0.9, 0.8], [0, 1])], 2)
    assert (quality.ap, quality.per_class) == (1, (1, None))


@pytest.mark.parametrize(("score", "ap"), [(0.95, 0.5), (0.5, 1.0)])
def test_wrong_box_on_an_empty_picture_hurts_if_it_is_surer_than_the_right_one(score: float, ap: float) -> None:
    """The right one then is the second of two: precision 1/2 at every recall."""
    quality = _agree([true_boxes([BOX]), no_truth()], [found_boxes([BOX], [0.9]), found_boxes([BOX], [score])], 1)
    assert quality.ap == pytest.approx(ap)


def test_second_box_on_the_same_thing_is_wrong() -> None:
    """Right, double, right: precision 1 up to recall 1/2, which 51 of 101 recalls reach, then 2/3."""
    quality = _agree([true_boxes([BOX, OTHER])], [found_boxes([BOX, BOX, OTHER], [0.9, 0.8, 0.7])], 1)
    assert quality.ap == pytest.approx((51 + 50 * 2 / 3) / 101)


@pytest.mark.parametrize(("width", "ap"), [(60, 0.3), (59.9, 0.2), (50, 0.1), (49.9, 0.0), (70, 0.5), (95, 1.0)])
def test_overlap_that_just_reaches_a_bar_counts(width: float, ap: float) -> None:
    """The box is as high as the true one, so that its width in per cent is the overlap; ten bars, 0.05 apart."""
    quality = _agree([true_boxes([BOX])], [found_boxes([(0, 0, width, 100)], [0.9])], 1)
    assert quality.ap == pytest.approx(ap)
    assert (quality.ap50, quality.ap75) == (float(width >= 50), float(width >= 75))


def test_box_takes_the_true_one_that_it_overlaps_most() -> None:
    """Both reach the first; the surer one is nearer to it, and the other still finds the second."""
    truth = true_boxes([(0, 0, 100, 100), (0, 30, 100, 130)])
    quality = _agree([truth], [found_boxes([(0, 2, 100, 102), (0, 20, 100, 120)], [0.9, 0.8])], 1)
    assert quality.ap50 == 1


def test_what_is_found_in_a_crowd_is_neither_right_nor_wrong() -> None:
    """Two small boxes in it are surer than the hit; without the crowd's mark they would be wrong, AP 1/3."""
    crowd = (400, 400, 700, 700)
    found = [found_boxes([(410, 410, 450, 450), (500, 500, 560, 560), BOX], [0.99, 0.98, 0.9])]
    assert _agree([true_boxes([BOX, crowd], crowd=[False, True])], found, 1).ap == 1
    assert _agree([true_boxes([BOX])], found, 1).ap == pytest.approx(1 / 3)
    # a crowd alone is nothing to find
    assert _agree([true_boxes([crowd], crowd=[True])], found, 1).ap is None


def test_single_thing_goes_before_the_crowd_around_it() -> None:
    truth = true_boxes([(0, 0, 300, 300), (10, 10, 90, 90)], crowd=[True, False])
    assert _agree([truth], [found_boxes([(10, 10, 110, 90)], [0.9])], 1).ap50 == 1


def test_of_equal_scores_the_earlier_pictures_box_comes_first() -> None:
    """Right first: 1. Wrong first: 1/2 at every recall."""
    right, wrong = found_boxes([BOX], [0.5]), found_boxes([FAR], [0.5])
    assert _agree([true_boxes([BOX]), no_truth()], [right, wrong], 1).ap == 1
    assert _agree([no_truth(), true_boxes([BOX])], [wrong, right], 1).ap == pytest.approx(0.5)


def test_only_the_hundred_surest_of_a_class_count() -> None:
    """The hit is the 101st of its class; of another class it is the first."""
    many = [FAR] * 100 + [BOX]
    scores = np.linspace(0.9, 0.1, 101)
    assert _agree([true_boxes([BOX])], [found_boxes(many, scores)], 1).ap == 0
    quality = _agree([true_boxes([BOX], [1])], [found_boxes(many, scores, [0] * 100 + [1])], 2)
    assert quality.ap == 1


def test_sizes_are_those_of_the_true_boxes() -> None:
    """Sides 32 and 96 belong to both neighbours; a box of another size that finds nothing is no mistake there."""
    small, edge, medium, large = (0, 0, 20, 20), (100, 0, 132, 32), (200, 0, 250, 50), (300, 0, 396, 96)
    truth = true_boxes([small, edge, medium, large])
    quality = _agree([truth], [found_boxes([small, edge, medium], [0.9, 0.8, 0.7])], 1)
    # of small and edge all; of edge, medium and large two of three: recalls 0 to 66 of 100 reach precision 1
    assert (quality.ap_small, quality.ap_large) == (1, 0)
    assert quality.ap_medium == pytest.approx(67 / 101)
    wrong = found_boxes([(500, 500, 700, 700), small], [0.9, 0.8])
    quality = _agree([true_boxes([small])], [wrong], 1)
    assert quality.ap == pytest.approx(0.5)
    assert quality.ap_small == 1


def test_mean_over_the_classes_that_are_there() -> None:
    truth = [true_boxes([BOX, OTHER, FAR], [0, 1, 1])]
    quality = _agree(truth, [found_boxes([BOX, OTHER], [0.9, 0.8], [0, 1])], 3)
    # of class 1 one of two: recalls 0 to 50 of 100
    assert quality.per_class[0::2] == (1, None)
    assert quality.per_class[1] == pytest.approx(51 / 101)
    assert quality.ap == pytest.approx((1 + 51 / 101) / 2)


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), pictures=st.integers(1, 6), classes=st.integers(1, 3), few=st.booleans())
def test_pycocotools_says_the_same_of_anything(seed: int, pictures: int, classes: int, few: bool) -> None:
    random = np.random.default_rng(seed)
    truth, found = [], []
    for _ in range(pictures):
        count = int(random.integers(0, 3 if few else 12))
        corner = random.uniform(0, 150, (count, 2))
        sides = random.choice([10, 32, 60, 96, 120], (count, 1)) * random.uniform(0.8, 1.25, (count, 2))
        boxes = np.concatenate([corner, corner + sides], axis=1)
        own = true_boxes(boxes, random.integers(0, classes, count), random.random(count) < 0.15)
        truth.append(own)
        found.append(perturb(own, random, classes))
    _agree(truth, found, classes)


def test_pycocotools_says_the_same_of_real_labels() -> None:
    """BCCD: 72 photographs of blood cells, many boxes that overlap; found are those boxes, perturbed."""
    archive = SHARED / "data" / "bccd.zip"
    if not archive.exists():
        pytest.skip("BCCD is not here")
    names = ("RBC", "WBC", "Platelets")
    with zipfile.ZipFile(archive) as stored:
        (listing,) = (name for name in stored.namelist() if name.endswith("ImageSets/Main/test.txt"))
        room = listing.partition("ImageSets")[0]
        stems = stored.read(listing).decode().split()
        truth = [_voc(stored.read(f"{room}Annotations/{stem}.xml"), names) for stem in stems]
    random = np.random.default_rng(0)
    found = [perturb(boxes, random, 3, shift=0.06) for boxes in truth]
    quality = _agree(truth, found, 3)
    assert quality.ap is not None
    assert 0.2 < quality.ap < 0.9


def _voc(document: bytes, names: tuple[str, ...]) -> TrueBoxes:
    things = list(ElementTree.parse(io.BytesIO(document)).iter("object"))
    sides = ("xmin", "ymin", "xmax", "ymax")
    boxes = [[float(thing.findtext(f"bndbox/{side}", "")) for side in sides] for thing in things]
    return true_boxes(boxes, [names.index(thing.findtext("name", "")) for thing in things])
