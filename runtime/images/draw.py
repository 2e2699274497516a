"""A frame with its label written on it, or those of its regions."""

import unicodedata
from collections.abc import Sequence

import cv2
import numpy as np

from edgevit.runtime.images.regions import Region, bounds
from edgevit.runtime.images.resample import RGBImage

FONT = cv2.FONT_HERSHEY_SIMPLEX
FRAME = (255, 196, 0)
"""Colour of the frame around a region."""
LINES = 4
"""A region that is lower than so many lines of text gets none: there would be nothing left of it."""


def annotate(image: RGBImage, text: str) -> RGBImage:
    """Return a copy of an (H, W, 3) image with a dark strip along its lower edge that says `text`.

    OpenCV's font is ASCII: accents are left out, other letters become question marks.
    """
    drawn = np.ascontiguousarray(image).copy()
    height, width = drawn.shape[:2]
    scale, thickness = max(0.35, height / 600), max(1, round(height / 500))
    plain = plain_text(text)
    (text_width, text_height), below = cv2.getTextSize(plain, FONT, scale, thickness)
    if text_width > width:
        scale *= width / text_width
    pad = text_height // 2
    top = max(0, height - text_height - below - 2 * pad)
    drawn[top:] //= 4
    origin = (pad if text_width + pad <= width else 0, height - below - pad)
    cv2.putText(drawn, plain, origin, FONT, scale, (255, 255, 255), thickness, cv2.LINE_AA)
    return drawn


def draw_regions(image: RGBImage, marked: Sequence[tuple[Region, str]]) -> RGBImage:
    """Return a copy of an (H, W, 3) image with a frame around each region, and its text within if there is room.

    Raises:
        ImageError: a region reaches beyond the image.
    """
    drawn = np.ascontiguousarray(image).copy()
    scale, thickness = max(0.4, drawn.shape[0] / 650), max(1, round(drawn.shape[0] / 500))
    for region, text in marked:
        left, top, right, bottom = bounds(region, drawn.shape[:2])
        cv2.rectangle(drawn, (left, top), (right - 1, bottom - 1), FRAME, 2 * thickness)
        plain = plain_text(text)
        (width, height), below = cv2.getTextSize(plain, FONT, scale, thickness)
        if bottom - top < LINES * height:
            continue
        pad = height // 2
        fitted = scale * min(1.0, max(1, right - left - 2 * pad) / width) if width else scale
        drawn[top : min(bottom, top + height + below + 2 * pad), left:right] //= 4
        origin = (left + pad, top + height + pad)
        cv2.putText(drawn, plain, origin, FONT, fitted, (255, 255, 255), thickness, cv2.LINE_AA)
    return drawn


def plain_text(text: str) -> str:
    """Return text in printable ASCII: "Fährte" as "Fahrte"."""
    split = unicodedata.normalize("NFKD", text)
    letters = (letter for letter in split if not unicodedata.combining(letter))
    return "".join(letter if " " <= letter <= "~" else "?" for letter in letters)
