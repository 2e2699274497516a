"""Count what whole TFLite files take on the emulated Cortex-A72, to which `edgevit benchmark --estimate` is fitted.

    python tools/a72/litert.py DIR/3.11 NAME.tflite NAME-int8.tflite... > tools/a72/litert.json

The files are those that benchmarks/a72.py keeps. Prints a JSON list: each file's model, the instructions and cache
misses counted, and what the prices of ONNX Runtime's operators say for each group of kinds.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from count import count

from edgevit.export.estimate.costs import LITERT_GROUPS
from edgevit.export.estimate.estimate import price
from edgevit.export.estimate.tflite_layers import read_operations


def works(path: Path) -> dict[str, tuple[float, float]]:
    """Return the instructions and misses of each group of a file's operators, by the prices of ONNX Runtime's."""
    found: dict[str, list[float]] = defaultdict(lambda: [0, 0])
    for operation in read_operations(path):
        if operation.kind != "free":
            cost = price(operation)
            group = found[LITERT_GROUPS.get(operation.kind, "other")]
            group[0] += cost.instructions
            group[1] += cost.misses
    return {name: (round(instructions), round(misses)) for name, (instructions, misses) in found.items()}


def main() -> None:
    system, *files = map(Path, sys.argv[1:])
    counts: dict[str, Any] = count(system, files, cache=True)["counts"]
    rows = [
        {"model": file.stem.removesuffix("-int8"), **counts[file.name]["inference"], "works": works(file)}
        for file in files
    ]
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
