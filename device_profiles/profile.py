"""What a profile says about a board: one frozen dataclass for each table of its TOML file; docs/device-profiles.md."""

from dataclasses import dataclass
from typing import Literal

SCHEMA = 1
"""Version of the profiles that this edgevit reads."""

Architecture = Literal["aarch64", "x86_64"]
Scheme = Literal["U8S8", "S8S8"]
"""Types of activations and weights: U8S8 is uint8 activations, int8 weights."""
Feature = Literal["asimd", "fp16", "dotprod", "i8mm", "bf16", "sve", "avx2", "avx512f", "avx512_vnni", "avx_vnni"]
"""Instruction-set extensions that decide which kernels run."""


@dataclass(frozen=True)
class Isa:
    """The instruction set."""

    level: str
    """As the architecture's owner names it: "ARMv8.0-A"."""
    features: tuple[Feature, ...]
    """What every core has."""
    source: str


@dataclass(frozen=True)
class Cluster:
    """Cores of one kind."""

    core: str
    count: int
    source: str
    part: str = ""
    """"CPU implementer:CPU part" of /proc/cpuinfo, "0x41:0xd08"; finds the cluster's cores on the running board."""
    mhz: int | None = None
    """Highest clock."""
    l1d_kb: int | None = None
    """Data cache of each core, KiB."""
    l2_kb: int | None = None
    """KiB; of each core if `l2_private`, else of the cluster."""
    l2_private: bool = False
    little: bool = False
    """A slow core beside faster ones: not for inference."""

    def __post_init__(self) -> None:
        """Raise ValueError for what no cluster has."""
        _require(self.count > 0, "count", self.count, "a whole number from 1")
        implementer, colon, part = self.part.partition(":")
        sound = not self.part or (colon and implementer.startswith("0x") and part.startswith("0x"))
        _require(bool(sound), "part", self.part, '"implementer:part" such as "0x41:0xd08"')


@dataclass(frozen=True)
class Memory:
    """Main memory, shared with the graphics processor."""

    sizes_mb: tuple[int, ...]
    """Sizes that the board is sold with, MiB."""
    kind: str
    source: str
    bandwidth_gb_s: float | None = None
    """Peak of the memory bus, 1e9 bytes a second."""


@dataclass(frozen=True)
class Camera:
    """How a camera is read."""

    stack: Literal["libcamera", "v4l2"]
    """What its ribbon-cable camera needs; USB cameras are V4L2 everywhere."""
    tools: tuple[str, ...]
    """Commands that prove the stack is installed, any of them."""
    note: str
    source: str


@dataclass(frozen=True)
class System:
    """An operating system for the board, and what can be installed there."""

    name: str
    python: str
    """Version that it ships: "3.11"."""
    wheels: tuple[str, ...]
    """Packages of the runtime that publish a wheel for it."""
    note: str = ""


@dataclass(frozen=True)
class Threads:
    """How inference is spread over the cores."""

    why: str
    count: int | None = None
    """Recommended number; None for one on each core that the process may use."""

    def __post_init__(self) -> None:
        """Raise ValueError for a number of threads that cannot run."""
        _require(self.count is None or self.count > 0, "count", self.count, "a whole number from 1")


@dataclass(frozen=True)
class QuantizationChoice:
    """Which int8 the exporter makes."""

    scheme: Scheme
    why: str


@dataclass(frozen=True)
class FormatChoice:
    """Which file the exporter makes."""

    preferred: Literal["onnx", "tflite"]
    why: str


@dataclass(frozen=True)
class Profile:
    """A board."""

    schema: int
    name: str
    """What `--target` takes."""
    title: str
    architecture: Architecture
    isa: Isa
    threads: Threads
    quantization: QuantizationChoice
    format: FormatChoice
    systems: tuple[System, ...]
    systems_source: str
    aliases: tuple[str, ...] = ()
    """Other names that `--target` takes."""
    device_tree: tuple[str, ...] = ()
    """Beginnings of /proc/device-tree/model by which the board is recognized."""
    clusters: tuple[Cluster, ...] = ()
    memory: Memory | None = None
    camera: Camera | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for a version that this edgevit cannot read."""
        _require(
            self.schema == SCHEMA, "schema", self.schema, f"{SCHEMA}; upgrade edgevit, or write the profile for it"
        )

    @property
    def big_parts(self) -> frozenset[str]:
        """`Cluster.part` of the fast cores of a board that also has slow ones; empty where all cores are alike."""
        if not any(cluster.little for cluster in self.clusters):
            return frozenset()
        return frozenset(cluster.part for cluster in self.clusters if not cluster.little and cluster.part)


def _require(condition: bool, name: str, found: object, expected: str) -> None:
    if not condition:
        raise ValueError(f"{name} is {found!r}, expected {expected}")
