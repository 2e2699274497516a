"""A frame with its label written on it."""

import unicodedata

import cv2
import numpy as np

from edgevit.runtime.images.resample import RGBImage

FONT = cv2.FONT_HERSHEY_SIMPLEX


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


def plain_text(text: str) -> str:
    """Return text in printable ASCII: "Fährte" as "Fahrte"."""
    split = unicodedata.normalize("NFKD", text)
    letters = (letter for letter in split if not unicodedata.combining(letter))
    return "".join(letter if " " <= letter <= "~" else "?" for letter in letters)
