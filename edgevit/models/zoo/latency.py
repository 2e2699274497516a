"""How long each model takes on a PC, so that one is picked by time and accuracy: fewer operations are not less time.

The figures are in latency.json, which benchmarks/zoo.py measures and writes; those of a Raspberry Pi are in sizes.json.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("latency.json")


@dataclass(frozen=True)
class Latency:
    """One image through a model's ONNX file, in milliseconds, without decoding and scaling."""

    x86_fp32_ms: float
    """Measured on one thread."""
    x86_int8_ms: float


def find_latency(name: str) -> Latency | None:
    """Return a model's latencies at its own input size; None where they were not measured."""
    found = _document()["models"].get(name)
    return found and Latency(**found)


def describe_conditions() -> str:
    """Say in a few words what the figures for x86 were measured on, and when."""
    document = _document()
    return f"{document['processor']}, ONNX Runtime {document['onnxruntime']}, {document['date']}"


@cache
def _document() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return document
