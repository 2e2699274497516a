"""Latency of the zoo's models as ONNX, float and int8, measured on one thread of this machine.

    python benchmarks/zoo.py [--model NAME]... [--rounds N] [--json edgevit/models/zoo/latency.json]

ONNX graphs with random weights at each model's own input size. All take turns in every round, so that what else the
machine does meets all of them alike; medians of processor time. Models of more than --largest operations, which are
none for such a board, are left out. The JSON file is what `edgevit models` shows.
"""

import datetime
import json
from pathlib import Path

import click
import onnxruntime
from random_graphs import random_graphs

from edgevit.export.latency import median_latencies_ms
from edgevit.models import list_models
from edgevit.models.zoo.registry import get_spec
from edgevit.runtime.benchmark.machine import describe_machine
from edgevit.system.program import Program


@click.command(cls=Program, help=__doc__)
@click.option("--model", "models", multiple=True, default=list_models(), help="Default: all of the zoo.")
@click.option("--largest", default=10.0, show_default=True, help="G multiply-accumulates.")
@click.option("--rounds", default=15, show_default=True)
@click.option("--json", "document", type=click.Path(path_type=Path), help="Write the figures there, too.")
def main(models: tuple[str, ...], largest: float, rounds: int, document: Path | None) -> None:
    names = [name for name in models if get_spec(name).macs <= largest * 1e9]
    made = []
    for name in names:
        click.echo(f"preparing {name}", err=True)
        made += random_graphs(name)
    times = median_latencies_ms([graph.SerializeToString() for graph in made], ".onnx", rounds)
    found = {
        name: {
            "x86_fp32_ms": round(times[2 * i], 2),
            "x86_int8_ms": round(times[2 * i + 1], 2),
        }
        for i, name in enumerate(names)
    }
    processor = describe_machine().name
    click.echo(f"{processor}, one thread, median of {rounds} rounds")
    click.echo(f"{'model':32} {'fp32 ms':>9} {'int8 ms':>9}")
    for name, row in found.items():
        click.echo(f"{name:32} {row['x86_fp32_ms']:9.2f} {row['x86_int8_ms']:9.2f}")
    if document is not None:
        facts = {
            "date": datetime.date.today().isoformat(),
            "processor": processor,
            "onnxruntime": onnxruntime.__version__,
            "rounds": rounds,
            "models": found,
        }
        document.write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
