"""Time to the first answer and peak memory of a process of its own, as a board has it when it starts.

Run as a program, this module is that process: it takes the parent's clock, the model and how to load it as arguments,
the picture on stdin, and prints its times.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import edgevit
from edgevit.errors import ModelFileError
from edgevit.runtime.benchmark.report import First

TIMEOUT_S = 600


def measure_first(path: Path, threads: int, told: Mapping[str, Any], picture: bytes, starts: int) -> First | None:
    """Start `starts` new processes one after the other; None if there is to be none.

    Args:
        path: the model.
        threads: how many it uses.
        told: further arguments for `load`, which JSON can hold.
        picture: the bytes of an image file.
        starts: how many processes.

    Raises:
        ModelFileError: a process failed.
    """
    found = [_start(path, threads, told, picture) for _ in range(starts)]
    if not found:
        return None
    return First(**{name: round(median(one[name] for one in found), 2) for name in found[0]})


def _start(path: Path, threads: int, told: Mapping[str, Any], picture: bytes) -> dict[str, float]:
    # the package as this process found it, which a checkout need not have installed
    package = str(Path(edgevit.__file__).parent.parent)
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [
        sys.executable,
        "-m",
        "edgevit.runtime.benchmark.first",
        str(time.monotonic()),
        str(path),
        str(threads),
        json.dumps(told),
    ]
    done = subprocess.run(
        command,
        input=picture,
        capture_output=True,
        timeout=TIMEOUT_S,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
    )
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise ModelFileError(f"{path} failed in a process of its own: {lines[-1][:200]}; run: edgevit selftest {path}")
    times: dict[str, float] = json.loads(done.stdout)
    return times


def main(arguments: list[str]) -> None:
    """Be the process that is measured."""
    started, path, threads, told = arguments
    picture = sys.stdin.buffer.read()
    from edgevit.runtime.loading import load

    imported = time.monotonic()
    classifier = load(path, int(threads), **json.loads(told))
    loaded = time.monotonic()
    classifier(picture)
    answered = time.monotonic()
    from edgevit.device_profiles.state import peak_memory_bytes

    times = {
        "import_ms": 1e3 * (imported - float(started)),
        "load_ms": 1e3 * (loaded - imported),
        "answer_ms": 1e3 * (answered - loaded),
        "total_ms": 1e3 * (answered - float(started)),
        "peak_mb": peak_memory_bytes() / 1e6,
    }
    sys.stdout.write(json.dumps(times))


if __name__ == "__main__":
    main(sys.argv[1:])
