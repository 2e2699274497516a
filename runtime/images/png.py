"""Whether a PNG's picture data arrived whole, told before it is decoded."""

import zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")


def png_is_sound(data: bytes) -> bool | None:
    """Check length and checksum of the chunks that a picture is made of; None if the bytes are no PNG.

    A chunk is its length, a type, the content, and the CRC-32 of type and content (W3C PNG, 5.3).
    """
    if not data.startswith(_SIGNATURE):
        return None
    position, view = len(_SIGNATURE), memoryview(data)
    while position + 12 <= len(data):
        end = position + 8 + int.from_bytes(data[position : position + 4])
        kind = data[position + 4 : position + 8]
        if kind in _CRITICAL and zlib.crc32(view[position + 4 : end]).to_bytes(4) != data[end : end + 4]:
            return False
        if kind == b"IEND":
            return True
        position = end + 4
    return False


def png_exif(data: bytes) -> bytes:
    """Return the Exif block of a sound PNG, nothing if it has none."""
    position = len(_SIGNATURE)
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4])
        if data[position + 4 : position + 8] == b"eXIf":
            return data[position + 8 : position + 8 + length]
        position += 12 + length
    return b""
