"""What knows the outputs of a detection model that edgevit exported, by what its document says of them."""

from collections.abc import Callable

from edgevit.artifact.manifest import BoxOutput, Manifest
from edgevit.runtime.detection.decode import BoxDecoder, RawBoxes
from edgevit.runtime.detection.joined import JoinedBoxes

DECODERS: dict[str, Callable[[BoxOutput, tuple[int, int]], BoxDecoder]] = {"joined": JoinedBoxes}
"""Decoding, as a BoxOutput names it, to what reads such outputs; RawBoxes reads the others."""


def own_decoder(manifest: Manifest) -> BoxDecoder | None:
    """Return what knows the outputs of a model; None for one that is no detector."""
    meaning = manifest.boxes
    return None if meaning is None else DECODERS.get(meaning.decode, RawBoxes)(meaning, manifest.preprocess.size)
