"""Made pictures' true and found boxes, and what pycocotools, the independent witness, says of them."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgevit.runtime.detection.boxes import FoundBoxes, TrueBoxes


def true_boxes(boxes: ArrayLike, classes: ArrayLike | None = None, crowd: ArrayLike | None = None) -> TrueBoxes:
    """Return true boxes; of class 0 and no crowd unless told."""
    array = np.array(boxes, np.float32).reshape(-1, 4)
    count = len(array)
    return TrueBoxes(
        array,
        np.zeros(count, np.int64) if classes is None else np.array(classes, np.int64),
        np.zeros(count, np.bool_) if crowd is None else np.array(crowd, np.bool_),
    )


def found_boxes(boxes: ArrayLike, scores: ArrayLike, classes: ArrayLike | None = None) -> FoundBoxes:
    """Return found boxes, of class 0 unless told."""
    array = np.array(boxes, np.float32).reshape(-1, 4)
    own = np.zeros(len(array), np.int64) if classes is None else np.array(classes, np.int64)
    return FoundBoxes(array, np.array(scores, np.float32), own)


def perturb(truth: TrueBoxes, random: np.random.Generator, classes: int, shift: float = 0.15) -> FoundBoxes:
    """Return what a middling model might find: boxes moved and scaled, some missing, double, of other classes, made up.

    Scores have two digits, so that many are equal.
    """
    kept = np.flatnonzero(random.random(len(truth.boxes)) < 0.85)
    kept = np.concatenate([kept, kept[random.random(len(kept)) < 0.2]])
    boxes = truth.boxes[kept].astype(np.float64)
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    moved = boxes + random.normal(0, shift, boxes.shape) * sides
    made_up = random.uniform(0, 200, (int(random.integers(0, 4)), 4))
    every = np.concatenate([moved, made_up])
    every = np.concatenate([np.minimum(every[:, :2], every[:, 2:]), np.maximum(every[:, :2], every[:, 2:])], axis=1)
    own = np.concatenate([truth.classes[kept], random.integers(0, classes, len(made_up))])
    own = np.where(random.random(len(own)) < 0.1, random.integers(0, classes, len(own)), own)
    scores = -np.sort(-random.random(len(every)).round(2))
    return found_boxes(every, scores, own)


def witness(truth: Sequence[TrueBoxes], found: Sequence[FoundBoxes], classes: int) -> dict[str, Any]:
    """Return pycocotools' figures, under the names that BoxQuality has for them; None for its -1."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "info": {},
            "images": [{"id": i} for i in range(len(truth))],
            "categories": [{"id": index} for index in range(classes)],
            "annotations": [],
        }
        for i, picture in enumerate(truth):
            for box, own, crowd in zip(picture.boxes, picture.classes, picture.crowd, strict=True):
                facts = {"id": len(coco.dataset["annotations"]) + 1, "image_id": i, "category_id": int(own)}
                coco.dataset["annotations"].append({**facts, **_box(box), "iscrowd": int(crowd)})
        coco.createIndex()
        answers = [
            {"image_id": i, "category_id": int(own), "score": float(score), **_box(box)}
            for i, picture in enumerate(found)
            for box, own, score in zip(picture.boxes, picture.classes, picture.scores, strict=True)
        ]
        evaluation = COCOeval(coco, coco.loadRes(answers) if answers else COCO(), "bbox")
        if not answers:
            evaluation.cocoDt.dataset = {"images": coco.dataset["images"], "annotations": []}
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    names = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
    table = evaluation.eval["precision"][:, :, :, 0, -1]  # (overlaps, recalls, classes)
    return {
        **dict(zip(names, map(_known, evaluation.stats[:6]), strict=True)),
        "per_class": tuple(_known(table[:, :, k].mean()) for k in range(classes)),
        "per_class50": tuple(_known(table[0, :, k].mean()) for k in range(classes)),
    }


def _box(box: NDArray[np.float32]) -> dict[str, Any]:
    left, top, right, bottom = map(float, box)
    return {"bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top)}


def _known(value: float) -> float | None:
    return None if value == -1 else float(value)
