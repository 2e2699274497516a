"""Instructions of the bundled models on an emulated Cortex-A72, and an estimate for a Raspberry Pi 4: ONNX, TFLite.

    python benchmarks/a72.py [--root DIR] [--model NAME] [--format onnx] [--format tflite]

Each file is exported by the command that users run, and run through edgevit's own sessions on the real aarch64 wheels,
one thread. The emulation is that of `make test-a72`; it is built in --root where it is missing.

"estimate" is a model, not a measurement: 0.0879 ms a million instructions and 9.65 ms a million misses of the 32 KB
data cache, fitted to six published four-thread figures of MobileNets on a Raspberry Pi 4; it is off by 8 % at worst
where one of them is left out.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import click
from accuracy import MODELS

from edgevit.export.pipeline import export
from edgevit.export.recipe import Recipe, default_output

TOOLS = Path(__file__).parents[1] / "tools" / "a72"
MS_PER_MILLION_INSTRUCTIONS = 0.0879
MS_PER_MILLION_MISSES = 9.65


@click.command(help=__doc__)
@click.option(
    "--root", type=click.Path(path_type=Path), help="Folder of the emulated system; made where it is missing."
)
@click.option("--model", "models", multiple=True, default=MODELS, show_default=True)
@click.option("--format", "formats", multiple=True, default=("onnx", "tflite"), show_default=True)
def main(root: Path | None, models: tuple[str, ...], formats: tuple[str, ...]) -> None:
    root = root or Path.home() / ".cache" / "edgevit" / "a72"
    subprocess.run(
        [sys.executable, TOOLS / "build.py", root, "--python", "3.11"], check=True, stdout=subprocess.DEVNULL
    )
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
        command = [sys.executable, TOOLS / "count.py", root / "3.11", *files, "--cache"]
        counts = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["counts"]
        click.echo(
            f"{'model':16} {'file':12} {'M instructions':>14} {'M misses':>9} {'estimate ms':>12} {'of ONNX fp32':>13}"
        )
        estimates: dict[str, float] = {}
        for recipe, path in zip(recipes, files, strict=True):
            inference = counts[path.name]["inference"]
            instructions, misses = inference["instructions"] / 1e6, inference["misses"] / 1e6
            ms = MS_PER_MILLION_INSTRUCTIONS * instructions + MS_PER_MILLION_MISSES * misses
            of = ms / estimates.setdefault(recipe.model, ms)
            label = f"{recipe.format} {recipe.precision}"
            click.echo(f"{recipe.model:16} {label:12} {instructions:14.1f} {misses:9.2f} {ms:12.1f} {of:13.3f}")


if __name__ == "__main__":
    main()
