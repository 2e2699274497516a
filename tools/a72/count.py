"""Count instructions on the emulated Cortex-A72: of preparing a picture, and of running a model, one thread each.

    python tools/a72/count.py DIR/3.11 MODEL... [--cache] > tools/a72/baseline.json

DIR is what build.py made. Prints JSON: the versions of what ran, and for each file what one picture of 640 x 480 takes.
A count repeats within 0.3 %. With --cache also the misses of the first data cache, which takes several times as long.
"""

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
PACKAGES = ("ai-edge-litert", "numpy", "onnxruntime", "opencv-python-headless")

# Runs in the emulation. The counter is told by a system call that does not exist which region ends.
GUEST = """
import ctypes, importlib.metadata, json, platform, sys
import cv2, numpy as np
import edgevit
from edgevit.runtime.images.preprocess import preprocess, speed_for

end_region = ctypes.CDLL(None).syscall
cv2.setNumThreads(1)
image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
with edgevit.load(sys.argv[2], threads=1) as classifier:
    for turn in range(2):
        end_region(0x5A72, 0)
        prepared = preprocess(image, classifier.preprocess, speed=speed_for(image))
        end_region(0x5A72, 1 if turn else 0)
        classifier.outputs(prepared[None])
        end_region(0x5A72, 2 if turn else 0)
versions = {name: importlib.metadata.version(name) for name in json.loads(sys.argv[1])}
print(json.dumps({"python": platform.python_version(), **versions}))
"""


def count(system: Path, models: list[Path], cache: bool) -> dict[str, Any]:
    """Run models in the emulation; return {"versions": ..., "counts": {file: {step: {"instructions": ...}}}}.

    Each has a process of its own: what one leaves behind changes the counts of the next by up to 1.5 %.
    """
    counted = {model.name: _count_one(system, model, cache) for model in models}
    versions = next(iter(counted.values()))[0]
    return {"versions": versions, "counts": {name: counts for name, (_, counts) in counted.items()}}


def _count_one(system: Path, model: Path, cache: bool) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the versions of what ran, and what each step took."""
    told, regions = run_counted(system, GUEST, [json.dumps(PACKAGES), str(model)], cache, [PROJECT])
    return json.loads(told), {"preprocess": regions[1], "inference": regions[2]}


def run_counted(
    system: Path, code: str, arguments: list[str], cache: bool, paths: list[Path]
) -> tuple[str, dict[int, dict[str, int]]]:
    """Run a program in the emulation.

    Args:
        system: a folder that build.py made, such as DIR/3.11.
        code: Python, which ends regions as GUEST does.
        arguments: of the program.
        cache: whether misses are counted too.
        paths: folders from which it imports, besides those of the system.

    Returns:
        What it printed, and for each region the "instructions" and, with `cache`, the "misses".

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "counts"
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths)), "COUNT": str(lines)}
        environment |= {"CACHE": "1"} if cache else {}
        command = [str(system / "python"), "-c", code, *arguments]
        done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
        regions = {line.pop("region"): line for line in map(json.loads, lines.read_text().splitlines())}
    return done.stdout, regions


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("system", type=Path)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--cache", action="store_true")
    options = parser.parse_args()
    print(json.dumps(count(options.system, options.models, options.cache), indent=2))
