"""What training makes of few photos: the defaults beside fixed batches, and the frozen backbone beside all of it.

    python benchmarks/few_photos.py DATA [--model NAME] [--init NAME] [--classes N] [--photos N] [--imgsz N]

DATA holds a folder of pictures for each class, such as CIFAR-10's test images as JPEG files. Of the first classes so
many photos are drawn to train on, and others to judge by; the classes get names of their own, so that no classifier of
theirs is taken over. Each way is run with every seed, on one thread; the seconds are of one processor core, start and
measuring included.
"""

import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import click

WAYS = {
    "defaults": "",
    "--batch 8": "--batch 8",
    "--batch 16": "--batch 16",
    "--batch 32": "--batch 32",
    "batch 128": "--batch 128 --learning-rate 0.0005 --ema-decay 0.998 --augmentation strong",
}
"""Names of the ways to train, and their options; the last was the default once."""


@click.command(help=__doc__)
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model", default="sbcformer_xs", show_default=True)
@click.option("--init", default="cifar10", show_default=True, help="Weights to start from.")
@click.option("--classes", default=5, show_default=True)
@click.option("--photos", default=50, show_default=True, help="Photos of a class to train on.")
@click.option("--judged", default=40, show_default=True, help="Photos of a class to judge by.")
@click.option("--imgsz", default=64, show_default=True)
@click.option("--epochs", default=5, show_default=True)
@click.option("--seeds", default=2, show_default=True)
@click.option("--way", "ways", multiple=True, default=tuple(WAYS), help="One of the ways; may be given several times.")
@click.option("--freeze/--no-freeze", default=True, help="Whether to train the last layer alone, too.")
def main(
    data: Path,
    model: str,
    init: str,
    classes: int,
    photos: int,
    judged: int,
    imgsz: int,
    epochs: int,
    seeds: int,
    ways: tuple[str, ...],
    freeze: bool,
) -> None:
    with tempfile.TemporaryDirectory() as name:
        drawn, out = Path(name, "photos"), Path(name, "runs")
        draw(data, drawn, classes, {"train": photos, "val": judged})
        common = ["--data", str(drawn), "--init", init, "--imgsz", str(imgsz), "--threads", "1", "--workers", "1"]
        click.echo(f"{model} from {init}, {classes} x {photos} photos, {imgsz} px, {classes * judged} others judged")
        click.echo(f"{'':20} {'top-1 %, each seed':24} {'mean':>6} {'seconds':>8}")
        every = {way: f"--epochs {epochs} {WAYS[way]}" for way in ways} | ({"--freeze": "--freeze"} if freeze else {})
        for way, options in every.items():
            found = []
            for seed in range(seeds):
                words = [*common, *options.split(), "--seed", str(seed), "--out", str(out / f"{way} {seed}")]
                found.append(train(model, words))
            shares = " ".join(f"{share:5.1f}" for share, _ in found)
            mean = sum(share for share, _ in found) / seeds
            click.echo(f"{way:20} {shares:24} {mean:6.1f} {sum(s for _, s in found) / seeds:8.0f}")


def draw(data: Path, drawn: Path, classes: int, counts: dict[str, int]) -> None:
    """Link photos of each class, drawn with a fixed seed, into a folder for each part."""
    folders = sorted(folder for folder in data.iterdir() if folder.is_dir())[:classes]
    for folder in folders:
        pictures = sorted(path for path in folder.iterdir() if path.is_file())
        random.Random(0).shuffle(pictures)
        for part, count in counts.items():
            home = drawn / part / f"my {folder.name}"
            home.mkdir(parents=True)
            for picture in pictures[:count]:
                (home / picture.name).symlink_to(picture.resolve())
            pictures = pictures[count:]


def train(model: str, words: list[str]) -> tuple[float, float]:
    """Return the accuracy in percent and the seconds of processor time that a run took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "edgevit", "train", model, *words]
    done = subprocess.run(command, check=True, text=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    line = next(line for line in done.stdout.splitlines() if line.startswith("all "))
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return float(line.split()[1].rstrip("%")), seconds


if __name__ == "__main__":
    main()
