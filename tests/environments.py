"""The board's install of this checkout, in an environment of its own."""

import shutil
import subprocess
import venv
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.places import ROOT

PACKAGED = ("edgevit", "export", "runtime", "device_profiles")
FILES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")


def install_board(folder: Path, packages: Sequence[str] = ()) -> Path:
    """Make an environment in a new folder with edgevit and these packages, and return its folder of programs.

    It is built from a copy: a build leaves files in its tree, where another one would come upon them.
    """
    copied = folder / "checkout"
    for name in PACKAGED:
        shutil.copytree(ROOT / name, copied / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, copied)
    venv.create(folder / "venv", with_pip=True)
    programs = folder / "venv" / "bin"
    pip_install(programs / "python", str(copied), *packages)
    shutil.rmtree(copied)
    return programs


def pip_install(python: Path | str, *arguments: str) -> None:
    """Install with pip, or skip the test where no package registry can be reached."""
    command = [python, "-m", "pip", "install", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if "No matching distribution" in done.stderr or "Could not find a version" in done.stderr:
        pytest.skip("no package registry can be reached, so the board's install cannot be made")
    assert done.returncode == 0, done.stderr
