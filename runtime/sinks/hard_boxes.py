"""Frames in which a detector is unsure of a box, with what it found as labels beside them: ready to correct."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from edgevit.runtime.detection.result import Detections
from edgevit.runtime.detection.yolo_text import class_lines, data_yaml, label_lines, write_once
from edgevit.runtime.events.labels import LabelRules
from edgevit.runtime.events.recent import Recent
from edgevit.runtime.records import RESULT, Record
from edgevit.runtime.sinks.folder import BoundedFolder
from edgevit.runtime.sinks.pictures import jpeg
from edgevit.schema import Range, check_options

LOW, HIGH = 0.2, 0.5
"""A box whose score lies between these is one that the model is unsure of..."""
AROUND = 0.1
"""...and so is one whose score is so close to a threshold that was asked for."""


@dataclass(frozen=True)
class UnsureRules:
    """Which boxes make a frame hard."""

    thresholds: LabelRules = LabelRules()
    """Those that say which boxes count."""
    pause_s: Annotated[float, Range(0)] = 1.0
    """Seconds from one picture of a source to its next, by a video's own time: neighbours teach nothing more."""

    def __post_init__(self) -> None:
        check_options(self)

    def band(self, label: str) -> tuple[float, float]:
        """Return (least, most): scores of boxes of a class, 0..1, that are unsure; `most` is none of them."""
        threshold = self.thresholds.enter(label)
        if not threshold:
            return LOW, HIGH
        return max(0.0, min(LOW, threshold - AROUND)), max(HIGH, threshold + AROUND)


def unsure(result: Detections, rules: UnsureRules) -> tuple[str, float] | None:
    """Return label and score of the surest box that is unsure, whether it counts or not; None if there is none."""
    found = list(zip(result.classes, result.scores, strict=True))
    if result.weak is not None:
        found += zip(result.weak.classes, result.weak.scores, strict=True)
    bands = {label: rules.band(label) for label in result.names}
    named = [(result.names[index], float(score)) for index, score in found]
    hard = [(label, score) for label, score in named if bands[label][0] <= score < bands[label][1]]
    return max(hard, key=lambda box: box[1], default=None)


class BoxHarvestSink:
    """Hard frames as they came, in images/, and the boxes that count as YOLO's labels, in labels/.

    data.yaml beside them makes the folder one that `edgevit train --data` and labelling tools read.
    """

    unit = "hard picture"

    def __init__(
        self,
        root: Path,
        quota: int,
        names: Sequence[str],
        rules: UnsureRules = UnsureRules(),  # noqa: B008 (frozen)
    ) -> None:
        """Make the folder, or take over what an earlier run left in it.

        Args:
            root: the folder.
            quota: bytes that pictures and labels may take together.
            names: the model's classes.
            rules: say which frames are hard.

        Raises:
            OutputError: it cannot be written, or holds labels of other classes.
        """
        self.folder = BoundedFolder(root / "images", quota, labels=root / "labels")
        write_once(root / "data.yaml", data_yaml(names))
        write_once(root / "classes.txt", class_lines(names))
        self._rules = rules
        self.written = 0
        """How many frames."""
        self._taken_s: Recent[str, float] = Recent()

    def write(self, record: Record) -> None:
        result = record.result
        if record.kind != RESULT or not isinstance(result, Detections) or record.moment.roi is not None:
            return
        source = record.moment.source
        now_s = result.time_s(record.moment)
        hard = unsure(result, self._rules)
        if hard is None or now_s - self._taken_s.get(source, -np.inf) < self._rules.pause_s:
            return
        self._taken_s[source] = now_s
        label, score = hard
        picture, text = jpeg(result.image, 95), label_lines(result).encode()
        if self.folder.store(label, f"-unsure-{score:.2f}", picture, sort=False, text=text):
            self.written += 1

    def flush(self) -> None:
        """Nothing waits: each picture is on the disk when it is written."""

    def close(self) -> None:
        self.folder.close()
