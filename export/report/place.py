"""Where a report page may be written, and what of an earlier run it may replace: nothing but a report."""

import contextlib
from pathlib import Path

from edgevit.artifact.files import open_regular, read_regular
from edgevit.errors import OptionError
from edgevit.export.write import check_place
from edgevit.schema import read_json

SUFFIX = ".html"
MARK = '<meta name="generator" content="edgevit report">'
"""Stands in the head of each report page."""
MARK_WITHIN = 2000
"""Bytes at a page's beginning that hold MARK."""
FIGURES = {"schema", "file", "manifest", "layers"}
"""Some keys of a report's JSON, by which it is known."""


def check_report_path(path: Path, *, figures: bool = False) -> None:
    """Raise if a report cannot be written at `path`; asked before the work rather than after.

    Args:
        path: of the page.
        figures: whether a JSON file of the same name is written, too.

    Raises:
        OptionError: it is not named as a page, or what is there is no report, and would be lost.
        OutputError: its folder does not exist or is not writable, or it is a folder itself.
    """
    if path.suffix.lower() != SUFFIX:
        raise OptionError(f"--report {path} does not end in {SUFFIX}; give a file name that does")
    check_place(path, f"--report {path}")
    if path.exists() and not _is_page(path):
        raise OptionError(f"--report {path} is a file that no report wrote; give another name")
    if not figures:
        return
    beside = path.with_suffix(".json")
    check_place(beside, f"--report {path}: {beside}, for its figures,")
    if beside.exists() and not _are_figures(beside):
        raise OptionError(f"--report {path} would replace {beside}, which no report wrote; give another name")


def _is_page(path: Path) -> bool:
    with contextlib.suppress(OSError), open_regular(path) as file:
        return MARK.encode() in file.read(MARK_WITHIN)
    return False


def _are_figures(path: Path) -> bool:
    try:
        found = read_json(read_regular(path).decode())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.keys() >= FIGURES
