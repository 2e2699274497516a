"""What a folder of pictures holds, as text."""

from typing import TYPE_CHECKING

from edgevit.cli.tables import table
from edgevit.text import printable

if TYPE_CHECKING:
    from edgevit.runtime.overview.summary import DataSummary

MOST_CLASSES = 40
"""Classes that are told; --json has all."""
PURPOSES = {"classify": "to classify", "segment": "to segment", "detect": "to detect"}


def describe(summary: "DataSummary") -> str:
    """Return lines; what others have named is `printable`."""
    task = summary.task
    purpose = f", {PURPOSES[task]}" if task else ""
    lines = [f"{printable(summary.data)}: {summary.format}{purpose}", "", _counts(summary), ""]
    if summary.picture_size is not None:
        height, width = summary.picture_size
        lines.append(f"pictures: often {width} x {height}; {summary.same_form:.0%} have about the same form")
    if (boxes := summary.box_sizes) is not None and summary.imgsz is not None:
        lines.append(
            f"side of a box: {boxes.median:.1%} of the picture's (median), 5 % below {boxes.smallest:.1%}, 5 % above "
            f"{boxes.largest:.1%}"
        )
        lines.append(_suggestion(summary.imgsz, summary.smallest_at_imgsz or 0))
    lines += [f"licence: {printable(text)}" for text in summary.licences]
    lines += [f"note: {printable(text)}" for text in summary.notes]
    return "\n".join(lines).rstrip()


def _counts(summary: "DataSummary") -> str:
    parts = list(summary.parts.values())
    names = list(dict.fromkeys(name for part in parts for name in part.classes))
    rows = [["", *("" if name == "all" else name for name in summary.parts)]]
    rows.append(["pictures", *(f"{part.pictures:,}" for part in parts)])
    if any(part.empty is not None for part in parts):
        rows.append(["without boxes", *("?" if part.empty is None else f"{part.empty:,}" for part in parts)])
        rows.append(["boxes", *(f"{sum(part.classes.values()):,}" for part in parts)])
    rows += [[f"  {name}", *(f"{part.classes.get(name, 0):,}" for part in parts)] for name in names[:MOST_CLASSES]]
    if len(names) > MOST_CLASSES:
        rows.append([f"  and {len(names) - MOST_CLASSES} more", *("" for _ in parts)])
    return table(rows if len(parts) > 1 or "all" not in summary.parts else rows[1:])


def _suggestion(imgsz: tuple[int, int], smallest: float) -> str:
    height, width = imgsz
    size = f"--imgsz {height}" if height == width else f"--imgsz {height}x{width}"
    text = f"to begin with: {size}, where the smallest boxes have {smallest:.0f} pixels"
    return text if smallest >= 8 else f"{text}; that is little: take pictures from nearer, or in tiles"
