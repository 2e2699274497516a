"""Where the time of segmenting a picture goes, how much memory it takes, and what a Raspberry Pi 4 might need.

python benchmarks/segmentation.py [--imgsz 512x1024] [--int8] [--weights FILE]

Each model runs in a process of its own, so that its peak memory is its own: once with a clock around each part, then as
`edgevit run` on a folder of JPEG files of 720x1280 pixels. All times are of the processor, on one thread.

The time of the postprocessing depends on how much of a picture is outline. Random weights answer with few of those;
the last lines therefore are of logits whose classes change every eight cells, outlines on almost half of the picture,
and of noise, nothing but outlines.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
from drawn import draw_folder

from edgevit.cli.options import size as read_size
from edgevit.runtime.images.drawn import draw_picture
from edgevit.runtime.images.masks import bilinear_mask, class_areas
from edgevit.runtime.images.preprocess import preprocess
from edgevit.runtime.images.resample import Box, resample
from edgevit.system.program import Program

MODELS = ("efficientvit_seg_b0_cityscapes", "efficientvit_seg_b1_cityscapes")
PICTURE = (720, 1280)
ROUNDS = 9
CALIBRATION = 16


@click.command(cls=Program)
@click.option("--model", "models", multiple=True, default=MODELS, show_default=True)
@click.option("--weights", default="random", show_default=True)
@click.option("--imgsz", default="512x1024", show_default=True)
@click.option("--int8", is_flag=True)
@click.option("--file", type=click.Path(path_type=Path), hidden=True)
def main(models: tuple[str, ...], weights: str, imgsz: str, int8: bool, file: Path | None) -> None:
    """Print medians in milliseconds of processor time, on pictures of 720x1280 pixels."""
    if file is not None:
        measure(file)
        return
    with tempfile.TemporaryDirectory() as folder:
        pictures = draw_folder(Path(folder, "pictures"), PICTURE, CALIBRATION, ".jpg")
        for model in models:
            path = Path(folder) / f"{model}.onnx"
            options = ["--int8", "--data", str(pictures)] if int8 else []
            edgevit("export", model, "--weights", weights, "--imgsz", imgsz, *options, "-o", str(path))
            click.echo(f"{model}{' int8' if int8 else ''}, {imgsz}, one thread")
            subprocess.run([sys.executable, __file__, "--file", str(path)], check=True)
            whole_run(path, pictures)
            click.echo("  " + edgevit("benchmark", "--estimate", "rpi4", str(path)).splitlines()[0])
    synthetic(read_size(imgsz) or (512, 1024))


def edgevit(*arguments: str) -> str:
    """Run a command of edgevit; return what it prints."""
    return subprocess.run(
        [sys.executable, "-m", "edgevit", *arguments], check=True, capture_output=True, text=True
    ).stdout


def measure(path: Path) -> None:
    """Print the processor times of the calling thread, which does all the work."""
    import edgevit
    from edgevit.runtime.segmenter import Segmenter

    picture = draw_picture(PICTURE, 0)
    rounds: list[list[float]] = []
    with edgevit.load(path, threads=1) as segmenter:
        assert isinstance(segmenter, Segmenter)
        for _ in range(ROUNDS):
            clock = [time.thread_time()]
            inputs = preprocess(picture, segmenter.preprocess)[None]
            clock.append(time.thread_time())
            outputs = segmenter.outputs(inputs)
            clock.append(time.thread_time())
            class_areas(segmenter.mask(outputs[0], picture.shape[:2]), len(segmenter.names))
            clock.append(time.thread_time())
            rounds.append([1e3 * (end - start) for start, end in zip(clock, clock[1:], strict=False)])
    times = [statistics.median(column) for column in zip(*rounds[2:], strict=True)]
    parts = zip(("preprocess", "model", "postprocess"), times, strict=True)
    click.echo("  " + ", ".join(f"{name} {ms:.1f} ms ({ms / sum(times):.0%})" for name, ms in parts))


def whole_run(path: Path, pictures: Path) -> None:
    """Print what `edgevit run` takes for a further picture, reading and answering included, and its peak memory."""
    one, _ = run_cost(path, next(pictures.iterdir()))
    every, peak_mb = run_cost(path, pictures)
    per_picture = (every - one) / (CALIBRATION - 1)
    click.echo(f"  edgevit run: {1e3 * per_picture:.0f} ms a picture, peak memory {peak_mb:.0f} MB")


def run_cost(path: Path, source: Path) -> tuple[float, float]:
    """Return the seconds of processor time and the peak memory in MB of one `edgevit run`."""
    arguments = [sys.executable, "-m", "edgevit", "run", str(path), str(source), "--threads", "1"]
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise click.ClickException(f"edgevit run exited with {process.returncode}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1e3


def synthetic(size: tuple[int, int]) -> None:
    """Print the time that masks of logits with many outlines take."""
    cells = (size[0] // 8, size[1] // 8)
    for classes in (19, 150):
        random = np.random.default_rng(0)
        coarse = random.integers(0, 256, (classes, cells[0] // 8, cells[1] // 8, 3)).astype(np.uint8)
        planes = [resample(plane, cells, Box(0, 0, *cells), "bicubic")[:, :, 0] for plane in coarse]
        smooth = np.stack(planes).astype(np.float32) / 32
        noise = random.standard_normal((classes, *cells), np.float32)
        for name, logits in (("smooth logits", smooth), ("noise", noise)):
            times = []
            for _ in range(ROUNDS):
                start = time.thread_time()
                class_areas(bilinear_mask(np.asarray(logits, np.float32), PICTURE), classes)
                times.append(1e3 * (time.thread_time() - start))
            click.echo(f"postprocessing of {name}, {classes} classes: {statistics.median(times):.1f} ms")


if __name__ == "__main__":
    main()
