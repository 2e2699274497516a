"""Text from files and networks: read from bytes, and made fit for a line of a terminal or a log."""

import logging
import unicodedata
from typing import Any

_LINE_ENDS_AND_CONTROLS = ("Cc", "Zl", "Zp")
"""Unicode's categories of characters that move the cursor, change colours, or end a line."""
_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the order in which those around them are shown."""
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
"""What a text in UTF-16 begins with, mostly."""


def is_utf16(content: bytes) -> bool:
    """Tell whether bytes are text as Windows' "Unicode" and PowerShell's > write it; in UTF-8 no text has a zero."""
    return content.startswith(_UTF16_MARKS) or b"\0" in content[:100]


def decode_text(content: bytes) -> str:
    """Return the text of a file that somebody wrote: UTF-8, with or without Windows' mark in front.

    Raises:
        ValueError: it is none; the message goes on from "FILE is".
    """
    if is_utf16(content):
        raise ValueError("UTF-16, not UTF-8 text; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        wrong = f"byte {error.start:,} is 0x{content[error.start]:02x}"
        raise ValueError(f"not UTF-8 text ({wrong}); save it as UTF-8") from error


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


class LogFormatter(logging.Formatter):
    """A record as one `printable` line of its message alone, with the lines of a traceback below it."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        return printable_lines(super().formatException(ei))


def show_log(level: int = logging.WARNING) -> None:
    """Show the log from this level on, on stderr; where a program shows it already, it stays the program's."""
    root = logging.getLogger()
    if not root.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(LogFormatter())
        root.addHandler(handler)
    if any(isinstance(handler.formatter, LogFormatter) for handler in root.handlers):
        root.setLevel(level)
