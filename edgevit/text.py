"""Text from files and networks, read from bytes and made fit for a line of a terminal or a log; times in words."""

import unicodedata

_LINE_ENDS_AND_CONTROLS = ("Cc", "Zl", "Zp")
"""Unicode's categories of characters that move the cursor, change colours, or end a line."""
_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the order in which those around them are shown."""
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
"""What a text in UTF-16 begins with, mostly."""
_UTF16_BY_ZEROS: dict[tuple[int, ...], str] = {(1,): "utf-16-le", (0,): "utf-16-be"}
"""At which of every two bytes zeros stand, to the encoding: a text in UTF-8 has none, pictures and models have both."""
UTF8 = "utf-8"
MARK = "\ufeff"
"""What Windows puts before a text in UTF-8."""


def find_encoding(content: bytes) -> str:
    """Return UTF8, or the UTF-16 in which Windows' "Unicode" and PowerShell's > write text."""
    if content.startswith(_UTF16_MARKS):
        return "utf-16"
    head = content[:100]
    sides = tuple(side for side in (0, 1) if b"\0" in head[side::2])
    return _UTF16_BY_ZEROS.get(sides, UTF8)


def decode_text(content: bytes) -> str:
    """Return the text of a file that somebody wrote: UTF-8, with or without MARK in front.

    Raises:
        ValueError: it is none; the message goes on from "FILE is".
    """
    if find_encoding(content) != UTF8:
        raise ValueError("UTF-16, not UTF-8 text; save it as UTF-8")
    try:
        text, wrong = content.decode(UTF8).removeprefix(MARK), content[:100].find(b"\0")
    except UnicodeDecodeError as error:
        text, wrong = "", error.start
    if wrong >= 0:
        raise ValueError(f"not UTF-8 text (byte {wrong:,} is 0x{content[wrong]:02x}); save it as UTF-8")
    return text


def printable(text: str) -> str:
    """Return one line that is safe to print, whatever a file name, a label or a server's answer holds.

    Controls (escape sequences begin with one), line ends, and characters that reorder text become spaces; bytes that
    are not UTF-8, and halves of characters, become U+FFFD.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cs":
        return "\ufffd"
    return " " if category in _LINE_ENDS_AND_CONTROLS or character in _REORDERING else character


def printable_lines(text: str) -> str:
    """Return `printable` of each line of a text whose line ends are our own."""
    return "\n".join(map(printable, text.split("\n")))


def rough_time(seconds: float) -> str:
    """Return "40 s", "12 min" or "3 h": a time that is estimated."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
