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
from edgevit.runtime.preprocess import preprocess

end_region = ctypes.CDLL(None).syscall
cv2.setNumThreads(1)
image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
for number, path in enumerate(sys.argv[2:]):
    with edgevit.load(path, threads=1) as classifier:
        for turn in range(2):
            end_region(0x5A72, 0)
            prepared = preprocess(image, classifier.preprocess)
            end_region(0x5A72, 2 * number + 1 if turn else 0)
            classifier.outputs(prepared[None])
            end_region(0x5A72, 2 * number + 2 if turn else 0)
versions = {name: importlib.metadata.version(name) for name in json.loads(sys.argv[1])}
print(json.dumps({"python": platform.python_version(), **versions}))
"""


def count(system: Path, models: list[Path], cache: bool) -> dict[str, Any]:
    """Run models in the emulation; return {"versions": ..., "counts": {file: {step: {"instructions": ...}}}}."""
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "counts"
        environment = os.environ | {"PYTHONPATH": str(PROJECT), "COUNT": str(lines)} | ({"CACHE": "1"} if cache else {})
        command = [str(system / "python"), "-c", GUEST, json.dumps(PACKAGES), *map(str, models)]
        done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
        regions = {line.pop("region"): line for line in map(json.loads, lines.read_text().splitlines())}
    counts = {
        model.name: {"preprocess": regions[2 * number + 1], "inference": regions[2 * number + 2]}
        for number, model in enumerate(models)
    }
    return {"versions": json.loads(done.stdout), "counts": counts}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("system", type=Path)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--cache", action="store_true")
    options = parser.parse_args()
    print(json.dumps(count(options.system, options.models, options.cache), indent=2))
