"""Peak memory of an int8 export for 64 and for 1,024 calibration images: it must not grow with their number.

python benchmarks/memory.py [--train DIR] [--model NAME]
"""

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import click
from cifar10 import cifar10

COUNTS = (64, 1024)


@click.command(help=__doc__)
@click.option(
    "--train", type=click.Path(path_type=Path), help="Folder of images; the archive beside the project unless given."
)
@click.option("--model", default="sbcformer_xs", show_default=True)
def main(train: Path | None, model: str) -> None:
    with cifar10("train", train) as images, tempfile.TemporaryDirectory() as folder:
        peaks = []
        for count in COUNTS:
            command = ["export", model, "--int8", "--data", str(images), "--calibration-images", str(count)]
            # children's peak is the largest so far, so the counts go up
            subprocess.run([sys.executable, "-m", "edgevit", *command, "-o", f"{folder}/m.onnx"], check=True)
            peaks.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
            click.echo(
                f"{model}: {count:5} images, peak {peaks[-1]:.0f} MB, {peaks[-1] / peaks[0]:.2f} times the first"
            )


if __name__ == "__main__":
    main()
