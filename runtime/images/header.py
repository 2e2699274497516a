"""What the first bytes of a picture say: which kind of file it is, how large, how it is turned; nothing is decoded."""

import re
import struct
from typing import NamedTuple

from edgevit.runtime.images.png import png_exif, png_is_sound

_HOLE = bytes(8192)
"""What a disk has where nothing was written; the data of a plain WebP picture has up to 2,300 zeros in a row."""
_DAMAGED = "is a damaged or truncated {}; copy or record it again"
# Exif orientation of a picture that is turned left by so many quarters, and of one that is mirrored after that
_TURNED_LEFT = (1, 8, 3, 6)
_THEN_TOP_AND_BOTTOM = (4, 5, 2, 7)
_THEN_LEFT_AND_RIGHT = (2, 7, 4, 5)
_VIDEO = "is a video, and no picture; `stream` reads it, as `edgevit run` does"
_OTHER_VIDEOS = re.compile(rb"RIFF....AVI |\x1a\x45\xdf\xa3", re.DOTALL)
"""How AVI, Matroska and WebM begin."""
_VIDEO_BRAND = re.compile(rb"iso|mp4|qt  |avc1|M4V|3g[p2]|MSNV|XAVC|dash|f4v ")
"""How the first brand of an MP4 or MOV file begins; RAW files of cameras and rare kinds of HEIF have others."""
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
"""What a HEIF file with pictures calls its kind (ISO/IEC 23008-12); videos begin with the same box."""


class Header(NamedTuple):
    """A picture that is not decoded yet."""

    kind: str
    height: int
    """In pixels, as stored: before the orientation is applied."""
    width: int
    orientation: int = 1
    """As Exif numbers it, 1..8."""
    fault: str | None = None
    """Why it cannot be used; None where nothing is wrong as far as can be told without decoding it."""
    white: int = 255
    """The highest level there can be; 0 where nothing says it: of floating-point numbers, and of signed ones."""
    white_is_zero: bool = False
    """Whether the lowest level is white; decoders see to that themselves where a level has eight bits."""
    end: int = 0
    """Where the marker stands that ends a JPEG."""


def read_header(data: bytes) -> Header | None:
    """Return what a picture says about itself; None if it is of no kind that is known here."""
    for read in (_jpeg, _png, _heif, _webp, _tiff, _gif, _bmp, _jpeg2000, _netpbm, _video):
        if (header := read(data)) is not None:
            return header
    return None


def _jpeg(data: bytes) -> Header | None:
    if not data.startswith(b"\xff\xd8"):
        return None
    # the code for a kind is imported when there is such a picture, as not every program meets each
    from edgevit.runtime.images.jpeg import jpeg_facts

    facts = jpeg_facts(data)
    if facts is None:
        return None
    fault = None if facts.complete else "is a truncated JPEG; copy or record it again"
    return Header("JPEG", facts.height, facts.width, facts.orientation, fault, end=facts.end)


def _png(data: bytes) -> Header | None:
    sound = png_is_sound(data)
    if sound is None:
        return None
    width, height = struct.unpack(">II", data[16:24].ljust(8, b"\0"))
    fault = None if sound and data[12:16] == b"IHDR" else _DAMAGED.format("PNG")
    deep = data[24:25] == b"\x10"
    orientation = 1 if fault else _exif_orientation(png_exif(data))
    return Header("PNG", height, width, orientation, fault, white=65535 if deep else 255)


def _heif(data: bytes) -> Header | None:
    if data[4:8] != b"ftyp":
        return None
    from edgevit.runtime.images.boxes import heif_facts

    facts = heif_facts(data)
    if facts is None:
        return None
    fault, brands = None, data[8:64]
    if b"avif" not in brands and b"avis" not in brands:
        is_video = _VIDEO_BRAND.match(brands) and not any(brand in brands for brand in _HEIC_BRANDS)
        fault = "is a HEIC picture, which needs a licensed decoder; convert it to JPEG or PNG"
        fault = _VIDEO if is_video else fault
    turned = {None: _TURNED_LEFT, b"\0": _THEN_TOP_AND_BOTTOM, b"\1": _THEN_LEFT_AND_RIGHT}[facts.mirror]
    return Header("AVIF", facts.height, facts.width, turned[facts.quarters], fault)


def _video(data: bytes) -> Header | None:
    return Header("video", 0, 0, fault=_VIDEO) if _OTHER_VIDEOS.match(data) else None


def _webp(data: bytes) -> Header | None:
    """RFC 9649: a RIFF file whose first chunk tells the size."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    kind, body = data[12:16], data[20:30].ljust(10, b"\0")
    height = width = 0
    if kind == b"VP8X":
        width, height = 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    elif kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 ":
        width, height = (int.from_bytes(body[place : place + 2], "little") & 0x3FFF for place in (6, 8))
    complete = 8 + int.from_bytes(data[4:8], "little") <= len(data) + 1
    complete = complete and not any(_HOLE in _riff_chunk(data, picture) for picture in (b"VP8 ", b"VP8L"))
    orientation = _exif_orientation(_riff_chunk(data, b"EXIF")) if kind == b"VP8X" else 1
    return Header("WebP", height, width, orientation, None if complete else _DAMAGED.format("WebP"))


def _exif_orientation(block: bytes) -> int:
    if not block:
        return 1
    from edgevit.runtime.images.tiff_tags import exif_orientation

    return exif_orientation(block)


def _riff_chunk(data: bytes, wanted: bytes) -> bytes:
    """Return the content of the first chunk of that name, nothing if there is none."""
    place = 12
    while place + 8 <= len(data):
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        if data[place : place + 4] == wanted:
            # some writers put JPEG's prefix in front
            return data[place + 8 : place + 8 + length].removeprefix(b"Exif\x00\x00")
        place += 8 + length + length % 2
    return b""


def _tiff(data: bytes) -> Header | None:
    if not data.startswith((b"II", b"MM")):
        return None
    from edgevit.runtime.images import tiff_tags

    tags = tiff_tags.read_tags(data)
    if tags is None:
        return None

    def first(tag: int, default: int) -> int:
        return (tags.get(tag) or (default,))[0]

    height, width = first(tiff_tags.LENGTH, 0), first(tiff_tags.WIDTH, 0)
    tile = first(tiff_tags.TILE_LENGTH, 0), first(tiff_tags.TILE_WIDTH, 0)
    if min(height, width) > 0:
        # a tile is decoded whole, also where the picture is smaller
        height, width = max(height, tile[0]), max(width, tile[1])
    bits, whole = first(tiff_tags.BITS, 1), first(tiff_tags.SAMPLE_FORMAT, 1) == 1
    white = 0 if bits > 16 or not (whole or bits == 8) else max(255, (1 << bits) - 1)
    orientation = first(tiff_tags.ORIENTATION, 1)
    negative = white > 255 and first(tiff_tags.PHOTOMETRIC, 1) == 0
    turned = orientation if 1 <= orientation <= 8 else 1
    fault = None
    if first(tiff_tags.PHOTOMETRIC, 1) in tiff_tags.LAB:
        fault = "holds Lab colours, which are not read; convert it to JPEG or PNG"
    return Header("TIFF", height, width, turned, fault, white, negative)


def _gif(data: bytes) -> Header | None:
    if data[:6] not in (b"GIF87a", b"GIF89a"):
        return None
    width, height = struct.unpack("<HH", data[6:10].ljust(4, b"\0"))
    return Header("GIF", height, width)


def _bmp(data: bytes) -> Header | None:
    if data[:2] != b"BM":
        return None
    old = data[14:18] == b"\x0c\0\0\0"
    width, height = struct.unpack("<HH" if old else "<ii", data[18 : 22 if old else 26].ljust(4 if old else 8, b"\0"))
    return Header("BMP", abs(height), abs(width))


def _jpeg2000(data: bytes) -> Header | None:
    from edgevit.runtime.images.jpeg2000 import jpeg2000_facts

    facts = jpeg2000_facts(data)
    if facts is None:
        return None
    fault = None if facts.complete else _DAMAGED.format("JPEG 2000 picture")
    if facts.components > 4:
        fault = f"is a JPEG 2000 picture of {facts.components} channels; expected one, three or four"
    return Header("JPEG 2000", facts.height, facts.width, fault=fault, white=max(255, (1 << facts.depth) - 1))


_GAP = rb"(?:\s|#[^\n]{0,1000}\n){1,100}"
_NETPBM = rb"P(?:([14])%b(\d{1,9})%b(\d{1,9})\s|[2356]%b(\d{1,9})%b(\d{1,9})%b(\d{1,5})\s)" % ((_GAP,) * 5)
"""Width and height of bits, or width, height and highest level."""


def _netpbm(data: bytes) -> Header | None:
    match = re.match(_NETPBM, data[:4096])
    if match is None:
        return None
    if match[1]:
        return Header("PBM", int(match[3]), int(match[2]))
    return Header("PPM", int(match[5]), int(match[4]), white=min(65535, max(1, int(match[6]))))
