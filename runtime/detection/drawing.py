"""Boxes drawn on a picture: a frame in the colour of its class, and above it what it is and how sure that is."""

from collections.abc import Sequence

import cv2
import numpy as np

from edgevit.runtime.detection.boxes import Boxes
from edgevit.runtime.images.draw import FONT, plain_text
from edgevit.runtime.images.palette import RGB
from edgevit.runtime.images.resample import RGBImage

CROWD = 50
"""More boxes than these get frames alone: their texts would hide the picture."""
DARK, LIGHT = (0, 0, 0), (255, 255, 255)


def draw_boxes(image: RGBImage, boxes: Boxes, colours: Sequence[RGB], texts: Sequence[str]) -> RGBImage:
    """Return a copy of an (H, W, 3) image with (n, 4) boxes in its pixels, the first of them on top.

    Lines and letters grow with the picture. A text stands above its box, or within where there is no room above.
    """
    drawn = np.ascontiguousarray(image).copy()
    side = sum(drawn.shape[:2]) / 2
    thickness, scale = max(1, round(side / 350)), max(0.35, side / 1200)
    for box, colour, text in reversed(list(zip(boxes, colours, texts, strict=True))):
        left, top, right, bottom = (round(float(edge)) for edge in box)
        corner = (max(left, right - 1), max(top, bottom - 1))
        cv2.rectangle(drawn, (left, top), corner, colour, thickness)
        if len(boxes) <= CROWD:
            _write(drawn, plain_text(text), (left, top), colour, scale)
    return drawn


def _write(drawn: RGBImage, text: str, place: tuple[int, int], colour: RGB, scale: float) -> None:
    """Write text on a field of the colour whose lower left corner is `place`, as far as the picture allows."""
    thickness = max(1, round(scale))
    (width, height), below = cv2.getTextSize(text, FONT, scale, thickness)
    pad = max(1, height // 4)
    size = (width + 2 * pad, height + below + pad)
    left = max(0, min(place[0], drawn.shape[1] - size[0]))
    top = place[1] - size[1] if place[1] >= size[1] else max(0, place[1])
    cv2.rectangle(drawn, (left, top), (left + size[0] - 1, top + size[1] - 1), colour, cv2.FILLED)
    # luma of ITU-R BT.601: black on bright colours, white on dark ones
    bright = colour[0] * 0.299 + colour[1] * 0.587 + colour[2] * 0.114 > 128
    ink = DARK if bright else LIGHT
    cv2.putText(drawn, text, (left + pad, top + pad + height), FONT, scale, ink, thickness, cv2.LINE_AA)
