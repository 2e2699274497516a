"""Masks as PNG files: pixels are class numbers; the palette, if there is one, has the classes' colours."""

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevit.errors import ImageError
from edgevit.runtime.images.decode import check_header, pixel_limit
from edgevit.runtime.images.masks import Mask
from edgevit.runtime.images.png import png_is_sound
from edgevit.runtime.images.read import read_picture

_GREY, _INDEXED = 0, 3
"""Colour types."""
_DEEP = 16
"""Bits of a level, where it has more than a byte."""


def mask_png(mask: Mask, palette: Sequence[tuple[int, int, int]]) -> bytes:
    """Return the PNG file of an (H, W) mask (W3C PNG, third edition, 11.2).

    Up to 256 classes: one byte a pixel, colour type 3 (indexed). More: two bytes, colour type 0 (grey), no palette.
    """
    height, width = mask.shape
    indexed = mask.dtype == np.uint8
    pixels = mask if indexed else mask.astype(">u2").view(np.uint8).reshape(height, 2 * width)
    rows = np.zeros((height, 1 + pixels.shape[1]), np.uint8)  # a row begins with its filter, here none
    rows[:, 1:] = pixels
    chunks = [
        _chunk(
            b"IHDR",
            struct.pack(">IIBBBBB", width, height, 8 if indexed else 16, _INDEXED if indexed else _GREY, 0, 0, 0),
        )
    ]
    if indexed:
        chunks.append(_chunk(b"PLTE", np.array(palette, np.uint8).tobytes()))
    chunks += [_chunk(b"IDAT", zlib.compress(rows.tobytes(), 6)), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def read_mask(path: Path) -> Mask:
    """Return the (H, W) class numbers of a PNG: grey levels, or places in the palette of an indexed one.

    Raises:
        ImageError: it cannot be read, or is of another kind.
    """
    data = read_picture(path)
    if not png_is_sound(data) or data[12:16] != b"IHDR":
        raise ImageError(f"the mask {path} is no PNG, or is damaged; masks are PNG files of class numbers")
    check_header(data, f"the mask {path}", pixel_limit())
    depth, kind = data[24], data[25]
    if kind not in (_GREY, _INDEXED):
        raise ImageError(f"the mask {path} is a colour picture; expected class numbers: a grey or an indexed PNG")
    # OpenCV would look each number up in the palette, so the picture is declared to be a grey one
    grey = data if kind == _GREY else _as_grey(data)
    levels = cv2.imdecode(np.frombuffer(grey, np.uint8), cv2.IMREAD_UNCHANGED)
    if levels is None or levels.ndim != 2:
        raise ImageError(f"the mask {path} cannot be decoded; save it as a grey or an indexed PNG without alpha")
    if depth == _DEEP:
        return np.asarray(levels, np.uint16)
    mask: NDArray[np.uint8] = np.asarray(levels, np.uint8)
    # few levels are spread over a byte
    return mask // np.uint8(255 // ((1 << depth) - 1))


def _as_grey(data: bytes) -> bytes:
    """Return an indexed PNG without its palette, as a grey one."""
    header = data[16:25] + bytes([_GREY]) + data[26:29]
    parts, position = [data[:8], _chunk(b"IHDR", header)], 33
    while position + 12 <= len(data):
        end = position + 12 + int.from_bytes(data[position : position + 4])
        if data[position + 4 : position + 8] in (b"IDAT", b"IEND"):
            parts.append(data[position:end])
        position = end
    return b"".join(parts)
