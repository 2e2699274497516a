"""Small pictures for a report."""

import cv2
import numpy as np

from edgevit.runtime.images.resample import RGBImage

THUMBNAILS = 24
"""Most that are shown of a kind."""
THUMBNAIL_SIDE = 128
"""Longest side of a thumbnail in pixels."""


def shrink(image: RGBImage, side: int = THUMBNAIL_SIDE) -> RGBImage:
    """Return an (H, W, 3) image scaled so that its longest side is at most `side`."""
    scale = min(1.0, side / max(image.shape[:2]))
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def thumbnail(image: RGBImage, side: int = THUMBNAIL_SIDE) -> bytes:
    """Return an (H, W, 3) image, its longest side at most `side`, as a JPEG of a few kilobytes."""
    written, jpeg = cv2.imencode(".jpg", shrink(image, side)[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    assert written
    return jpeg.tobytes()
