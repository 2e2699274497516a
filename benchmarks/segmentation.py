"""Where the time of segmenting a picture goes, and how much memory it takes.

python benchmarks/segmentation.py [--imgsz 512x1024] [--int8]

Each model runs in a process of its own, so that its peak memory is its own. Random weights answer with noise: then all
pixels lie on outlines, which is the worst case of the postprocessing. A second line therefore gives the postprocessing
of smooth logits, blobs of 8 by 8 cells, which is what trained models answer.
"""

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np

from edgevit.cli.options import size as read_size
from edgevit.runtime.masks import bilinear_mask, class_areas
from edgevit.runtime.preprocess import preprocess
from edgevit.runtime.resample import Box, resample
from edgevit.runtime.selftest import draw_picture

MODELS = ("efficientvit_seg_b0_cityscapes", "efficientvit_seg_b1_cityscapes")
ROUNDS = 9


@click.command()
@click.option("--model", "models", multiple=True, default=MODELS, show_default=True)
@click.option("--imgsz", default="512x1024", show_default=True)
@click.option("--int8", is_flag=True)
@click.option("--file", type=click.Path(path_type=Path), hidden=True)
def main(models: tuple[str, ...], imgsz: str, int8: bool, file: Path | None) -> None:
    """Print medians in milliseconds of processor time, on a picture of 720x1280 pixels."""
    if file is not None:
        measure(file)
        return
    with tempfile.TemporaryDirectory() as folder:
        for model in models:
            path = Path(folder) / f"{model}.onnx"
            options = ["--int8", "--calibration", "synthesized", "--calibration-images", "16"] if int8 else []
            export = [sys.executable, "-m", "edgevit", "export", model, "--weights", "random", "--imgsz", imgsz]
            subprocess.run([*export, *options, "-o", str(path)], check=True, capture_output=True)
            click.echo(f"{model}, {imgsz}, one thread")
            subprocess.run([sys.executable, __file__, "--file", str(path)], check=True)
    smooth(read_size(imgsz) or (512, 1024))


def measure(path: Path) -> None:
    """Print the processor times of the calling thread, which does all the work, and the peak memory of one model."""
    import edgevit
    from edgevit.runtime.segmentation import Segmenter

    picture = draw_picture((720, 1280), 0)
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
    shares = ", ".join(f"{name} {ms:.1f} ms ({ms / sum(times):.0%})" for name, ms in parts)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    click.echo(f"  {shares}; peak memory {peak_mb:.0f} MB")


def smooth(size: tuple[int, int]) -> None:
    """Print the time that masks of smooth logits take."""
    cells = (size[0] // 8, size[1] // 8)
    for classes in (19, 150):
        random = np.random.default_rng(0)
        coarse = random.integers(0, 256, (classes, cells[0] // 8, cells[1] // 8, 3)).astype(np.uint8)
        planes = [resample(plane, cells, Box(0, 0, *cells), "bicubic")[:, :, 0] for plane in coarse]
        logits = np.stack(planes).astype(np.float32) / 32
        times = []
        for _ in range(ROUNDS):
            start = time.thread_time()
            class_areas(bilinear_mask(logits, (720, 1280)), classes)
            times.append(1e3 * (time.thread_time() - start))
        click.echo(f"postprocessing of smooth logits, {classes} classes: {statistics.median(times):.1f} ms")


if __name__ == "__main__":
    main()
