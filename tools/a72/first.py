"""What a board pays before the first answer: space on the card, memory, instructions.

    python tools/a72/first.py DIR/3.11 MODEL... [--uncompiled]

DIR is what build.py made. Prints JSON: the installed packages' sizes in MB (10^6 bytes), and for each model what one
drawn picture of 640 x 480 takes: the peak memory of `edgevit run` with four threads, in MB (see peak.py), and, with one
thread, the instructions from the start of Python to the first answer, part by part. Instructions are no time: code that
is run once waits for memory and card more than a model does.

Modules are compiled before, as they are after an installation; with --uncompiled none is, not even Python's own.
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
PARTS = ("python", "numpy", "opencv", "edgevit", "runtime", "load", "answer", "checksum", "second_answer")
"""What is counted, in order. The last two are not in the sum: `checksum` is a part of `load` that is done once more."""
# Runs in the emulation. Each system call says that a region ends, and has what was counted in it written.
FIRST = """
import ctypes, sys
end_region = ctypes.CDLL(None).syscall
model, picture = sys.argv[1:]
end_region(0x5A72, 0)
import numpy
end_region(0x5A72, 1)
import cv2
end_region(0x5A72, 2)
import edgevit
edgevit.load
end_region(0x5A72, 3)
if model.endswith(".tflite"):
    import ai_edge_litert.interpreter
else:
    import onnxruntime
end_region(0x5A72, 4)
classifier = edgevit.load(model, threads=1)
end_region(0x5A72, 5)
classifier(picture)
end_region(0x5A72, 6)
from edgevit.artifact.seal import file_digest
file_digest(model, classifier.manifest.sha256)
end_region(0x5A72, 7)
classifier(picture)
end_region(0x5A72, 8)
"""
NO_SHA = {"OPENSSL_armcap": "1"}
"""The emulated processor has instructions for SHA-256, a Raspberry Pi 4 has not; OpenSSL is told to use NEON alone."""


def installed_mb(site: Path) -> dict[str, float]:
    """Return the size of each installed package, largest first; libraries beside a package belong to it."""
    sizes = {
        found.metadata["Name"]: sum(
            path.stat().st_size for file in found.files or () if (path := site / file).is_file()
        )
        for found in importlib.metadata.distributions(path=[str(site)])
    }
    return {name: round(size / 1e6, 1) for name, size in sorted(sizes.items(), key=lambda item: -item[1])}


def first_answer(system: Path, model: Path, picture: Path, folder: Path, uncompiled: bool) -> dict[str, Any]:
    """Return the peak memory of `edgevit run`, and the instructions from nothing to an answer."""
    environment = os.environ | {"PYTHONPATH": str(PROJECT)} | NO_SHA
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # compiling is two thirds of a start without compiled modules
    python = str(system / "python")
    run = [python, str(PEAK), "run", str(model), str(picture), "--threads", "4"]
    told = subprocess.run(run, check=True, env=environment, stdout=subprocess.PIPE, text=True)
    # with an empty folder for compiled modules, that is not written to, each is compiled anew
    empty = folder / "empty"
    first = [python, *(["-B", "-X", f"pycache_prefix={empty}"] if uncompiled else [])]
    first += ["-c", FIRST, str(model), str(picture)]
    subprocess.run(first, check=True, env=environment)
    counts = folder / "counts"
    subprocess.run(first, check=True, env=environment | {"COUNT": str(counts)})
    counted = [json.loads(line)["instructions"] for line in counts.read_text().splitlines()]
    parts = dict(zip(PARTS, counted, strict=True))
    extra = {name: parts.pop(name) for name in ("checksum", "second_answer")}
    return {"peak_mb": float(told.stdout.split()[-1]), "instructions": sum(parts.values()), "parts": parts, **extra}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("system", type=Path)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--uncompiled", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        drawn = Path(work) / "picture.png"
        guest = os.environ | {"PYTHONPATH": str(PROJECT)}
        subprocess.run([str(options.system / "python"), "-c", DRAW, str(drawn)], check=True, env=guest)
        answers = {
            path.name: first_answer(options.system, path, drawn, Path(work), options.uncompiled)
            for path in options.models
        }
    sizes = installed_mb(options.system / "site")
    total = round(sum(sizes.values()), 1)
    print(json.dumps({"installed_mb": total, "packages": sizes, "first_answer": answers}, indent=2))
