"""All that an export's report says, as plain values."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from edgevit.export.result import ExportResult
from edgevit.runtime.evaluation.box_difference import BoxDifference
from edgevit.runtime.evaluation.report import Flip

SCHEMA = 1
"""Version of the report's JSON; docs/report.md describes it."""


@dataclass(frozen=True)
class LayerFacts:
    """One convolution or matrix product."""

    name: str
    """The name of its weights in the checkpoint, or of its node where it has none."""
    block: str
    operator: str
    macs: int
    int8: bool
    reason: str
    """Why it is float; empty for int8."""
    sqnr_db: float | None
    """Signal-to-quantization-noise ratio of its output, with all noise gathered before it; None if there is none."""
    sensitivity_db: float | None
    """The same of the logits, if it alone (or its block alone) is int8; None where that was not measured."""


@dataclass(frozen=True)
class Score:
    """How good the answers are on some images."""

    measure: str
    """"top-1 accuracy", "mean IoU" or "average precision"; "top-1", "pixel" or "box agreement with float32" where it is
    not known what is on the images."""
    float32: float
    """0..1; 1 for agreement."""
    exported: float
    images: int
    source: str
    """Where the images come from."""
    logit_sqnr_db: float | None
    """None where the logits are equal."""


@dataclass(frozen=True)
class SearchPoint:
    """One choice of float layers, and how good it is."""

    label: str
    int8_mac_share: float
    """0..1."""
    score: float
    """0..1."""
    chosen: bool = False


@dataclass(frozen=True)
class FlippedImage:
    """An image whose answer the export changed."""

    flip: Flip
    thumbnail: bytes
    """A small JPEG."""


@dataclass(frozen=True)
class ClassFacts:
    """One class of a segmentation."""

    label: str
    area: float
    """Share of the float32 answers' pixels, 0..1."""
    float32: float | None
    """Intersection over union of float32's answers with the masks; None where there are none, or not of this class."""
    exported: float | None
    """The same of this file's answers with the masks, or with float32's answers where there are none."""


@dataclass(frozen=True)
class ChangedMask:
    """A picture of which the export changed the mask."""

    source: str
    agreement: float
    """Share of pixels that keep float32's class, 0..1."""
    float32: bytes
    """A small JPEG: the picture, coloured by float32's classes."""
    exported: bytes
    """The same by this file's."""


@dataclass(frozen=True)
class MaskFacts:
    """The answers of a segmentation."""

    against: str
    """What this file's answers are compared with, class by class."""
    agreement: float
    """Share of pixels that keep float32's class, 0..1."""
    classes: tuple[ClassFacts, ...]
    """Those that occur, the largest first."""
    changed: tuple[ChangedMask, ...]
    """The most changed first."""
    changed_images: int
    """How many pictures have another mask than from float32."""


@dataclass(frozen=True)
class ChangedBoxes:
    """A picture of which the export changed the boxes: those of float32 and of this file beside what is expected."""

    float32: BoxDifference | None
    """None where nobody marked boxes, so that float32's are what is expected."""
    exported: BoxDifference
    lost: int
    """Boxes of float32 that this file does not find."""
    new: int
    """Boxes of this file that float32 does not find."""
    pictures: tuple[str, ...]
    """The same as markup for a page."""


@dataclass(frozen=True)
class BoxFacts:
    """The answers of a detector."""

    against: str
    """What the boxes are drawn beside."""
    found: int
    """Boxes that float32 finds at the model's own threshold."""
    lost: int
    """How many of them this file does not find."""
    new: int
    """Boxes that only this file finds."""
    changed: tuple[ChangedBoxes, ...]
    """The most changed first."""
    changed_images: int
    """How many pictures have lost or new boxes."""


@dataclass(frozen=True)
class ReportData:
    """One export and what was measured of it."""

    result: ExportResult
    score: Score
    points: tuple[SearchPoint, ...]
    """Score against share of int8: of the search for --max-drop, or of its two ends."""
    layers: tuple[LayerFacts, ...]
    flips: int
    """How many answers differ from float32's."""
    flipped: tuple[FlippedImage, ...]
    """The surest new answers first."""
    masks: MaskFacts | None = None
    """None where the model gives no masks."""
    boxes: BoxFacts | None = None
    """None where the model finds no boxes."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, without pictures: neither thumbnails nor the self-test's."""
        result, (float_ms, ms) = self.result, self.result.latencies_ms or (None, None)
        manifest = dataclasses.asdict(result.manifest)
        del manifest["selftest"]
        made = {
            "file": result.path.name,
            "manifest": manifest,
            "size_mb": result.size_mb,
            "float_size_mb": result.float_size_mb,
            "latency_ms": ms,
            "float_latency_ms": float_ms,
            "speedup": result.speedup,
        }
        measured = dataclasses.asdict(self)
        del measured["result"]
        for changed in measured["masks"]["changed"] if measured["masks"] else ():
            del changed["float32"], changed["exported"]
        for changed in measured["boxes"]["changed"] if measured["boxes"] else ():
            del changed["pictures"]
        return {"schema": SCHEMA, **made, **measured, "flipped": [image["flip"] for image in measured["flipped"]]}
