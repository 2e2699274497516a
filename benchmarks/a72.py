"""Instructions of exported models on an emulated Cortex-A72, and an estimate for a Raspberry Pi 4: ONNX, TFLite.

    python benchmarks/a72.py [--root DIR] [--model NAME]... [--format onnx]... [--precision int8]... [--keep DIR]

Each file is exported by the command that users run, and run through edgevit's own sessions on the real aarch64 wheels,
one thread. The emulation is that of `make test-a72`; it is built in --root where it is missing. Models without bundled
weights get random ones, on which neither the operators nor their times depend.

"estimate" is a model, not a measurement: time is taken to be proportional to instructions and to misses of the 32 KB
data cache, by figures (edgevit/export/estimate/estimate.py) that were fitted to six published four-thread figures of
MobileNets on a Raspberry Pi 4; it is off by 8 % at worst where one of them is left out.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from drawn import draw_folder

from edgevit.export.estimate.estimate import MHZ, THREADS, milliseconds
from edgevit.export.pipeline import export
from edgevit.export.recipe import Recipe, default_output
from edgevit.models.zoo.registry import get_spec
from edgevit.system.program import Program

MODELS = ("sbcformer_xs", "sbcformer_b", "efficientvit_b0")
TOOLS = Path(__file__).parents[1] / "tools" / "a72"
CALIBRATION_IMAGES = 20
"""A few of them are held out to verify by; at least 16 must stay."""
HEADS = f"{'model':16} {'file':12} {'weights':8} {'MB':>6} {'M instructions':>14} {'M misses':>9} {'estimate ms':>12}"


@click.command(cls=Program, help=__doc__)
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the emulated system; made if missing.")
@click.option("--model", "models", multiple=True, default=MODELS, show_default=True)
@click.option("--format", "formats", multiple=True, default=("onnx", "tflite"), show_default=True)
@click.option("--precision", "precisions", multiple=True, default=("fp32", "int8"), show_default=True)
@click.option(
    "--keep", type=click.Path(path_type=Path), help="Folder for exported files; those in it are not made anew."
)
def main(
    root: Path | None, models: tuple[str, ...], formats: tuple[str, ...], precisions: tuple[str, ...], keep: Path | None
) -> None:
    root = root or Path.home() / ".cache" / "edgevit" / "a72"
    subprocess.run(
        [sys.executable, TOOLS / "build.py", root, "--python", "3.11"], check=True, stdout=subprocess.DEVNULL
    )
    click.echo(HEADS)
    with tempfile.TemporaryDirectory() as temporary:
        for name in models:
            estimates = {}
            for form in formats:
                for precision in precisions:
                    recipe = made_recipe(name, form, precision, Path(temporary) / name)
                    path = (keep or Path(temporary)) / default_output(recipe)
                    if not path.exists():
                        path.parent.mkdir(parents=True, exist_ok=True)
                        export(recipe, path)
                    counted = count(root, path)
                    ms = milliseconds(counted["instructions"], counted["misses"], THREADS, MHZ)
                    estimates[f"{form} {precision}"] = ms
                    click.echo(
                        f"{name:16} {f'{form} {precision}':12} {recipe.weights or 'bundled':8} "
                        f"{path.stat().st_size / 1e6:6.2f} {counted['instructions'] / 1e6:14.1f} "
                        f"{counted['misses'] / 1e6:9.2f} {ms:12.1f}"
                    )
            best = min(estimates, key=lambda label: estimates[label])
            click.echo(f"{name}: best {best}, estimated {estimates[best]:.0f} ms on a Raspberry Pi 4, four threads")


def made_recipe(name: str, form: Any, precision: Any, folder: Path) -> Recipe:
    """Return what to export: bundled weights, or random ones calibrated on drawn pictures."""
    spec = get_spec(name)
    if any(entry.bundled for entry in spec.weights):
        return Recipe(name, format=form, precision=precision)
    pictures = draw_folder(folder, spec.preprocess.size, CALIBRATION_IMAGES)
    return Recipe(name, "random", form, precision, data=pictures)


def count(root: Path, path: Path) -> dict[str, int]:
    """Return the instructions and misses of one inference."""
    command = [sys.executable, TOOLS / "count.py", root / "3.11", path, "--cache"]
    counts = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["counts"]
    inference: dict[str, int] = counts[path.name]["inference"]
    return inference


if __name__ == "__main__":
    main()
