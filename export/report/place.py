"""Where a report page may be written."""

from pathlib import Path

from edgevit.errors import OptionError
from edgevit.system.files import check_folder

SUFFIX = ".html"


def check_report_path(path: Path) -> None:
    """Raise if a report cannot be written at `path`; asked before the work rather than after.

    Raises:
        OptionError: it is not named as a page.
        OutputError: its folder does not exist.
    """
    if path.suffix.lower() != SUFFIX:
        raise OptionError(f"--report {path} does not end in {SUFFIX}; give a file name that does")
    check_folder(path.parent, f"--report {path}")
