"""Where the time of segmenting a picture goes, and how much memory it takes.

python benchmarks/segmentation.py [--imgsz 512x1024] [--threads 1]

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
from edgevit.runtime.resample import Box, resample
from edgevit.runtime.selftest import draw_picture

MODELS = ("efficientvit_seg_b0_cityscapes", "efficientvit_seg_b1_cityscapes")
ROUNDS = 15


@click.command()
@click.option("--model", "models", multiple=True, default=MODELS, show_default=True)
@click.option("--imgsz", default="512x1024", show_default=True)
@click.option("--threads", default=1, show_default=True)
@click.option("--int8", is_flag=True)
@click.option("--file", type=click.Path(path_type=Path), hidden=True)
def main(models: tuple[str, ...], imgsz: str, threads: int, int8: bool, file: Path | None) -> None:
    """Print medians in milliseconds, on a picture of 720x1280 pixels."""
    if file is not None:
        measure(file, threads)
        return
    with tempfile.TemporaryDirectory() as folder:
        for model in models:
            path = Path(folder) / f"{model}.onnx"
            options = ["--int8", "--calibration", "synthesized", "--calibration-images", "16"] if int8 else []
            export = [sys.executable, "-m", "edgevit", "export", model, "--weights", "random", "--imgsz", imgsz]
            subprocess.run([*export, *options, "-o", str(path)], check=True, capture_output=True)
            click.echo(f"{model}, {imgsz}, {threads} threads")
            subprocess.run([sys.executable, __file__, "--file", str(path), "--threads", str(threads)], check=True)
    smooth(read_size(imgsz) or (512, 1024))


def measure(path: Path, threads: int) -> None:
    """Print the times and the peak memory of one model."""
    import edgevit

    picture = draw_picture((720, 1280), 0)
    with edgevit.load(path, threads) as segmenter:
        results = [segmenter(picture) for _ in range(ROUNDS)][2:]
    times = {part: statistics.median(getattr(r, part) for r in results) for part in PARTS}
    total = sum(times.values())
    shares = ", ".join(f"{part.removesuffix('_ms')} {ms:.1f} ms ({ms / total:.0%})" for part, ms in times.items())
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    click.echo(f"  {shares}; peak memory {peak_mb:.0f} MB")


PARTS = ("preprocess_ms", "inference_ms", "postprocess_ms")


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
            start = time.perf_counter()
            class_areas(bilinear_mask(logits, (720, 1280)), classes)
            times.append(1e3 * (time.perf_counter() - start))
        click.echo(f"postprocessing of smooth logits, {classes} classes: {statistics.median(times):.1f} ms")


if __name__ == "__main__":
    main()
