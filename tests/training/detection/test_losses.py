"""What the losses of detectors assign and cost: by hand, and as the official code computes them."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgevit.runtime.detection.boxes import TrueBoxes, no_truth
from edgevit.training.detection import retina, simota
from edgevit.training.detection.overlap import Truth
from edgevit.training.detection.places import make_anchors, make_cells
from edgevit.training.detection.retina import RetinaLoss
from edgevit.training.detection.yolox import YoloxLoss, decode, encode
from tests.places import SHARED

GOLDEN = SHARED / "golden"
CPU = torch.device("cpu")
SIZE = (192, 320)
"""(height, width) of the reference inputs."""
needs_references = pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"{GOLDEN} with reference outputs is not there")


def truth(*rows: tuple[float, float, float, float], classes: tuple[int, ...] = (), crowd: int = 0) -> TrueBoxes:
    """Return boxes, the last `crowd` of which are crowds."""
    count = len(rows)
    numbers = np.array(classes or (0,) * count, np.int64)
    return TrueBoxes(np.array(rows, np.float32), numbers, np.arange(count) >= count - crowd)


def on_cpu(label: TrueBoxes) -> Truth:
    return Truth.of(label, CPU)


@needs_references
def test_simota_and_losses_are_those_of_the_official_yolox() -> None:
    with np.load(GOLDEN / "yolox_postprocess.npz") as stored:
        answers = [_levels(stored, kind, (3, 4, 5)) for kind in ("reg", "obj", "cls")]
        labels = [_from_centres(rows[rows.sum(1) > 0]) for rows in stored["labels_cls_cxcywh"]]
        cells = make_cells(SIZE, (8, 16, 32))
        found = decode(answers[0], cells)
        for i in range(2):
            chosen = simota.assign(found[i], answers[1][i], answers[2][i], on_cpu(labels[i]), cells)
            assert chosen.cells.tolist() == np.flatnonzero(stored[f"fg_mask_{i}"]).tolist()
            assert chosen.boxes.tolist() == stored[f"matched_gt_{i}"].tolist()
            np.testing.assert_allclose(chosen.overlaps, stored[f"matched_iou_{i}"], atol=1e-4)
        loss = YoloxLoss((8, 16, 32))
        parts = loss.parts(answers, labels, SIZE)
        total, overlap, objects, classes, distance, share = stored["losses"]
    assert 5 * float(parts.overlap) == pytest.approx(overlap, abs=1e-4)
    assert float(parts.objectness) == pytest.approx(objects, abs=1e-4)
    assert float(parts.classes) == pytest.approx(classes, abs=1e-4)
    assert float(parts.distance) == pytest.approx(distance, abs=1e-4)
    assert parts.cells / sum(len(label.boxes) for label in labels) == pytest.approx(share)
    assert float(loss(answers, labels, SIZE, closing=True)) == pytest.approx(total, abs=1e-4)
    assert float(loss(answers, labels, SIZE)) == pytest.approx(total - distance, abs=1e-4)


@needs_references
def test_retinanet_s_losses_are_those_of_mmdetection() -> None:
    with np.load(GOLDEN / "retina_postprocess.npz") as stored:
        levels = range(3, 8)
        anchors = np.concatenate([stored[f"anchors_p{level}"] for level in levels])
        answers = [_anchored(stored, kind, count, levels) for kind, count in (("reg", 4), ("cls", 3))]
        label = TrueBoxes(stored["gt_boxes"], stored["gt_labels"].astype(np.int64), np.zeros(5, np.bool_))
        loss = RetinaLoss((8, 16, 32, 64, 128))
        parts = loss.parts(answers, [label], SIZE)
        sizes = [len(stored[f"anchors_p{level}"]) for level in levels]
        expected = stored["loss_cls"], stored["loss_bbox"]
    np.testing.assert_allclose(make_anchors(SIZE, loss.strides), anchors, atol=1e-4)
    for part, sums in zip(parts, expected, strict=True):
        found = np.array([float(level.sum()) for level in torch.split(part, sizes)])
        np.testing.assert_allclose(found, sums, atol=1e-4)
    assert float(loss(answers, [label], SIZE)) == pytest.approx(sum(map(sum, expected)), abs=1e-4)


def _levels(stored: "np.lib.npyio.NpzFile", kind: str, levels: tuple[int, ...]) -> Tensor:
    return torch.cat([torch.from_numpy(stored[f"{kind}_p{n}"]).flatten(2).transpose(1, 2) for n in levels], dim=1)


def _anchored(stored: "np.lib.npyio.NpzFile", kind: str, count: int, levels: range) -> Tensor:
    maps = [torch.from_numpy(stored[f"{kind}_p{level}"]) for level in levels]
    return torch.cat([each.permute(0, 2, 3, 1).reshape(1, -1, count) for each in maps], dim=1)


def _from_centres(rows: NDArray[np.float32]) -> TrueBoxes:
    corners = np.concatenate((rows[:, 1:3] - rows[:, 3:] / 2, rows[:, 1:3] + rows[:, 3:] / 2), axis=1)
    return TrueBoxes(np.asarray(corners, np.float32), rows[:, 0].astype(np.int64), np.zeros(len(rows), np.bool_))


def test_cells_stand_in_rows_the_finest_level_first() -> None:
    cells = make_cells((32, 64), (8, 16, 32))
    assert len(cells.strides) == 4 * 8 + 2 * 4 + 1 * 2
    assert cells.corners[:2].tolist() == [[0, 0], [8, 0]]
    assert cells.corners[8].tolist() == [0, 8]
    assert cells.centres[-1].tolist() == [48, 16]


def test_raw_boxes_are_offsets_and_logarithms_in_strides() -> None:
    cells = make_cells((32, 32), (16,))
    raw = torch.tensor([[[0.0, 0, 0, 0], [0.5, 0.25, math.log(2), 0], [0, 0, 0, 0], [0, 0, 0, 0]]])
    found = decode(raw, cells)
    # the second cell's corner is (16, 0): its centre is 16 + 8, 4, its sides are 32 and 16
    assert found[0, :2].tolist() == [[-8, -8, 8, 8], [8, -4, 40, 12]]
    torch.testing.assert_close(encode(found[0], cells, torch.arange(4)), raw[0])


def test_cells_near_a_box_s_centre_answer_for_it_as_many_as_overlap_it() -> None:
    """All 16 cells of 8 pixels answer with exactly the box, so that the sum of overlaps is as high as it can be."""
    cells = make_cells((32, 32), (8,))
    label = truth((8, 8, 24, 24))
    found = torch.tensor([[8.0, 8, 24, 24]]).repeat(16, 1)
    scores = torch.zeros(16, 1)
    chosen = simota.assign(found, scores, scores, on_cpu(label), cells)
    # the box's centre is (16, 16): of the cells' centres 4, 12, 20, 28 the middle two are within 12 pixels on each axis
    assert chosen.cells.tolist() == [5, 6, 9, 10]
    assert chosen.overlaps.tolist() == [1, 1, 1, 1]


def test_a_cell_that_two_boxes_want_answers_for_the_cheaper() -> None:
    cells = make_cells((32, 32), (32,))
    label = truth((0, 0, 32, 32), (8, 8, 24, 24))
    answer = torch.tensor([[8.0, 8, 24, 24]])
    chosen = simota.assign(answer, torch.zeros(1, 1), torch.zeros(1, 1), on_cpu(label), cells)
    assert (chosen.cells.tolist(), chosen.boxes.tolist(), chosen.overlaps.tolist()) == ([0], [1], [1])


def test_the_loss_of_one_cell_by_hand() -> None:
    """One cell of 32 pixels; its box is x 0..16, y 0..16, the true one x 0..32, y 0..16: an overlap of a half."""
    answers = [
        torch.tensor([[[0.25, 0.25, math.log(0.5), math.log(0.5)]]]),
        torch.tensor([[[0.0]]]),
        torch.tensor([[[0.0, 0.0]]]),
    ]
    label = truth((0, 0, 32, 16), classes=(1,))
    loss = YoloxLoss((32,))
    parts = loss.parts(answers, [label], (32, 32))
    log2 = math.log(2)
    assert float(parts.overlap) == pytest.approx(1 - 0.25)
    assert float(parts.objectness) == pytest.approx(log2)
    assert float(parts.classes) == pytest.approx(2 * log2)  # logits of 0 cost log 2 whatever is wanted
    assert float(parts.distance) == pytest.approx(0.25 + log2)  # x is wanted as 0.5, the logarithm of the width as 0
    assert float(loss(answers, [label], (32, 32))) == pytest.approx(5 * 0.75 + 3 * log2)


def test_a_picture_without_boxes_costs_what_is_taken_for_an_object() -> None:
    answers = [torch.zeros(1, 1, 4, requires_grad=True), torch.zeros(1, 1, 1), torch.zeros(1, 1, 2)]
    loss = YoloxLoss((32,))(answers, [no_truth()], (32, 32), closing=True)
    assert float(loss.detach()) == pytest.approx(math.log(2))
    loss.backward()  # type: ignore[no-untyped-call]
    assert answers[0].grad is not None


def test_what_is_found_in_a_crowd_costs_nothing() -> None:
    answers = [torch.zeros(1, 4, 4), torch.zeros(1, 4, 1), torch.zeros(1, 4, 1)]
    label = truth((0, 0, 16, 32), crowd=1)  # two of the four cells of 16 pixels
    assert float(YoloxLoss((16,))(answers, [label], (32, 32))) == pytest.approx(2 * math.log(2))


def test_an_anchor_answers_for_the_box_that_it_meets_by_half_and_each_box_has_one() -> None:
    anchors = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 4.5], [0, 0, 10, 3], [50, 50, 60, 60], [80, 80, 90, 90]])
    label = on_cpu(truth((0, 0, 10, 10), (50, 50, 70, 70), (79, 79, 91, 91), crowd=1))
    # overlaps: 1, .45 and .3 with the first box; .25 with the second, whose best it is; the last lies in the crowd
    assert retina.assign(label, anchors).tolist() == [0, retina.UNCOUNTED, retina.NOTHING, 1, retina.UNCOUNTED]


def test_the_focal_loss_by_hand() -> None:
    found = retina.focal_loss(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.0]))
    assert found.tolist() == pytest.approx([0.25 * 0.25 * math.log(2), 0.75 * 0.25 * math.log(2)])


def test_retinanet_learns_the_difference_from_an_anchor() -> None:
    found = retina.encode(torch.tensor([[0.0, 0, 20, 10]]), torch.tensor([[0.0, 0, 10, 10]]))
    assert found[0].tolist() == pytest.approx([0.5, 0, math.log(2), 0])
