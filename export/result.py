"""What a file format's stage makes, and what a whole export returns."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edgevit.artifact.manifest import Input, Manifest, Quantization
from edgevit.export.quantization.search import Outcome
from edgevit.export.report.comparison import Comparison


@dataclass(frozen=True)
class ConvertedModel:
    """A model in its file format, verified, but still without its document."""

    content: bytes
    seal: Callable[[bytes, Manifest], bytes]
    """From the content and its document to the finished file."""
    input: Input
    packages: tuple[str, ...]
    """Names of the packages that made it."""
    comparison: Comparison
    quantization: Quantization | None = None
    outcome: Outcome | None = None
    notes: tuple[str, ...] = ()
    """What a user should know."""


@dataclass(frozen=True)
class ExportResult:
    """A finished export."""

    path: Path
    """The file that was written."""
    manifest: Manifest = field(repr=False)
    """The document inside the file."""
    size_mb: float
    """The file's size in megabytes."""
    float_size_mb: float
    """The size of the same model in plain float32."""
    latencies_ms: tuple[float, float] | None = None
    """Medians of float32 and of this file on this machine, one thread; None where nothing is int8."""
    outcome: Outcome | None = field(default=None, repr=False)
    """What the search for max_drop= found; None without one."""

    @property
    def speedup(self) -> float | None:
        """The latency of float32 over this file's; None if they were not measured."""
        return None if self.latencies_ms is None else self.latencies_ms[0] / self.latencies_ms[1]
