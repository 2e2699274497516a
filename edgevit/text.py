"""Text from files and networks, made fit for a line of a terminal or a log."""

import logging
import unicodedata
from typing import Any

_LINE_ENDS_AND_CONTROLS = ("Cc", "Zl", "Zp")
"""Unicode's categories of characters that move the cursor, change colours, or end a line."""
_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the order in which those around them are shown."""


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
