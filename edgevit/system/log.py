"""The log on stderr: each record one line that is fit for a terminal."""

import logging
from typing import Any

from edgevit.text import printable, printable_lines


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
