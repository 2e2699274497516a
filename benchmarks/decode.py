"""What it costs to make boxes of a detector's raw answers: decoding and suppression of 300 candidates, and of more.

Answers are made: random boxes around random centres, at 320 x 320 pixels and for 80 classes. 300 candidates are what a
crowded picture has at most before the suppression; A72's cores take four to six times as long as a PC's.

    python benchmarks/decode.py [--repeats N]
"""

import statistics
import time

import click
import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.manifest import BoxOutput
from edgevit.runtime.detection.decode import decode, level_places
from edgevit.system.program import Program

SIZE, CLASSES = (320, 320), 80
SURE = (0, 30, 300, 1000, 2100)
"""How many places are surer than the threshold."""
KINDS = {
    "yolox": BoxOutput("yolox", (8, 16, 32), "boxes", "scores", "objectness"),
    "retina": BoxOutput("retina", (8, 16, 32, 64, 128), "boxes", "scores"),
}


def made_answers(meaning: BoxOutput, sure: int) -> list[NDArray[np.float32]]:
    """Return raw answers of which so many places are sure of one class."""
    random, places = np.random.default_rng(0), sum(level_places(meaning, SIZE))
    boxes = random.normal(0, 0.5, (places, 4)).astype(np.float32)
    scores = random.normal(-9, 1, (places, CLASSES)).astype(np.float32)
    chosen = random.choice(places, sure, replace=False)
    scores[chosen, random.integers(0, CLASSES, sure)] = random.uniform(1, 3, sure)
    objectness = np.full((places, 1), -9, np.float32)
    objectness[chosen] = 3
    return [boxes, objectness, scores] if meaning.objectness else [boxes, scores]


@click.command(cls=Program)
@click.option("--repeats", default=50, show_default=True, help="Times that each is done.")
def main(repeats: int) -> None:
    """Print a line for each kind of model and number of sure places."""
    click.echo("model    sure places  told  median ms  slowest ms")
    for kind, meaning in KINDS.items():
        for sure in SURE:
            answers, times = made_answers(meaning, sure), []
            for _ in range(repeats):
                start = time.perf_counter()
                found = decode(answers, meaning, SIZE)
                times.append(1e3 * (time.perf_counter() - start))
            told = len(found.boxes)
            click.echo(f"{kind:8} {sure:11}  {told:4}  {statistics.median(times):9.2f}  {max(times):10.2f}")


if __name__ == "__main__":
    main()
