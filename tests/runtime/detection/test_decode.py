"""Decoding and suppression: the official ones' recordings, and cases that can be worked out by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.artifact.manifest import BoxOutput
from edgevit.errors import ModelFileError
from edgevit.runtime.detection.decode import RawBoxes, anchors, decode
from edgevit.runtime.detection.suppress import Limits, suppress
from tests.places import SHARED

Floats = NDArray[np.float32]
YOLOX = BoxOutput("yolox", (8, 16, 32), "boxes", "scores", "objectness")
RETINA = BoxOutput("retina", (8, 16, 32, 64, 128), "boxes", "scores")
recorded = pytest.mark.skipif(
    not (SHARED / "golden" / "yolox_postprocess.npz").is_file(), reason="the recordings are not beside this checkout"
)


@recorded
@pytest.mark.parametrize("picture", [0, 1])
def test_yolox_detections_are_the_official_ones_in_their_order(picture: int) -> None:
    golden = np.load(SHARED / "golden" / "yolox_postprocess.npz")
    levels = [[golden[f"{kind}_p{level}"][picture] for level in (3, 4, 5)] for kind in ("reg", "obj", "cls")]
    raw = [np.concatenate([level.reshape(len(level), -1).T for level in kind]) for kind in levels]
    found = decode(raw, YOLOX, (192, 320), threshold=0.05, overlap=0.45, candidates=1260, most=1000)
    wanted = golden[f"post_{picture}_x1y1x2y2_obj_cls_label"]
    assert len(found.boxes) == len(wanted) > 100
    np.testing.assert_array_equal(found.classes, wanted[:, 6])
    np.testing.assert_allclose(found.boxes, wanted[:, :4], atol=1e-4)
    np.testing.assert_allclose(found.scores, wanted[:, 4] * wanted[:, 5], atol=1e-4)


@recorded
def test_retinanet_detections_are_the_official_ones_in_their_order() -> None:
    golden = np.load(SHARED / "golden" / "retina_postprocess.npz")
    names = [f"p{level}" for level in range(3, 8)]
    wanted_anchors = np.concatenate([golden[f"anchors_{name}"] for name in names])
    np.testing.assert_allclose(anchors(RETINA.strides, (192, 320)), wanted_anchors, atol=1e-4)
    boxes, scores = (
        np.concatenate([golden[f"{kind}_{name}"][0].transpose(1, 2, 0).reshape(-1, width) for name in names])
        for kind, width in (("reg", 4), ("cls", 3))
    )
    found = decode([boxes, scores], RETINA, (192, 320), threshold=0.05)
    np.testing.assert_array_equal(found.classes, golden["det_labels"])
    np.testing.assert_allclose(found.boxes, golden["det_boxes"], atol=1e-4)
    np.testing.assert_allclose(found.scores, golden["det_scores"], atol=1e-4)


def empty(places: int = 21, classes: int = 2) -> list[Floats]:
    """Return raw answers for an input of 32 x 32 pixels in which nothing is: 16, 4 and 1 places."""
    return [
        np.zeros((places, 4), np.float32),
        np.full((places, 1), -9, np.float32),
        np.full((places, classes), -9, np.float32),
    ]


def test_a_box_is_counted_from_its_cells_corner_in_strides() -> None:
    raw = empty()
    # the third cell of the second level: row 1, column 0, stride 16
    raw[0][18] = (0.25, -0.5, np.log(2), 0)
    raw[1][18], raw[2][18, 1] = 0, 0
    found = decode(raw, YOLOX, (32, 32), threshold=0.25)
    # centre (.25 * 16, 16 - .5 * 16), width 2 * 16, height 16
    np.testing.assert_allclose(found.boxes, [[4 - 16, 8 - 8, 4 + 16, 8 + 8]], atol=1e-5)
    np.testing.assert_allclose(found.scores, [0.25], atol=1e-6)
    assert found.classes.tolist() == [1]
    assert len(decode(raw, YOLOX, (32, 32), threshold=0.2501).boxes) == 0


def test_wild_answers_neither_overflow_nor_disturb_the_others() -> None:
    raw = empty()
    raw[0][20] = (0.5, 0.5, 0, 0)
    raw[1][20], raw[2][20, 0] = 9, 9
    raw[0][:3] = [[3e38, 3e38, 3e38, 3e38], [-3e38, 0, 3e38, -3e38], [0, 0, -3e38, -3e38]]
    raw[1][:3] = raw[2][:3] = 3e38
    with np.errstate(all="raise", under="ignore"):
        found = decode(raw, YOLOX, (32, 32))
        also = decode([raw[0], raw[2]], BoxOutput("yolox", (8, 16, 32), "boxes", "scores"), (32, 32), threshold=0)
    assert np.isfinite(found.boxes).all()
    assert np.isfinite(also.boxes).all()
    assert any(np.allclose(box, (0, 0, 32, 32), atol=1e-4) for box in found.boxes)
    with np.errstate(all="raise", under="ignore"):
        deltas = np.full((9 * (16 + 4 + 1 + 1 + 1), 4), 3e38, np.float32)
        wild = decode([deltas, deltas[:, :2]], RETINA, (32, 32))
    assert np.isfinite(wild.boxes).all()


def test_only_boxes_of_one_class_suppress_each_other() -> None:
    # the second overlaps the first by 80 / 120, the fourth is of another class, the third far away
    boxes = np.array([[0, 0, 10, 10], [0, 2, 10, 12], [-50, 0, -40, 10], [0, 0, 10, 10]], np.float32)
    scores = np.array([0.8, 0.9, 0.2, 0.3], np.float32)
    classes = np.array([0, 0, 0, 1])
    found = suppress(boxes, scores, classes, 0.5)
    np.testing.assert_array_equal(found.boxes, boxes[[1, 3, 2]])
    np.testing.assert_array_equal(found.scores, scores[[1, 3, 2]])
    assert found.classes.tolist() == [0, 1, 0]
    assert len(suppress(boxes, scores, classes, 0.67).boxes) == 4
    assert len(suppress(boxes, scores, classes, 0.5, most=1).boxes) == 1


def test_empty_boxes_are_left_out() -> None:
    boxes = np.array([[5, 5, 5, 9], [7, 7, 3, 9], [5, 5, 9, 5], [7, 7, 9, 3]], np.float32)
    assert len(suppress(boxes, np.ones(4, np.float32), np.zeros(4, np.int64), 0.5).boxes) == 0


def test_equal_scores_stay_in_their_order() -> None:
    boxes = np.array([[20 * x, 0, 20 * x + 9, 9] for x in range(51)], np.float32)
    # three scores that take turns: those of the second are the surest
    scores = np.tile(np.array([0.5, 0.75, 0.25], np.float32), 17)
    found = suppress(boxes, scores, np.zeros(51, np.int64), 0.5)
    np.testing.assert_array_equal(found.boxes, boxes[[*range(1, 51, 3), *range(0, 51, 3), *range(2, 51, 3)]])


@pytest.mark.parametrize(
    "box",
    # left of the picture, so that the largest corner lies nearer to zero than the smallest; and no larger than a pixel
    [[-100, -100, 101, 101], [-300, -200, -10, -20], [0, 0, 1, 1]],
)
def test_the_same_box_of_three_classes_stays_three_times_wherever_it_is(box: list[float]) -> None:
    boxes = np.array([box] * 4, np.float32)
    found = suppress(boxes, np.array([0.9, 0.8, 0.7, 0.6], np.float32), np.array([2, 0, 1, 0]), 0.5)
    assert found.classes.tolist() == [2, 0, 1]


def test_wild_corners_are_cut_on_every_side() -> None:
    boxes = np.array([[-3e38, -3e38, 3e38, 3e38], [1, 2, 11, 12], [2, 2, 12, 12]], np.float32)
    found = suppress(boxes, np.array([0.9, 0.8, 0.7], np.float32), np.zeros(3, np.int64), 0.5)
    # the last overlaps the second by 90 / 110, and nothing covers half of the first
    assert found.boxes.tolist() == [[-1e5, -1e5, 1e5, 1e5], [1, 2, 11, 12]]


def test_answers_of_another_form_are_refused_with_what_was_seen() -> None:
    raw = empty()
    with pytest.raises(ModelFileError, match=r"answers with 20x4, 20x1, 20x2 .* says 21x4, 21x1, 21xclasses"):
        decode([output[:20] for output in raw], YOLOX, (32, 32))
    with pytest.raises(ModelFileError, match="21x4, 21x2"):
        decode([raw[0], raw[2]], YOLOX, (32, 32))


def test_corners_are_taken_as_they_are() -> None:
    corners = BoxOutput("corners", (8,), "boxes", "scores")
    found = decode([np.array([[1, 2, 3, 4]], np.float32), np.zeros((1, 1), np.float32)], corners, (32, 32))
    assert found.boxes.tolist() == [[1, 2, 3, 4]]
    assert found.scores.tolist() == [0.5]


CORNERS = BoxOutput("corners", (8,), "boxes", "scores")


def row(*logits: float, classes: int = 1) -> list[Floats]:
    """Return raw answers of boxes side by side, each of one class after the other, with these logits."""
    boxes = np.array([[20 * k, 0, 20 * k + 10, 10] for k in range(len(logits))], np.float32)
    scores = np.full((len(logits), classes), -9, np.float32)
    scores[range(len(logits)), [k % classes for k in range(len(logits))]] = logits
    return [boxes, scores]


@pytest.mark.parametrize(
    ("threshold", "count"), [(0.0, 4), (0.2689, 3), (0.269, 2), (0.5, 2), (0.5001, 1), (1.0, 1)], ids=str
)
def test_score_of_just_the_threshold_is_told(threshold: float, count: int) -> None:
    # 1, 0.5, 1 / (1 + e) = 0.26894 and nothing
    raw = row(3e38, 0.0, -1.0, -3e38)
    assert len(decode(raw, CORNERS, (32, 32), threshold=threshold).boxes) == count


def test_only_the_surest_candidates_reach_the_suppression() -> None:
    raw = row(1.0, 3.0, 2.0, classes=2)
    found = decode(raw, CORNERS, (32, 32), candidates=2)
    assert found.boxes[:, 0].tolist() == [20, 40]
    assert found.classes.tolist() == [1, 0]
    # 300 unless told otherwise, of which 100 are told
    many = row(*np.linspace(1, 2, 400))
    assert decode(many, CORNERS, (32, 32), most=1000).boxes[:, 0].tolist() == [20.0 * k for k in range(399, 99, -1)]
    assert len(decode(many, CORNERS, (32, 32)).boxes) == 100


def test_candidates_of_anchors_are_counted_for_each_level_and_class() -> None:
    # 32 x 64 pixels: 4 x 8, 2 x 4, 1 x 2, 1 and 1 places, nine anchors at each
    counts = [9 * each for each in (32, 8, 2, 1, 1)]
    raw = [np.zeros((sum(counts), 4), np.float32), np.full((sum(counts), 3), -9, np.float32)]
    first = np.cumsum([0, *counts])
    # of the first level four, one anchor of two classes among them; of the second and the last one each
    for place, kind, logit in (
        (first[0] + 9 * 5, 0, 1.0),
        (first[0] + 9 * 5, 2, 4.0),
        (first[0] + 9 * 20, 1, 3.0),
        (first[0] + 9 * 31, 1, 2.0),
        (first[1] + 9 * 3, 0, 0.5),
        (first[4] + 4, 2, 0.25),
    ):
        raw[1][place, kind] = logit
    every = decode(raw, RETINA, (32, 64), overlap=1.0)
    assert every.classes.tolist() == [2, 1, 1, 0, 0, 2]
    np.testing.assert_allclose(every.scores, 1 / (1 + np.exp(-np.array([4, 3, 2, 1, 0.5, 0.25]))), rtol=1e-6)
    # around row 0, column 5 of the finest level: 4 strides of 8 high, and square root of two times as wide as that...
    wide, high = 32 * 2**0.5 / 2, 32 / 2**0.5 / 2
    np.testing.assert_allclose(every.boxes[0], [40 - wide, 0, 40 + wide, high], atol=1e-4)
    few = decode(raw, RETINA, (32, 64), overlap=1.0, candidates=2)
    assert few.classes.tolist() == [2, 1, 0, 2]


def test_places_of_a_size_that_no_stride_divides_are_rounded_up() -> None:
    # 33 x 50 pixels: 5 x 7, 3 x 4 and 2 x 2 places
    raw = empty(35 + 12 + 4)
    raw[1][[34, 46, 50]] = raw[2][[34, 46, 50], 0] = 9
    found = decode(raw, YOLOX, (33, 50), overlap=1.0)
    sides = np.array([8, 16, 32])[:, None] / 2
    centres = np.array([[48, 32, 48, 32], [48, 32, 48, 32], [32, 32, 32, 32]])
    np.testing.assert_allclose(found.boxes, centres + sides * [-1, -1, 1, 1])


@pytest.mark.parametrize(
    "shapes",
    [
        [(21, 4), (21, 2)],
        [(21, 4), (21, 1), (21, 1), (21, 2)],
        [(21, 5), (21, 1), (21, 2)],
        [(21, 4), (21, 2), (21, 2)],
        [(21, 4), (21, 1), (20, 2)],
        [(22, 4), (22, 1), (22, 2)],
        [(21, 4), (21, 1), (21,)],
        [(1, 21, 4), (1, 21, 1), (1, 21, 2)],
    ],
    ids=str,
)
def test_each_form_that_is_another_is_refused(shapes: list[tuple[int, ...]]) -> None:
    told = ", ".join("x".join(map(str, shape)) for shape in shapes)
    with pytest.raises(ModelFileError, match=f"answers with {told} for a picture, .* says 21x4, 21x1, 21xclasses;"):
        decode([np.zeros(shape, np.float32) for shape in shapes], YOLOX, (32, 32))


def test_corners_may_be_of_any_number_of_places_but_of_one() -> None:
    with pytest.raises(ModelFileError, match="answers with 3x4, 2x1 for a picture, .* says Nx4, Nxclasses;"):
        decode([np.zeros((3, 4), np.float32), np.zeros((2, 1), np.float32)], CORNERS, (32, 32))


def test_model_must_answer_for_as_many_classes_as_it_has_labels() -> None:
    decoder = RawBoxes(CORNERS, (32, 32))
    decoder.check([(3, 4), (3, 2)], 2)
    with pytest.raises(ModelFileError, match="^the model answers for 2 classes, but has 3 labels$"):
        decoder.check([(3, 4), (3, 2)], 3)
    with pytest.raises(ModelFileError, match="answers with 3x4, 2x2"):
        decoder.check([(3, 4), (2, 2)], 2)


@pytest.mark.parametrize(
    ("limits", "places"),
    [
        (Limits(), [0, 2]),
        (Limits(threshold=0.8), [0]),
        (Limits(overlap=0.9), [0, 1, 2]),
        (Limits(candidates=1), [0]),
        (Limits(most=1), [0]),
    ],
    ids=str,
)
def test_wishes_of_the_user_reach_the_boxes(limits: Limits, places: list[int]) -> None:
    # the second is the first, moved by a tenth: 9 / 11
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 0, 60, 10]], np.float32)
    raw = [boxes, np.array([[2.0], [1.0], [0.0]], np.float32)]
    decoder = RawBoxes(CORNERS, (32, 32))
    assert decoder.threshold == 0.25
    np.testing.assert_array_equal(decoder.find(raw, limits).boxes, boxes[places])
