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
from edgevit.export.estimate.costs import COSTS, ERROR, LITERT_GROUPS, LITERT_SHARES, TFLITE_ERROR
from edgevit.export.estimate.operation import Operation
from edgevit.export.extras import import_module

MS_PER_MILLION_INSTRUCTIONS = 0.0879
MS_PER_MILLION_MISSES = 9.65
CORE, CORES, MHZ, THREADS = "Cortex-A72", 4, 1500, 4
"""The board that the figures were measured on, with all its cores."""

READERS = {".onnx": "edgevit.export.estimate.layers", ".tflite": "edgevit.export.estimate.tflite_layers"}
"""File suffix to the module whose `read_operations` lists what is to be done."""
RUNTIMES = {".onnx": "ONNX Runtime", ".tflite": "LiteRT"}


@dataclass(frozen=True)
class Cost:
    """What one operator takes."""

    operation: Operation
    instructions: float
    misses: float
    """Misses of the first data cache."""


@dataclass(frozen=True)
class Estimate:
    """A guess about a model on a board; never a measurement."""

    model: str
    board: str
    """Title of its profile."""
    runtime: str
    threads: int
    mhz: int
    error: float
    """How far it may be off, as a share."""
    costs: tuple[Cost, ...]
    """Costs of the operators that take time, in order."""

    @property
    def ms(self) -> float:
        """Time of one inference."""
        return sum(map(self.ms_of, self.costs))

    def ms_of(self, cost: Cost) -> float:
        """Return an operator's share of the time."""
        return milliseconds(cost.instructions, cost.misses, self.threads, self.mhz)

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The operators of which nothing was counted, so that the price of another kind stands for theirs."""
        return tuple(sorted({cost.operation.operator for cost in self.costs if not cost.operation.priced}))

    def by_kind(self) -> dict[str, tuple[int, int, float]]:
        """Return for each kind of operator how many there are, their multiply-adds and their ms, slowest first."""
        kinds: dict[str, tuple[int, int, float]] = {}
        for cost in self.costs:
            count, macs, ms = kinds.get(cost.operation.kind, (0, 0, 0.0))
            kinds[cost.operation.kind] = (count + 1, macs + cost.operation.macs, ms + self.ms_of(cost))
        return dict(sorted(kinds.items(), key=lambda item: -item[1][2]))

    def to_dict(self) -> dict[str, Any]:
        return {
            "estimate": True,
            "model": self.model,
            "board": self.board,
            "runtime": self.runtime,
            "threads": self.threads,
            "mhz": self.mhz,
            "ms": round(self.ms, 3),
            "error": self.error,
            "unpriced": list(self.unpriced),
            "instructions": round(sum(cost.instructions for cost in self.costs)),
            "misses": round(sum(cost.misses for cost in self.costs)),
            "layers": [
                {"operator": done.operator, "kind": done.kind, "macs": done.macs, "ms": round(self.ms_of(cost), 4)}
                for cost in self.costs
                for done in (cost.operation,)
            ],
        }

    def to_json(self) -> str:
        """Return to_dict as one line."""
        return json.dumps(self.to_dict())


def estimate(
    path: Path,
    profile: Profile,
    *,
    threads: int | None = None,
    mhz: int | None = None,
    imgsz: tuple[int, int] | None = None,
) -> Estimate:
    """Estimate one inference of an ONNX or TFLite file with one picture.

    Args:
        path: the file, of whatever tool.
        profile: the board.
        threads: how many; None for as many as `edgevit run` takes there.
        mhz: the clock; None for the board's highest.
        imgsz: (height, width) of the input in pixels, where the file leaves it open.

    Raises:
        OptionError: nothing is known of this board, the file is of another form, or `imgsz` is missing.
        ModelFileError: the file cannot be read, or lacks shapes.
        MissingExtraError: a package that reads the file is not installed.
    """
    threads_there, mhz_there = conditions(profile)
    costs = list_costs(path, imgsz)
    return Estimate(
        path.name,
        profile.title,
        RUNTIMES[path.suffix.lower()],
        threads or threads_there,
        mhz or mhz_there,
        ERROR if path.suffix.lower() == ".onnx" else TFLITE_ERROR,
        tuple(costs),
    )


def conditions(profile: Profile, option: str = "--estimate") -> tuple[int, int]:
    """Return how many threads `edgevit run` takes on a board, and its clock in MHz.

    Raises:
        OptionError: nothing is known of this board, which the message says of `option`.
    """
    if [(cluster.core, cluster.count) for cluster in profile.clusters] != [(CORE, CORES)]:
        raise OptionError(
            f"{option} knows boards with {CORES} {CORE}, such as rpi4, and {profile.name} is none; "
            "run edgevit benchmark on the board itself"
        )
    return profile.threads.count or CORES, profile.clusters[0].mhz or MHZ


def milliseconds(instructions: float, misses: float, threads: int, mhz: int) -> float:
    """Return how long counted work takes.

    Work is taken to be spread evenly over the threads. A faster clock helps instructions alone: what waits for memory
    is taken to wait as long.
    """
    at_once = MS_PER_MILLION_INSTRUCTIONS * instructions * MHZ / mhz
    return (at_once + MS_PER_MILLION_MISSES * misses) * THREADS / threads / 1e6


def count_work(path: Path) -> tuple[float, float]:
    """Return the instructions and the misses of one inference of a file, as `estimate` has them."""
    costs = list_costs(path)
    return sum(cost.instructions for cost in costs), sum(cost.misses for cost in costs)


def list_costs(path: Path, imgsz: tuple[int, int] | None = None) -> list[Cost]:
    """Return what each operator of a file takes; arguments and errors are those of `estimate`."""
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise OptionError(f"--estimate knows ONNX and TFLite files, and {path} is none; export the model as one")
    reader = import_module(READERS[suffix], "--estimate")
    costs = [price(operation) for operation in reader.read_operations(path, imgsz) if operation.kind != "free"]
    return list(map(_as_in_litert, costs)) if suffix == ".tflite" else costs


def _as_in_litert(cost: Cost) -> Cost:
    """Return what LiteRT's kernel takes for what ONNX Runtime's would."""
    instructions, misses = LITERT_SHARES[LITERT_GROUPS.get(cost.operation.kind, "other")]
    return Cost(cost.operation, cost.instructions * instructions, cost.misses * misses)


def price(operation: Operation) -> Cost:
    """Return what an operator takes by the counted costs of its kind."""
    of = COSTS[operation.kind]
    instructions = of.instructions_per_mac * operation.macs + of.instructions_per_element * operation.elements
    return Cost(operation, instructions, of.misses_per_mac * operation.macs + of.misses_per_byte * operation.bytes)
