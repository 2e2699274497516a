"""A file cannot vouch for itself with tolerances of its own, refer beyond its seal, or take memory without measure."""

import dataclasses
import io
import json
import os
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgevit.artifact.manifest import KEY, Manifest, mirrored_keys, read_manifest
from edgevit.artifact.onnx import external_file
from edgevit.artifact.onnx import read_metadata as read_onnx_metadata
from edgevit.artifact.seal import seal
from edgevit.artifact.tflite import read_metadata as read_tflite_metadata
from edgevit.errors import ModelFileError
from edgevit.export.tflite.artifact import with_metadata
from edgevit.runtime.selftest import check_selftest
from tests.conftest import mean_color_graph, mean_color_tflite
from tests.places import SHARED

MODELS = SHARED / "cases" / "models"
MakeModel = Callable[..., Path]
Change = Callable[[dict[str, Any]], None]
CASE = {"png": "", "input_indices": [0], "input_values": [0.0], "logits": [0.0]}


def resealed(path: Path, change: Change) -> Path:
    """Write the model anew with another document, and seal it again, as anybody can."""
    manifest = read_manifest(path)
    assert manifest is not None
    document = json.loads(dataclasses.replace(manifest, sha256="0" * 64).to_json())
    change(document)
    model = onnx.load(path)
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    helper.set_model_props(model, {KEY: text, **mirrored_keys(manifest)})
    path.write_bytes(seal(model.SerializeToString()))
    return path


def in_case(**values: Any) -> Change:
    def change(document: dict[str, Any]) -> None:
        document["selftest"]["cases"][0].update(values)

    return change


def in_selftest(**values: Any) -> Change:
    def change(document: dict[str, Any]) -> None:
        document["selftest"].update(values)

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (in_case(input_indices=[], input_values=[]), r"cases\[0\].input_indices is '0 places', expected 1 to"),
        (
            in_case(input_indices=[1, 2], input_values=[0.5]),
            "input_values is '1 values', expected 2, as many",
        ),
        (in_case(input_indices=[-1], input_values=[0.5]), r"cases\[0\].input_indices is -1, expected 0 or more"),
        (in_case(logits=[]), r"cases\[0\].logits is '0 values'"),
        (in_case(logit_indices=[0, 1]), r"cases\[0\].logit_indices is '2 places', expected 3, as many as logits"),
        (in_selftest(input_tolerance=1e38), r"selftest.input_tolerance is 1e\+38, expected at most"),
        (in_selftest(logit_tolerance=1e38), r"selftest.logit_tolerance is 1e\+38, expected at most 0.25"),
        (in_selftest(logit_tolerance=-1.0), r"selftest.logit_tolerance is -1.0, expected"),
        (in_selftest(cases=[CASE] * 17), "selftest.cases is '17 pictures', expected at most 16"),
    ],
)
def test_self_test_that_nothing_could_fail_is_refused_when_it_is_read(
    tiny_model: Path, change: Change, reason: str
) -> None:
    with pytest.raises(ModelFileError, match=reason):
        read_manifest(resealed(tiny_model, change))


def test_huge_picture_of_a_self_test_is_not_decoded(tiny_model: Path) -> None:
    import base64
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1001, 1000, 8, 2, 0, 0, 0))
    png = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(3004 * 1000))) + chunk(b"IEND", b"")
    resealed(tiny_model, in_case(png=base64.b64encode(png).decode()))
    with pytest.raises(ModelFileError, match="picture 1 of the self-test cannot be read .*1001 x 1000 pixels"):
        check_selftest(tiny_model)


# weights outside the seal


def outside(name: str) -> onnx.TensorProto:
    tensor = numpy_helper.from_array(np.eye(3, dtype=np.float32), name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    return tensor


def with_external_initializer() -> onnx.ModelProto:
    model = mean_color_graph()
    model.graph.initializer.append(outside("more"))
    return model


def with_external_constant() -> onnx.ModelProto:
    model = mean_color_graph()
    model.graph.node.append(helper.make_node("Constant", [], ["more"], value=outside("more")))
    return model


def with_external_branch() -> onnx.ModelProto:
    branch = helper.make_graph([], "branch", [], [], [outside("more")])
    model = mean_color_graph()
    model.graph.node.append(helper.make_node("If", ["condition"], ["more"], then_branch=branch, else_branch=branch))
    return model


@pytest.mark.parametrize("make", [with_external_initializer, with_external_constant, with_external_branch])
def test_sealed_file_may_not_take_weights_from_another(
    make_model: MakeModel, make: Callable[[], onnx.ModelProto]
) -> None:
    path = make_model(graph=make())
    with pytest.raises(ModelFileError, match="takes weights from another file, 'weights.bin', which its checksum"):
        read_manifest(path)


def test_file_of_one_piece_names_no_other(tiny_model: Path) -> None:
    assert external_file(tiny_model) is None


def test_graphs_within_graphs_end(tmp_path: Path) -> None:
    inner = helper.make_graph([], "g", [], [])
    for _ in range(30):
        inner = helper.make_graph([helper.make_node("If", ["c"], ["y"], then_branch=inner)], "g", [], [])
    path = tmp_path / "deep.onnx"
    path.write_bytes(helper.make_model(inner).SerializeToString())
    with pytest.raises(ModelFileError, match="its graphs are nested too deeply"):
        external_file(path)


# metadata without measure


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


GRAPH = field(7, field(2, b"g"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (GRAPH + field(14, b"\x0a\x01k") * 10_001, "its metadata has more than 10000 entries"),
        (GRAPH + field(14, field(1, b"k") + field(2, bytes((16 << 20) + 1))), "a metadata entry has 16777"),
        (GRAPH + b"\x08\x01" * 2_000_001, "it has more than 2000000 fields"),
    ],
)
def test_onnx_metadata_without_measure_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=reason):
        read_onnx_metadata(path)


def test_metadata_that_says_to_have_gigabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    size = 3 << 30
    head = GRAPH + varint(14 << 3 | 2) + varint(size)
    path.write_bytes(head)
    os.truncate(path, len(head) + size)  # takes no room on the disk
    with pytest.raises(ModelFileError, match="a metadata entry has 3221225472 bytes, at most 16777216"):
        read_onnx_metadata(path)


def test_tflite_metadata_without_measure_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(with_metadata(mean_color_tflite(), {"edgevit": bytes((16 << 20) + 1)}))
    with pytest.raises(ModelFileError, match="a metadata entry has 16777217 bytes, at most 16777216"):
        read_tflite_metadata(path)
    path.write_bytes(with_metadata(mean_color_tflite(), {f"{number}": b"x" for number in range(10_001)}))
    with pytest.raises(ModelFileError, match="its metadata has 10001 entries, at most 10000"):
        read_tflite_metadata(path)


def test_list_of_appended_files_without_measure_is_refused(tmp_path: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        for number in range(400):
            zipped.writestr(f"{number}{'x' * 3000}", b"")
    path = tmp_path / "m.tflite"
    path.write_bytes(mean_color_tflite() + archive.getvalue())
    with pytest.raises(ModelFileError, match="the list of files appended to it is larger than 1048576 bytes"):
        read_tflite_metadata(path)


def test_labels_without_number_are_refused(make_model: MakeModel) -> None:
    path = make_model()
    resealed(path, lambda document: document.update(labels=["x"] * 100_001))
    with pytest.raises(ModelFileError, match="labels is '100001 names', expected at most 100000"):
        read_manifest(path)


def test_pipe_in_place_of_a_model_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(ModelFileError, match="it is a pipe or a device, not a file"):
        read_onnx_metadata(tmp_path / "pipe.onnx")


@pytest.mark.skipif(not MODELS.is_dir(), reason="the cases lie beside a checkout")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("st_empty", r"selftest.cases\[0\].input_indices is '0 places'"),
        ("st_loose", r"selftest.input_tolerance is 1e\+38"),
        ("ext_in", "takes weights from another file, 'w.bin'"),
    ],
)
def test_case_is_refused_when_it_is_read(tmp_path: Path, name: str, reason: str) -> None:
    shutil.copy(MODELS / "w.bin", tmp_path)
    path = Path(shutil.copy(MODELS / f"{name}.onnx", tmp_path))
    with pytest.raises(ModelFileError, match=reason):
        read_manifest(path)


def test_document_keeps_levels_and_channels(make_model: MakeModel) -> None:
    from edgevit.artifact.manifest import Preprocess

    preprocess = Preprocess((24, 32), channels="BGR", levels=(7000.0, 9000.0))
    manifest = read_manifest(make_model(preprocess=preprocess))
    assert isinstance(manifest, Manifest)
    assert manifest.preprocess == preprocess
