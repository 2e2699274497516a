"""How long a model would take on a board that is not at hand: counted costs of its operators, added up.

Each operator's instructions and cache misses follow from its multiply-adds, elements and bytes, by what was counted of
single operators on an emulated Cortex-A72 (tools/a72/operators.py). What they take on a Raspberry Pi 4 follows from six
published figures (XNNPACK's README of February 2022: MobileNet v1 77 / 24 ms, v2 46 / 17, v3 large 40, small 15, float
/ int8, 1.5 GHz, all four cores), which MS_PER_MILLION_INSTRUCTIONS and MS_PER_MILLION_MISSES meet within 8 % where each
in turn is left out of the fit. docs/benchmark.md tells how far the whole is off.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgevit.device_profiles import Profile
from edgevit.errors import OptionError
from edgevit.runtime.estimate.costs import COSTS, ERROR
from edgevit.runtime.estimate.layers import Layer, find_layers
from edgevit.runtime.estimate.onnx_graph import read_graph

MS_PER_MILLION_INSTRUCTIONS = 0.0879
MS_PER_MILLION_MISSES = 9.65
CORE, CORES, MHZ, THREADS = "Cortex-A72", 4, 1500, 4
"""The board that the figures were measured on."""


@dataclass(frozen=True)
class Cost:
    """What one operator takes."""

    layer: Layer
    instructions: float
    misses: float
    """Misses of the first data cache."""

    @property
    def ms(self) -> float:
        return (MS_PER_MILLION_INSTRUCTIONS * self.instructions + MS_PER_MILLION_MISSES * self.misses) / 1e6


@dataclass(frozen=True)
class Estimate:
    """A guess about a model on a board; never a measurement."""

    model: str
    board: str
    """Title of its profile."""
    costs: tuple[Cost, ...]
    """Costs of the operators that take time, in order."""

    @property
    def ms(self) -> float:
        """Time of one inference with THREADS threads at MHZ."""
        return sum(cost.ms for cost in self.costs)

    def by_kind(self) -> dict[str, tuple[int, int, float]]:
        """Return for each kind of operator how many there are, their multiply-adds and their ms, slowest first."""
        kinds: dict[str, tuple[int, int, float]] = {}
        for cost in self.costs:
            count, macs, ms = kinds.get(cost.layer.kind, (0, 0, 0.0))
            kinds[cost.layer.kind] = (count + 1, macs + cost.layer.macs, ms + cost.ms)
        return dict(sorted(kinds.items(), key=lambda item: -item[1][2]))

    def to_dict(self) -> dict[str, Any]:
        return {
            "estimate": True,
            "model": self.model,
            "board": self.board,
            "threads": THREADS,
            "mhz": MHZ,
            "ms": round(self.ms, 3),
            "error": ERROR,
            "instructions": round(sum(cost.instructions for cost in self.costs)),
            "misses": round(sum(cost.misses for cost in self.costs)),
            "layers": [
                {"operator": layer.operator, "kind": layer.kind, "macs": layer.macs, "ms": round(cost.ms, 4)}
                for cost in self.costs
                for layer in (cost.layer,)
            ],
        }

    def to_json(self) -> str:
        """Return to_dict as one line."""
        return json.dumps(self.to_dict())


def estimate(path: Path, profile: Profile) -> Estimate:
    """Estimate one inference of an ONNX file with one picture.

    Raises:
        OptionError: nothing is known of this board, or the file is no ONNX file.
        ModelFileError: the file cannot be read, or lacks shapes.
    """
    if [(cluster.core, cluster.count) for cluster in profile.clusters] != [(CORE, CORES)]:
        raise OptionError(
            f"--estimate knows boards with {CORES} {CORE}, such as rpi4, and {profile.name} is none; "
            "run edgevit benchmark on the board itself"
        )
    if path.suffix.lower() != ".onnx":
        raise OptionError(f"--estimate knows ONNX files, and {path} is none; export the model with --format onnx")
    layers = [layer for layer in find_layers(read_graph(path)) if layer.kind != "free"]
    return Estimate(path.name, profile.title, tuple(price(layer) for layer in layers))


def price(layer: Layer) -> Cost:
    of = COSTS[layer.kind]
    instructions = of.instructions_per_mac * layer.macs + of.instructions_per_element * layer.elements
    return Cost(layer, instructions, of.misses_per_mac * layer.macs + of.misses_per_byte * layer.bytes)
