"""What a board pays before the first answer: space on the card, memory, instructions.

    python tools/a72/first.py DIR/3.11 MODEL...

DIR is what build.py made. Prints JSON: the installed packages' sizes in MB (10^6 bytes), and for each model what one
drawn picture of 640 x 480 takes: the peak memory of `edgevit run` with four threads, in MB (see peak.py), and, with one
thread, the instructions from the start of Python to the first answer, compiled modules being there. Instructions are no
time: code that is run once waits for memory and card more than a model does.
"""

import argparse
import importlib.metadata
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
PEAK = Path(__file__).with_name("peak.py")

DRAW = """
import sys
import cv2
from edgevit.runtime.images.drawn import draw_picture
cv2.imwrite(sys.argv[1], draw_picture((480, 640), seed=0))
"""
# Runs in the emulation. What was counted is written when a region ends, which this system call says.
FIRST = """
import ctypes, sys
import edgevit
edgevit.load(sys.argv[1], threads=1)(sys.argv[2])
ctypes.CDLL(None).syscall(0x5A72, 1)
"""


def installed_mb(site: Path) -> dict[str, float]:
    """Return the size of each installed package, largest first; libraries beside a package belong to it."""
    sizes = {
        found.metadata["Name"]: sum(
            path.stat().st_size for file in found.files or () if (path := site / file).is_file()
        )
        for found in importlib.metadata.distributions(path=[str(site)])
    }
    return {name: round(size / 1e6, 1) for name, size in sorted(sizes.items(), key=lambda item: -item[1])}


def first_answer(system: Path, model: Path, picture: Path, folder: Path) -> dict[str, Any]:
    """Return the peak memory of `edgevit run`, and the instructions from nothing to an answer."""
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    python = str(system / "python")
    run = [python, str(PEAK), "run", str(model), str(picture), "--threads", "4"]
    told = subprocess.run(run, check=True, env=environment, stdout=subprocess.PIPE, text=True)
    first = [python, "-c", FIRST, str(model), str(picture)]
    subprocess.run(first, check=True, env=environment)  # compiles the modules, as pip does when it installs
    counts = folder / "counts"
    subprocess.run(first, check=True, env=environment | {"COUNT": str(counts)})
    return {
        "peak_mb": float(told.stdout.split()[-1]),
        "instructions": json.loads(counts.read_text().splitlines()[-1])["instructions"],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("system", type=Path)
    parser.add_argument("models", type=Path, nargs="+")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        drawn = Path(work) / "picture.png"
        guest = os.environ | {"PYTHONPATH": str(PROJECT)}
        subprocess.run([str(options.system / "python"), "-c", DRAW, str(drawn)], check=True, env=guest)
        answers = {path.name: first_answer(options.system, path, drawn, Path(work)) for path in options.models}
    sizes = installed_mb(options.system / "site")
    total = round(sum(sizes.values()), 1)
    print(json.dumps({"installed_mb": total, "packages": sizes, "first_answer": answers}, indent=2))
