"""How well things are followed and lines counted, on made scenes, and what that costs.

Each scene is filmed several times, with other misses, mistakes and frame times. Printed are the crossings of the line
that there were and that were found, how often a thing got another id (switches) and how many ids there were for how
many things, and MOTA: 1 - (missed + false + switches) / true boxes, where nothing is counted before a thing's second
frame. Then the time that following takes, of a frame with so many things. The exit code is 1 if a scene
that must be exact is not.

    python benchmarks/tracking.py [--seeds N]
"""

import dataclasses
import statistics
import sys
import time
from pathlib import Path

import click

from edgevit.system.program import Program

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.made_tracks import Scene, film, flock, judge, scenes

CROWDS = (5, 20, 50)
"""Things in a picture whose time is told."""


def seldom(count: int, seed: int) -> Scene:
    """Return a flock of which only every fourth picture is looked at."""
    return dataclasses.replace(flock(count, seed), name=f"{count} that walk about, 2.5 frames a second", frame_s=0.4)


@click.command(cls=Program, help=__doc__)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Films of each scene.")
def main(seeds: int) -> None:
    exact = scenes()
    wrong = 0
    print(f"{'scene':38} crossings true, found    switches  ids of things  MOTA")
    for scene in (*exact, seldom(15, 2), flock(30, 3), flock(50, 4)):
        ways = [walker.crossings() for walker in scene.walkers]
        true = (sum(inwards for inwards, _ in ways), sum(outwards for _, outwards in ways))
        scores = [judge(film(scene, seed))[0] for seed in range(seeds)]
        off = sum(score.crossed != true for score in scores)
        wrong += off if scene in exact else 0
        found = "exact" if not off else " ".join(f"{score.crossed[0]}/{score.crossed[1]}" for score in scores)
        switches = sum(score.switches for score in scores) / seeds
        ids = sum(score.ids for score in scores) / seeds
        mota = statistics.mean(score.mota for score in scores)
        crossings = f"{true[0]:3} in {true[1]:3} out, {found:10}"
        print(f"{scene.name:38} {crossings} {switches:8.1f} {ids:7.1f} of {len(ways):2}  {mota:.3f}")
    for count in CROWDS:
        _, took = judge(film(flock(count, 5, 10.0), 0), clock=time.perf_counter)
        print(f"{count:2} things: {1e3 * statistics.median(took):.2f} ms a frame")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
