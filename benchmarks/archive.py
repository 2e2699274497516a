"""What `edgevit run --jobs 2` is worth beside `--jobs 1` on made JPEGs: pictures a second, and the ratio of medians.

    python benchmarks/archive.py MODEL [--pictures N] [--rounds N] [--jobs N]

Both run in turn, so that what else the machine does meets both alike; time counts from the first picture to the last,
without the start of the workers. It needs as many idle cores as jobs: the load before each round is printed.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

import click
from drawn import draw_folder

import edgevit
from edgevit.system.program import Program

SIZE = (480, 640)
"""(height, width) of the pictures in pixels."""


def pictures_per_s(model: Path, photos: Path, jobs: int) -> float:
    """Return the rate of a run, from its first answers on, when all workers are open."""
    seen: list[tuple[float, int]] = []

    def note(progress: edgevit.RunProgress) -> None:
        seen.append((time.monotonic(), progress.done))

    with tempfile.TemporaryDirectory() as folder:
        options = edgevit.RunOptions(model=model, sources=[photos], to=[f"{folder}/out.jsonl"], jobs=jobs)
        edgevit.run(options, on_progress=note)
    (begun_s, before), (ended_s, done) = seen[0], seen[-1]
    if done == before:
        raise click.ClickException("it was over within a second; give more --pictures")
    return (done - before) / (ended_s - begun_s)


@click.command(cls=Program, help=__doc__)
@click.argument("model", type=click.Path(path_type=Path, exists=True))
@click.option("--pictures", default=2000, show_default=True, help="Pictures of each run.")
@click.option("--rounds", default=5, show_default=True, help="Runs of each number of jobs.")
@click.option("--jobs", default=2, show_default=True, help="Workers to compare with one.")
def main(model: Path, pictures: int, rounds: int, jobs: int) -> None:
    """Print a line for each round, then the ratio of the medians."""
    rates: dict[int, list[float]] = {1: [], jobs: []}
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        draw_folder(photos, SIZE, pictures, ".jpg")
        for number in range(rounds):
            load = os.getloadavg()[0]
            for count, found in rates.items():
                found.append(pictures_per_s(model, photos, count))
            shown = ", ".join(f"{count} jobs {found[-1]:.1f} a second" for count, found in rates.items())
            click.echo(f"round {number + 1}: {shown} (load before {load:.1f} on {os.cpu_count()} cores)")
    medians = [statistics.median(found) for found in rates.values()]
    click.echo(f"{jobs} jobs beside one: {medians[1] / medians[0]:.2f} times, of the medians")


if __name__ == "__main__":
    main()
