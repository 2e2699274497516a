"""The document inside a file: what is written is read, and nothing damaged is believed."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgevit.artifact.manifest import SCHEMA, Manifest, Parity, Preprocess, mirrored_keys, read_manifest
from edgevit.artifact.onnx import read_metadata
from edgevit.artifact.seal import UNSEALED, seal
from edgevit.errors import ModelFileError

MakeModel = Callable[..., Path]


def _answer(read: Callable[[Any], Manifest | None], source: Any) -> Manifest | None:
    """Return what is read, None if it is refused as it should be: with a ModelFileError of one line."""
    try:
        return read(source)
    except ModelFileError as error:
        message = str(error)
    assert "\n" not in message
    return None


def test_document_survives_writing_and_reading(tiny_model: Path) -> None:
    manifest = read_manifest(tiny_model)
    assert manifest is not None
    assert manifest.labels == ("red", "green", "blue")
    assert manifest.selftest is not None
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_metadata_equals_what_onnx_reads(tiny_model: Path) -> None:
    expected = {entry.key: entry.value for entry in onnx.load(tiny_model).metadata_props}
    assert read_metadata(tiny_model) == expected


def test_flat_keys_stand_beside_the_document(tiny_model: Path) -> None:
    manifest = read_manifest(tiny_model)
    assert manifest is not None
    keys = mirrored_keys(manifest)
    assert json.loads(keys["names"]) == {"0": "red", "1": "green", "2": "blue"}
    assert (keys["imgsz"], keys["batch"], keys["task"]) == ("[24, 32]", "1", "classify")
    assert keys.items() <= read_metadata(tiny_model).items()


def test_seal_is_the_sha256_of_the_file_with_a_blank_digest(tiny_model: Path) -> None:
    manifest = read_manifest(tiny_model)
    assert manifest is not None
    blank = tiny_model.read_bytes().replace(manifest.sha256.encode(), UNSEALED.encode())
    assert hashlib.sha256(blank).hexdigest() == manifest.sha256


def test_seal_is_checked_where_it_lies_across_two_pieces(
    make_model: MakeModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_model()
    for piece in range(90, 190, 7):
        monkeypatch.setattr("edgevit.artifact.seal._PIECE", piece)
        assert read_manifest(path) is not None


def test_unsealed_document_is_not_believed(tiny_model: Path) -> None:
    manifest = read_manifest(tiny_model)
    assert manifest is not None
    tiny_model.write_bytes(tiny_model.read_bytes().replace(manifest.sha256.encode(), UNSEALED.encode()))
    with pytest.raises(ModelFileError, match="is damaged"):
        read_manifest(tiny_model)


def test_unsealed_document_is_required_for_sealing() -> None:
    with pytest.raises(ValueError, match="found it 0 times"):
        seal(b"no document here")


def test_foreign_model_has_no_document(make_foreign: MakeModel) -> None:
    assert read_manifest(make_foreign()) is None


def test_every_damaged_byte_is_noticed(tiny_model: Path, tmp_path: Path) -> None:
    """A file is refused, or (where the key itself is hit) taken for a foreign one; it never passes as sound."""
    sound = tiny_model.read_bytes()
    path = tmp_path / "damaged.onnx"
    for place in range(0, len(sound), 13):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 0x40]) + sound[place + 1 :])
        assert _answer(read_manifest, path) is None


def test_damage_in_the_weights_is_named(tiny_model: Path) -> None:
    data = tiny_model.read_bytes()
    place = data.index(np.float32(4.0).tobytes())
    tiny_model.write_bytes(data[:place] + b"\x01" + data[place + 1 :])
    with pytest.raises(ModelFileError, match=r"is damaged: its checksum is not the one .*; copy or export it again"):
        read_manifest(tiny_model)


def test_truncated_file_is_refused_at_any_length(tiny_model: Path, tmp_path: Path) -> None:
    sound = tiny_model.read_bytes()
    path = tmp_path / "short.onnx"
    for length in range(0, len(sound), 11):
        path.write_bytes(sound[:length])
        assert _answer(read_manifest, path) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "has no graph"),
        (b"<!DOCTYPE html><html>not found</html>", "is not an ONNX model"),
        (b"PK\x03\x04" + bytes(100), "is not an ONNX model"),
        (bytes(1000), "is not an ONNX model"),
    ],
)
def test_other_file_is_not_a_model(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=reason):
        read_manifest(path)


def test_missing_file_and_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"none\.onnx does not exist"):
        read_manifest(tmp_path / "none.onnx")
    with pytest.raises(ModelFileError, match="cannot be read: Is a directory"):
        read_manifest(tmp_path)


def test_random_bytes_raise_nothing_else(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    path = tmp_path / "random.onnx"
    for _ in range(2000):
        # tags of ModelProto's fields in front, so that the walk goes deeper than its first byte
        start = bytes(random.choice([0x08, 0x3A, 0x72, 0x0A, 0x12], size=1))
        path.write_bytes(start + random.bytes(int(random.integers(0, 60))))
        assert _answer(read_manifest, path) is None


def test_mutated_documents_raise_nothing_else(tiny_model: Path) -> None:
    manifest = read_manifest(tiny_model)
    assert manifest is not None
    text = dataclasses.replace(manifest, selftest=None).to_json()
    random = np.random.default_rng(2)
    pieces = ['"', "{", "}", "[", "]", ",", ":", "null", "true", "-1", "1e999", "9" * 400, "NaN", "\\ud800", "x", ""]
    for _ in range(4000):
        start, stop = sorted(random.integers(0, len(text), 2))
        stop = min(stop, start + int(random.integers(0, 12)))
        mutated = text[:start] + str(random.choice(pieces)) + text[stop:]
        _answer(Manifest.from_json, mutated)


@pytest.mark.parametrize("text", ["[" * 100_000, "{" * 100_000, '{"schema":' + "[" * 100_000])
def test_deeply_nested_document_is_refused(text: str) -> None:
    with pytest.raises(ModelFileError, match="is not JSON"):
        Manifest.from_json(text)


def _changed(tiny_model: Path, **changes: Any) -> str:
    manifest = read_manifest(tiny_model)
    assert manifest is not None
    return json.dumps(json.loads(manifest.to_json()) | changes)


def test_newer_schema_asks_for_an_upgrade(tiny_model: Path) -> None:
    with pytest.raises(ModelFileError, match=rf"newer edgevit \(schema {SCHEMA + 1}.*git pull.*make board-wheel"):
        Manifest.from_json(_changed(tiny_model, schema=SCHEMA + 1))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schema": True}, "has no schema version"),
        ({"schema": 0}, "has no schema version"),
        ({"labels": "red"}, r"edgevit.labels is 'red', expected a list"),
        ({"labels": ["red", 2]}, r"edgevit.labels\[1\] is 2, expected text"),
        ({"labels": ["\ud800"]}, r"edgevit.labels\[0\]"),
        ({"precision": "int4"}, r"edgevit.precision is 'int4', expected one of fp32, fp16, int8"),
        ({"weights": None}, r"edgevit.weights is None, expected an object"),
        ({"weights": {"source": "x"}}, r"edgevit.weights.sha256 is 'nothing', expected a value"),
        ({"input": {"name": "x", "shape": [1, 3, 24]}}, r"edgevit.input.shape is \[1, 3, 24\], expected 4 values"),
        ({"preprocess": {"size": [24, 32], "crop_pct": 0}}, r"edgevit.preprocess.crop_pct is 0"),
        ({"preprocess": {"size": [24, 32], "interpolation": "lanczos"}}, r"is 'lanczos', expected bicubic or bilinear"),
        ({"preprocess": {"size": [24, 32], "std": [1, 0, 1]}}, r"std is \(1.0, 0.0, 1.0\)"),
        ({"tools": {"torch": 2}}, r"edgevit.tools.torch is 2, expected text"),
    ],
)
def test_wrong_field_is_named(tiny_model: Path, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelFileError, match=reason):
        Manifest.from_json(_changed(tiny_model, **changes))


def test_later_edgevit_may_add_fields(tiny_model: Path) -> None:
    assert Manifest.from_json(_changed(tiny_model, colour_of_the_box="green")) == read_manifest(tiny_model)


def test_document_with_a_figure_that_is_no_number_is_not_written(tiny_model: Path) -> None:
    manifest = read_manifest(tiny_model)
    assert manifest is not None
    spoilt = dataclasses.replace(manifest, parity=(Parity("folding", np.nan, 1.0, 1.0, 8),))
    with pytest.raises(ValueError, match="Out of range"):
        spoilt.to_json()


def test_graph_that_normalizes_is_given_plain_rgb(tiny_model: Path) -> None:
    manifest = read_manifest(tiny_model)
    assert manifest is not None
    inside = dataclasses.replace(manifest, input=dataclasses.replace(manifest.input, normalized_in_graph=True))
    assert inside.host_preprocess == Preprocess(size=(24, 32), mean=(0, 0, 0), std=(1, 1, 1))
    assert manifest.host_preprocess == manifest.preprocess
