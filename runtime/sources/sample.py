"""The pictures of the package, so that a first run has something to see: `edgevit run MODEL sample`."""

from pathlib import Path

from edgevit.runtime.sources.grammar import Source

PICTURE = Path(__file__).with_name("sample.jpg")
"""A ship at sea, drawn by tools/draw_sample.py."""
SCENE = Path(__file__).with_name("sample-scene.jpg")
"""Ellipses, rectangles and triangles to be counted, drawn by tools/draw_sample_scene.py."""


def is_sample(source: Source) -> bool:
    """Tell whether a source is the package's own picture; a file or folder named "sample" comes first."""
    return source.kind == "path" and source.address == "sample" and not Path(source.address).exists()


def sample_for(task: str, source: Source) -> Source:
    """Return the source, or in place of the package's own picture the scene if the task is to detect."""
    return Source("path", str(SCENE), source.name) if task == "detect" and is_sample(source) else source
