"""Peak memory: of int8 exports, which must not grow with the number of images, and of `edgevit run` with a detector.

python benchmarks/memory.py [--train DIR] [--model NAME]        an export for 64 and for 1,024 calibration images
python benchmarks/memory.py --run efficientvit_b0_det           a run on photographs of 720x1280 pixels
"""

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import click
from cifar10 import cifar10
from drawn import draw_folder
from segmentation import PICTURE, run_cost

from edgevit.system.program import Program

COUNTS = (64, 1024)
PHOTOS = 20


@click.command(cls=Program, help=__doc__)
@click.option(
    "--train", type=click.Path(path_type=Path), help="Folder of images; the archive beside the project unless given."
)
@click.option("--model", default="sbcformer_xs", show_default=True)
@click.option("--run", "running", multiple=True, help="Instead: run this model, with random weights, float and int8.")
def main(train: Path | None, model: str, running: tuple[str, ...]) -> None:
    for name in running:
        run_peaks(name)
    if running:
        return
    with cifar10("train", train) as images, tempfile.TemporaryDirectory() as folder:
        peaks = []
        for count in COUNTS:
            export(folder, model, "--int8", "--data", str(images), "--calibration-images", str(count))
            # children's peak is the largest so far, so the counts go up
            peaks.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
            click.echo(
                f"{model}: {count:5} images, peak {peaks[-1]:.0f} MB, {peaks[-1] / peaks[0]:.2f} times the first"
            )


def run_peaks(name: str) -> None:
    """Print the peak memory of a run on a folder of photographs, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        photos = draw_folder(Path(folder, "photos"), PICTURE, PHOTOS, ".jpg")
        for options in ([], ["--int8", "--data", str(photos), "--calibration-images", "16"]):
            path = export(folder, name, "--weights", "random", *options)
            _, peak_mb = run_cost(path, photos)
            click.echo(f"edgevit run, {name} {'int8' if options else 'fp32'}: peak {peak_mb:.0f} MB")


def export(folder: str, model: str, *options: str) -> Path:
    """Export a model as a user does; return the file."""
    path = Path(folder) / "m.onnx"
    subprocess.run([sys.executable, "-m", "edgevit", "export", model, *options, "-o", str(path)], check=True)
    return path


if __name__ == "__main__":
    main()
