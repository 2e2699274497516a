"""The picture of the package, so that a first run has something to see: `edgevit run MODEL sample`."""

from pathlib import Path

from edgevit.runtime.sources.grammar import Source

PICTURE = Path(__file__).with_name("sample.jpg")
"""A ship at sea, drawn by tools/draw_sample.py."""


def is_sample(source: Source) -> bool:
    """Tell whether a source is the package's own picture; a file or folder named "sample" comes first."""
    return source.kind == "path" and source.address == "sample" and not Path(source.address).exists()
