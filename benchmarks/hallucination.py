"""Parameters, operations and time of each plain model and its twin with hallucinated attention and compact FFN.

    python benchmarks/hallucination.py [--latency [--pair NAME ...]] [--rounds N]

Totals are those of the paper's formulation, parallel branches merged, beside the reductions that it prints (arXiv
2306.10875); the program fails where one is missed by more than half a point. An exported file has more operations, in
fewer passes over the maps (edgevit/models/hallucinated.py), which --latency prints too. With --latency, each model's
ONNX graph, float and int8, with random weights, is timed on one thread of this machine, a pair interleaved, and what it
would take on a Raspberry Pi 4 is estimated (docs/benchmark.md). benchmarks/zoo.py does so for all models in one run.
"""

import platform
import sys
from collections.abc import Sequence

import click
import torch
from random_graphs import estimated_ms, random_graphs
from torch.utils.flop_counter import FlopCounterMode

from edgevit.export.latency import median_latencies_ms
from edgevit.export.onnx.graph import layers
from edgevit.models import create_model, list_models
from edgevit.models.compact_ffn import merge_branches
from edgevit.models.zoo.registry import get_spec
from edgevit.system.program import Program

PUBLISHED = {"pvt_v2_b1": (13.2, 15.2), "nextvit_small": (13.9, 11.5)}
"""Reduction of parameters and of operations, in percent."""
ALLOWED = 0.5
"""Percentage points."""
PAIRS = [(get_spec(name).plain, name) for name in list_models() if get_spec(name).plain]


@click.command(cls=Program, help=__doc__)
@click.option("--latency", is_flag=True, help="Time the pairs, too.")
@click.option("--pair", "chosen", multiple=True, default=[plain for plain, _ in PAIRS], help="Plain models to time.")
@click.option("--rounds", default=30, show_default=True)
def main(latency: bool, chosen: tuple[str, ...], rounds: int) -> None:
    missed = print_totals()
    if latency:
        click.echo(f"\n{platform.machine()}, one thread, batch 1, median of {rounds} rounds; torch {torch.__version__}")
        click.echo(f"{'model':32} {'MACs':>15} {'fp32 ms':>9} {'int8 ms':>9} {'fp32 rpi4 ms':>13} {'int8 rpi4 ms':>13}")
        for pair in PAIRS:
            if pair[0] in chosen:
                print_latencies(pair, rounds)
        click.echo("rpi4: estimates, never measured; see docs/benchmark.md for how far they may be off")
    sys.exit(1 if missed else 0)


def print_totals() -> bool:
    """Print the table of sizes; return whether a published reduction is missed."""
    missed = False
    click.echo(
        f"{'plain, twin':32} {'parameters':>12} {'fewer %':>8} {'paper':>6} {'MACs':>15} {'fewer %':>8} {'paper':>6}"
    )
    for pair in PAIRS:
        plain, twin = (totals(name) for name in pair)
        published = PUBLISHED.get(pair[0])
        fewer = [100 * (1 - after / before) for before, after in zip(plain, twin, strict=True)]
        paper = [f"{value:.1f}" for value in published] if published else ["-", "-"]
        click.echo(f"{pair[0]:32} {plain[0]:12,} {'':8} {'':6} {plain[1]:15,}")
        click.echo(
            f"{pair[1]:32} {twin[0]:12,} {fewer[0]:8.2f} {paper[0]:>6} {twin[1]:15,} {fewer[1]:8.2f} {paper[1]:>6}"
        )
        missed |= any(abs(a - b) > ALLOWED for a, b in zip(fewer, published or fewer, strict=True))
    click.echo(f"published reductions {'MISSED' if missed else 'met'} within {ALLOWED} points")
    return missed


def totals(name: str) -> tuple[int, int]:
    """Return a model's parameters, and its multiply-accumulates for one image of its own size."""
    with torch.device("meta"), torch.no_grad():
        model = create_model(name).eval()
        merge_branches(model)
        with FlopCounterMode(display=False) as counter:
            model(torch.empty(1, 3, *get_spec(name).preprocess.size))
    return sum(parameter.numel() for parameter in model.parameters()), counter.get_total_flops() // 2


def print_latencies(names: Sequence[str], rounds: int) -> None:
    """Print one line for each model, whose graphs take turns."""
    made = [graph for name in names for graph in random_graphs(name)]
    times = median_latencies_ms([graph.SerializeToString() for graph in made], ".onnx", rounds)
    for i, name in enumerate(names):
        floating, int8 = 2 * i, 2 * i + 1
        click.echo(
            f"{name:32} {sum(layer.macs for layer in layers(made[floating])):15,} "
            f"{times[floating]:9.2f} {times[int8]:9.2f} "
            f"{estimated_ms(made[floating]):13.0f} {estimated_ms(made[int8]):13.0f}"
        )


if __name__ == "__main__":
    main()
