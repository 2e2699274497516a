"""What knows the outputs of a detection model that edgevit exported, by what its document says of them."""

from edgevit.artifact.manifest import Manifest
from edgevit.runtime.detection.decode import BoxDecoder, RawBoxes
from edgevit.runtime.detection.tables import CentreTable


def own_decoder(manifest: Manifest) -> BoxDecoder | None:
    """Return what knows the outputs of a model; None for one that is no detector."""
    meaning, size = manifest.boxes, manifest.preprocess.size
    if meaning is None or meaning.decode != "joined":
        return None if meaning is None else RawBoxes(meaning, size)
    return CentreTable(size, len(manifest.labels), columns=True, threshold=meaning.threshold, overlap=meaning.overlap)
