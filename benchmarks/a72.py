"""Instructions of the bundled models on an emulated Cortex-A72, and an estimate for a Raspberry Pi 4: ONNX, TFLite.

    python benchmarks/a72.py [--root DIR] [--model NAME] [--format onnx] [--format tflite]

Each file is exported by the command that users run, and run through edgevit's own sessions on the real aarch64 wheels,
one thread. The emulation lies in `../shared/a72` beside the project; its emulator and wheels are fetched into --root.

"estimate" is a model, not a measurement: 0.0879 ms a million instructions and 9.65 ms a million misses of the 32 KB
data cache, fitted to six published four-thread figures of MobileNets on a Raspberry Pi 4; it is off by 8 % at worst
where one of them is left out.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import click
from accuracy import MODELS

from edgevit.export.pipeline import export
from edgevit.export.recipe import Recipe, default_output

PROJECT = Path(__file__).parents[1]
EMULATION = PROJECT.parent / "shared" / "a72"
WHEELS = ("numpy", "onnxruntime", "opencv-python-headless", "click", "ai-edge-litert")
MS_PER_MILLION_INSTRUCTIONS = 0.0879
MS_PER_MILLION_MISSES = 9.65

# In the emulation: the system call 0x5a72 tells the counter which region begins; what is counted is printed at its end.
GUEST = """
import ctypes, sys
import numpy as np
from edgevit.runtime.session import open_session
mark = ctypes.CDLL(None).syscall
image = np.random.default_rng(0).standard_normal((1, 3, 224, 224), np.float32)
for number, path in enumerate(sys.argv[1:], 1):
    session = open_session(path, 1)
    session.run(image)
    session.run(image)
    mark(0x5A72, 1000)
    session.run(image)
    mark(0x5A72, number)
"""


@click.command(help=__doc__)
@click.option(
    "--root", type=click.Path(path_type=Path), help="Folder of the emulated system; made where it is missing."
)
@click.option("--model", "models", multiple=True, default=MODELS, show_default=True)
@click.option("--format", "formats", multiple=True, default=("onnx", "tflite"), show_default=True)
def main(root: Path | None, models: tuple[str, ...], formats: tuple[str, ...]) -> None:
    if not EMULATION.is_dir():
        sys.exit(f"no emulation: {EMULATION} does not exist")
    root = root or Path.home() / ".cache" / "edgevit" / "a72"
    subprocess.run([EMULATION / "mksysroot.sh", root, *WHEELS], check=True)
    with tempfile.TemporaryDirectory() as folder:
        recipes = [
            Recipe(name, precision=precision, format=form)  # type: ignore[arg-type]
            for name in models
            for form in formats
            for precision in ("fp32", "int8")
        ]
        files = [Path(folder) / default_output(recipe) for recipe in recipes]
        for recipe, path in zip(recipes, files, strict=True):
            export(recipe, path)
        regions = count(root, files, Path(folder) / "counts")
        click.echo(
            f"{'model':16} {'file':12} {'M instructions':>14} {'M misses':>9} {'estimate ms':>12} {'of ONNX fp32':>13}"
        )
        estimates: dict[str, float] = {}
        for recipe, region in zip(recipes, regions, strict=True):
            instructions, misses = region["insns"] / 1e6, region["l1d_miss"] / 1e6
            ms = MS_PER_MILLION_INSTRUCTIONS * instructions + MS_PER_MILLION_MISSES * misses
            of = ms / estimates.setdefault(recipe.model, ms)
            label = f"{recipe.format} {recipe.precision}"
            click.echo(f"{recipe.model:16} {label:12} {instructions:14.1f} {misses:9.2f} {ms:12.1f} {of:13.3f}")


def count(root: Path, files: list[Path], counts: Path) -> list[dict[str, int]]:
    """Run each file once on the emulated processor; return what was counted, in the order of the files."""
    environment = os.environ | {"COUNT": str(counts), "CACHE": "1", "PYTHONPATH": str(PROJECT)}
    subprocess.run([EMULATION / "run-a72.sh", root, "-c", GUEST, *files], env=environment, check=True)
    # a region is written under the mark that ends it: 1000 before a file's last run, the file's number after it
    regions = [json.loads(line) for line in counts.read_text().splitlines()]
    return [region for region in regions if 0 < region["tag"] <= len(files)]


if __name__ == "__main__":
    main()
