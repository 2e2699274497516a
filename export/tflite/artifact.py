"""TFLite model and manifest to one sealed file, with the metadata that other tools read beside the document."""

import io
import json
import zipfile
from collections.abc import Mapping

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgevit.artifact.flatbuffer import read_root
from edgevit.artifact.manifest import KEY, Manifest, mirrored_keys
from edgevit.artifact.seal import UNSEALED, seal
from edgevit.artifact.tflite import FLAT, IDENTIFIER, STANDARD
from edgevit.export.tflite.metadata import LABELS, standard_metadata
from edgevit.export.tflite_graph.graph import opened, packed


def artifact_bytes(model: bytes, manifest: Manifest) -> bytes:
    """Return the file's content: the model with the manifest, the standard metadata, the labels and the seal.

    Raises:
        ValueError: `model` is not a TFLite model, or already has files appended.
    """
    assert manifest.sha256 == UNSEALED
    if zipfile.is_zipfile(io.BytesIO(model)):
        raise ValueError("the TFLite model has files appended already, expected none")
    named = {KEY: manifest.to_json().encode(), STANDARD: standard_metadata(manifest)}
    appended = {FLAT: json.dumps(mirrored_keys(manifest)), LABELS: "".join(f"{label}\n" for label in manifest.labels)}
    return seal(append_files(with_metadata(model, named), appended))


def with_metadata(model: bytes, named: Mapping[str, bytes]) -> bytes:
    """Return the model with these metadata buffers, in place of older ones of the same names.

    Raises:
        ValueError: `model` is not a TFLite model.
    """
    read_root(model, IDENTIFIER)
    tree = opened(model)
    tree.metadata = [entry for entry in tree.metadata or () if entry.name.decode() not in named]
    for name, content in named.items():
        buffer, entry = schema.BufferT(), schema.MetadataT()
        buffer.data = np.frombuffer(content, np.uint8)
        tree.buffers.append(buffer)
        entry.name, entry.buffer = name.encode(), len(tree.buffers) - 1
        tree.metadata.append(entry)
    return packed(tree)


def append_files(model: bytes, files: Mapping[str, str]) -> bytes:
    """Return the model with a zip archive of text files behind it, uncompressed as TFLite's readers ask."""
    content = io.BytesIO(model)
    with zipfile.ZipFile(content, "a", zipfile.ZIP_STORED) as archive:
        for name, text in files.items():
            # a ZipInfo of its own date, so that the same export gives the same bytes
            archive.writestr(zipfile.ZipInfo(name), text)
    return content.getvalue()
