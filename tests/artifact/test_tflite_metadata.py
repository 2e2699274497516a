"""The document and the standard metadata inside a .tflite file: read as written, and nothing damaged is believed."""

import contextlib
import dataclasses
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgevit.artifact.manifest import KEY, Manifest, mirrored_keys, read_manifest, read_metadata
from edgevit.artifact.seal import UNSEALED
from edgevit.errors import ModelFileError
from edgevit.export.tflite.artifact import append_files, artifact_bytes, with_metadata
from edgevit.export.tflite.metadata import Fields, build
from edgevit.runtime.backends.tflite_operators import OLD, read_needs

MakeModel = Callable[..., Path]
Run = Callable[..., tuple[int, str, str]]


def _answer(path: Path) -> Manifest | None:
    """Return what is read, None if it is refused as it should be: with a ModelFileError of one line."""
    try:
        return read_manifest(path)
    except ModelFileError as error:
        message = str(error)
    assert "\n" not in message
    return None


def _place(path: Path, data: bytes) -> None:
    """Write a file anew: cutting an old one to nothing first has ext4 flush it, which takes longer than reading it."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def _schema() -> object:
    return pytest.importorskip("ai_edge_litert.schema_py_generated", reason="ai-edge-litert is not installed")


def test_document_survives_writing_and_reading(make_tflite: MakeModel) -> None:
    manifest = read_manifest(make_tflite())
    assert manifest is not None
    assert (manifest.labels, manifest.input.layout) == (("red", "green", "blue"), "NHWC")
    assert mirrored_keys(manifest).items() <= read_metadata(make_tflite()).items()


def test_other_readers_of_the_schema_see_the_same_model(make_tflite: MakeModel) -> None:
    """The package's generated code is the independent witness."""
    schema = _schema()
    data = make_tflite().read_bytes()
    model = schema.ModelT.InitFromPackedBuf(data, 0)  # type: ignore[attr-defined]
    named = {entry.name.decode(): bytes(model.buffers[entry.buffer].data) for entry in model.metadata}
    manifest = Manifest.from_json(named[KEY].decode())
    assert manifest.model == "tiny"
    assert named["TFLITE_METADATA"][4:8] == b"M001"
    (graph,) = model.subgraphs
    assert [list(graph.tensors[index].shape) for index in graph.inputs] == [[1, 24, 32, 3]]
    (weights,) = [tensor for tensor in graph.tensors if list(tensor.shape) == [3, 3]]
    values = np.frombuffer(bytes(model.buffers[weights.buffer].data), np.float32)
    np.testing.assert_array_equal(values.reshape(3, 3), 4 * np.eye(3))


def test_constants_keep_their_alignment(make_tflite: MakeModel) -> None:
    schema = _schema()
    data = make_tflite().read_bytes()
    model = schema.Model.GetRootAs(data, 0)  # type: ignore[attr-defined]
    for index in range(model.BuffersLength()):
        buffer = model.Buffers(index)
        offset = buffer._tab.Offset(4)
        assert not offset or buffer._tab.Vector(offset) % 16 == 0


def test_standard_metadata_is_for_levels_of_255(make_tflite: MakeModel) -> None:
    """Mean 0.5 and deviation 0.25 of RGB in 0..1 are 127.5 and 63.75 of levels."""
    data = make_tflite().read_bytes()
    assert np.array([127.5] * 3, "<f4").tobytes() in data
    assert np.array([63.75] * 3, "<f4").tobytes() in data
    pairs = read_metadata(make_tflite())
    assert json.loads(pairs["normalization_mean"]) == [0.5, 0.5, 0.5]
    assert json.loads(pairs["normalization_std"]) == [0.25, 0.25, 0.25]


def test_labels_are_a_file_that_unzip_sees(make_tflite: MakeModel) -> None:
    with zipfile.ZipFile(make_tflite()) as archive:
        assert archive.testzip() is None
        assert archive.read("labels.txt") == b"red\ngreen\nblue\n"
        assert json.loads(archive.read("metadata.json"))["names"] == '{"0": "red", "1": "green", "2": "blue"}'
        # TFLite's own readers take stored files only
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


def test_same_export_gives_the_same_bytes(make_tflite: MakeModel) -> None:
    assert make_tflite("a.tflite").read_bytes() == make_tflite("b.tflite").read_bytes()


def test_every_damaged_byte_is_noticed(make_tflite: MakeModel, tmp_path: Path) -> None:
    """A file is refused, or (where the key itself is hit) taken for a foreign one; it never passes as sound."""
    sound = make_tflite().read_bytes()
    path = tmp_path / "damaged.tflite"
    for place in range(0, len(sound), 3):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 0x40]) + sound[place + 1 :])
        assert _answer(path) is None


def test_damage_in_the_weights_is_named(make_tflite: MakeModel) -> None:
    path = make_tflite()
    data = path.read_bytes()
    place = data.index(np.float32(4.0).tobytes())
    path.write_bytes(data[:place] + b"\x01" + data[place + 1 :])
    with pytest.raises(ModelFileError, match=r"is damaged: its checksum is not the one .*; copy or export it again"):
        read_manifest(path)


def test_truncated_file_is_refused_at_any_length(make_tflite: MakeModel, tmp_path: Path) -> None:
    sound = make_tflite().read_bytes()
    path = tmp_path / "short.tflite"
    for length in range(len(sound)):
        _place(path, sound[:length])
        assert _answer(path) is None


def test_random_and_mutated_bytes_raise_nothing_else(make_tflite: MakeModel, tmp_path: Path) -> None:
    sound = make_tflite().read_bytes()
    random = np.random.default_rng(1)
    path = tmp_path / "random.tflite"
    for _ in range(5000):
        _place(path, random.bytes(4) + b"TFL3" + random.bytes(int(random.integers(0, 80))))
        assert _answer(path) is None
    for _ in range(5000):
        data = bytearray(sound)
        for place in random.integers(0, len(data), int(random.integers(1, 8))):
            data[place] = random.integers(0, 256)
        _place(path, bytes(data))
        _answer(path)
        with contextlib.suppress(ModelFileError):
            read_needs(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "cannot mmap an empty file"),
        (b"<!DOCTYPE html><html>not found</html>", "its first bytes are not those of TFL3"),
        (b"\x00" * 1000, "its first bytes are not those of TFL3"),
        (build({0: np.uint32(3)}, b"TFL3"), "it has no graph"),
    ],
)
def test_other_file_is_not_a_model(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=f"is not a TFLite model, or is damaged .*{reason}.*; export or copy it"):
        read_manifest(path)


def test_foreign_model_has_no_document(make_foreign_tflite: MakeModel) -> None:
    path = make_foreign_tflite()
    assert read_manifest(path) is None
    assert read_metadata(path) == {}


def _described(locale: str | None = None) -> dict[str, bytes]:
    """Return standard metadata with one mean and deviation for all channels, and labels in one or two languages."""
    normalization: Fields = {0: np.uint8(1), 1: {0: np.array([127.5], np.float32), 1: np.array([127.5], np.float32)}}
    files: list[Fields] = [{0: "etiketten.txt", 2: np.int8(2), 3: locale}, {0: "labels.txt", 2: np.int8(2)}]
    root: Fields = {0: "colours", 3: [{2: [{4: [normalization]}], 3: [{6: files}]}], 4: "somebody"}
    return {"TFLITE_METADATA": build(root, b"M001")}


def test_labels_and_normalization_of_others_are_read(make_foreign_tflite: MakeModel) -> None:
    files = {"etiketten.txt": "rot\ngrün\nblau", "labels.txt": "red\ngreen\nblue\n"}
    pairs = read_metadata(make_foreign_tflite(named=_described("de"), files=files))
    assert json.loads(pairs["names"]) == ["red", "green", "blue"]
    assert json.loads(pairs["normalization_mean"]) == [0.5, 0.5, 0.5]
    assert (pairs["name"], pairs["author"]) == ("colours", "somebody")


def test_huge_appended_file_is_not_read(make_foreign_tflite: MakeModel) -> None:
    path = make_foreign_tflite()
    content = io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(content, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", b" " * (64 << 20))
    path.write_bytes(content.getvalue())
    assert read_metadata(path) == {}


def test_damaged_appended_files_are_named(make_foreign_tflite: MakeModel) -> None:
    path = make_foreign_tflite(files={"metadata.json": '{"task":"classify"}'})
    path.write_bytes(path.read_bytes().replace(b"classify", b"segments"))
    with pytest.raises(ModelFileError, match="the files appended to it are unreadable: Bad CRC-32"):
        read_metadata(path)


def test_older_metadata_is_kept_and_ours_is_replaced(make_foreign_tflite: MakeModel) -> None:
    first = make_foreign_tflite(named={"min_runtime_version": b"1.14.0\0\0", KEY: b"old"})
    first.write_bytes(with_metadata(first.read_bytes(), {KEY: b"new"}))
    assert read_metadata(first) == {"min_runtime_version": "1.14.0", KEY: "new"}


def test_writing_needs_a_plain_model(make_tflite: MakeModel) -> None:
    sealed = make_tflite()
    manifest = read_manifest(sealed)
    assert manifest is not None
    unsealed = dataclasses.replace(manifest, sha256=UNSEALED)
    with pytest.raises(ValueError, match="first bytes are not those of TFL3"):
        artifact_bytes(b"onnx" * 10, unsealed)
    with pytest.raises(ValueError, match="has files appended already"):
        artifact_bytes(sealed.read_bytes(), unsealed)
    assert append_files(b"model", {"a": "b"}).startswith(b"model")


def test_needed_operators_are_told(make_foreign_tflite: MakeModel, run: Run) -> None:
    needs = read_needs(make_foreign_tflite(softmax=True))
    assert [str(operator) for operator in needs.operators] == ["FULLY_CONNECTED v1", "MEAN v1", "SOFTMAX v1"]
    assert needs.fault is None
    code, out, _ = run("info", make_foreign_tflite(softmax=True))
    assert code == 0
    assert "ai-edge-litert, tflite-runtime 2.14" in out
    assert "FULLY_CONNECTED v1, MEAN v1, SOFTMAX v1" in out


def test_newer_operators_are_told(make_foreign_tflite: MakeModel, run: Run) -> None:
    path = make_foreign_tflite(versions={"FULLY_CONNECTED": 12, "MEAN": 4})
    assert read_needs(path).fault == "it has no FULLY_CONNECTED v12, MEAN v4"
    assert "ai-edge-litert (not tflite-runtime 2.14: it has no FULLY_CONNECTED v12, MEAN v4)" in run("info", path)[1]


def test_dynamic_range_with_a_scale_for_each_channel_is_told(make_foreign_tflite: MakeModel) -> None:
    weights = np.eye(3, dtype=np.int8)
    assert read_needs(make_foreign_tflite(weights=weights, weight_scales=(4.0,))).fault is None
    fault = read_needs(make_foreign_tflite(weights=weights, weight_scales=(4.0, 4.0, 4.0))).fault
    assert fault == "it computes dynamic-range fully connected layers wrongly"


def test_operators_stand_at_their_codes() -> None:
    """Three that everybody knows, from the schema: ADD 0, SOFTMAX 25, GELU 150."""
    assert (OLD[0][0], OLD[25][0], OLD[150][0]) == ("ADD", "SOFTMAX", "GELU")
    schema = _schema()
    codes = schema.BuiltinOperator  # type: ignore[attr-defined]
    assert [getattr(codes, name) for name, _ in OLD] == list(range(len(OLD)))
