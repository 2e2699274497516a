"""TFLite export: what the file holds, how it answers beside PyTorch, and what it leaves behind when it fails."""

import dataclasses
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import pytest

pytest.importorskip("litert_torch", reason="needs the extra tflite-export")

from ai_edge_litert.interpreter import Interpreter

import edgevit
from edgevit.artifact.manifest import Precision
from edgevit.errors import GateError, OptionError, OutputError
from edgevit.export.pipeline import export
from edgevit.export.recipe import Recipe, default_output
from edgevit.export.result import ExportResult
from edgevit.export.tflite import stage as tflite_stage
from edgevit.export.tflite_graph.graph import opened, operators
from edgevit.runtime.backends.tflite_operators import read_needs
from edgevit.runtime.selftest import check_selftest

RANDOM = Recipe("efficientvit_b0", weights="random", num_classes=4, imgsz=64, format="tflite")
BUNDLED = Recipe("efficientvit_b0", format="tflite", precision="int8")
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
BIRDS = ("hen", "cock", "chick", "egg")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEVIT_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    """A float file with random weights and labels of its own."""
    folder = tmp_path_factory.mktemp("float")
    (folder / "names.txt").write_text("\n".join(BIRDS))
    return export(dataclasses.replace(RANDOM, labels=folder / "names.txt"), folder / "m.tflite")


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """A smooth picture of the input's size, so that no scaling comes between."""
    random = np.random.default_rng(3).integers(0, 256, (7, 7, 3), np.uint8)
    return cv2.resize(random, (224, 224), interpolation=cv2.INTER_CUBIC)


def test_float_file_takes_channels_last_and_agrees_with_pytorch(exported: ExportResult) -> None:
    given = exported.manifest.input
    assert (given.dtype, given.layout, given.shape) == ("float32", "NHWC", (1, 3, 64, 64))
    assert [parity.step for parity in exported.manifest.parity] == ["folding", "least divisor", "conversion"]
    assert exported.manifest.parity[-1].max_abs < 1e-4
    assert "litert-torch" in exported.manifest.tools
    interpreter = Interpreter(str(exported.path))
    (source,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (source["name"], source["shape"].tolist()) == ("image", [1, 64, 64, 3])
    assert (answer["name"], answer["shape"].tolist()) == ("logits", [1, 4])
    assert read_needs(exported.path).fault is None


def test_labels_and_document_travel_in_the_file(exported: ExportResult) -> None:
    with zipfile.ZipFile(exported.path) as appended:
        assert appended.read("labels.txt").decode().split() == list(BIRDS)
        (flat,) = (name for name in appended.namelist() if name != "labels.txt")
        assert json.loads(appended.read(flat))["imgsz"] == "[64, 64]"
    with edgevit.load(exported.path) as classifier:
        assert classifier.names == BIRDS
    check_selftest(exported.path)


def test_half_file_is_half_the_size(tmp_path: Path) -> None:
    report = export(dataclasses.replace(RANDOM, precision="fp16"), tmp_path / "m.tflite")
    assert report.size_mb < 0.6 * report.float_size_mb


def test_dynamic_file_is_refused_to_the_old_runtime_and_accounts_for_its_int8(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    report = export(dataclasses.replace(RANDOM, precision="dynamic"), tmp_path / "m.tflite", page=page)
    assert report.size_mb < 0.35 * report.float_size_mb
    assert "dynamic" in str(read_needs(tmp_path / "m.tflite").fault)
    quantization = report.manifest.quantization
    assert quantization is not None
    assert quantization.calibration is None
    assert quantization.int8_mac_share > 0.9
    assert "none: activations are rounded image by image" in page.read_text()
    facts = json.loads(page.with_suffix(".json").read_text())
    assert {layer["operator"] for layer in facts["layers"] if not layer["int8"]} == {"BATCH_MATMUL"}
    assert all(layer["sqnr_db"] > 0 and layer["sensitivity_db"] is None for layer in facts["layers"])


def test_report_page_names_each_layer(tmp_path: Path) -> None:
    export(RANDOM, tmp_path / "m.tflite", page=tmp_path / "page.html")
    facts = json.loads((tmp_path / "page.json").read_text())
    names = [layer["name"] for layer in facts["layers"]]
    assert names[0] == "backbone.input_stem.op_list.0.conv"
    assert names[-1] == "logits"
    assert {layer["reason"] for layer in facts["layers"]} == {"fp32 was asked for"}
    assert facts["score"]["logit_sqnr_db"] is None


def test_tanh_form_of_gelu_is_checked_and_noted(tmp_path: Path) -> None:
    recipe = Recipe("sbcformer_xs", weights="random", num_classes=4, imgsz=64, format="tflite", gelu="tanh")
    manifest = export(recipe, tmp_path / "m.tflite").manifest
    assert [parity.step for parity in manifest.parity] == [
        "folding",
        "upsampling without bias",
        "scaled queries",
        "conversion",
        "tanh GELU",
    ]
    assert 1e-7 < manifest.parity[-1].max_abs < 0.05
    assert any("--gelu tanh" in note for note in manifest.notes)
    assert read_needs(tmp_path / "m.tflite").fault is None, "the runtime that this form is for can run it"
    tree = opened((tmp_path / "m.tflite").read_bytes())
    forms = [item.builtinOptions.approximate for name, item in operators(tree) if name == "GELU"]
    assert len(forms) == 36
    assert all(forms)


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    return export(BUNDLED, tmp_path_factory.mktemp("int8") / "m.tflite")


def test_int8_file_keeps_the_answers_and_says_what_is_float(quantized: ExportResult) -> None:
    parity, quantization = quantized.manifest.parity[-1], quantized.manifest.quantization
    assert parity.top1_agreement > 0.95
    assert quantization is not None
    assert quantization.int8_mac_share > 0.95
    assert all("core" in name or name == "logits" for name in quantization.float_layers)
    assert quantization.calibration is not None
    assert (quantization.calibration.source, quantization.calibration.method) == ("bundled", "minmax")
    assert quantized.size_mb < 0.33 * quantized.float_size_mb
    assert quantized.latencies_ms is not None
    assert read_needs(quantized.path).fault is None


def test_frigate_folder_answers_with_probabilities_as_frigate_reads_them(
    tmp_path: Path, picture: np.ndarray, quantized: ExportResult
) -> None:
    export(dataclasses.replace(BUNDLED, io="uint8", layout="frigate"), tmp_path / "birds")
    assert (tmp_path / "birds" / "labelmap.txt").read_text().splitlines()[:2] == ["0 airplane", "1 automobile"]
    interpreter = Interpreter(str(tmp_path / "birds" / "model.tflite"))
    interpreter.allocate_tensors()
    (source,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert answer["quantization"] == (1 / 256, 0)
    interpreter.set_tensor(source["index"], picture[None])
    interpreter.invoke()
    levels = interpreter.get_tensor(answer["index"])[0]
    shares = levels / levels.sum(axis=0)
    with edgevit.load(quantized.path) as plain, edgevit.load(tmp_path / "birds" / "model.tflite") as frigate:
        np.testing.assert_allclose(shares, plain(picture).probs, atol=0.04)
        np.testing.assert_allclose(shares, frigate(picture).probs, atol=0.01)
        assert frigate.manifest is not None
        assert "normalization on many pixels" in [parity.step for parity in frigate.manifest.parity]
    check_selftest(tmp_path / "birds" / "model.tflite")


def test_failed_export_leaves_the_older_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise GateError("made to fail")

    (tmp_path / "m.tflite").write_bytes(b"older")
    monkeypatch.setattr(tflite_stage, "convert", fail)
    with pytest.raises(GateError, match="made to fail"):
        export(RANDOM, tmp_path / "m.tflite")
    assert [path.name for path in tmp_path.iterdir()] == ["m.tflite"], "nothing half-written stays behind"
    assert (tmp_path / "m.tflite").read_bytes() == b"older"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"io": "int8"}, "io='int8' needs an int8 model; give int8= too"),
        ({"format": "onnx", "precision": "dynamic"}, "precision='dynamic' is for TFLite; give format='tflite' too"),
        ({"format": "onnx", "io": "uint8"}, "io='uint8' is for TFLite"),
        ({"format": "onnx", "layout": "frigate"}, "layout='frigate' is for TFLite"),
        ({"format": "onnx", "gelu": "tanh"}, "gelu='tanh' is for TFLite"),
        ({"simplify": False}, "simplify=False is for ONNX"),
        ({"precision": "int8", "scheme": "U8S8"}, "TFLite's int8 is S8S8"),
        ({"layout": "frigate"}, "takes one uint8 picture at a time"),
        ({"layout": "frigate", "precision": "int8", "io": "uint8"}, "Frigate gives pictures of 224 pixels"),
    ],
)
def test_options_that_contradict_each_other_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        dataclasses.replace(RANDOM, **changes)


def test_other_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="does not end in .tflite"):
        export(RANDOM, tmp_path / "m.onnx")


def test_frigate_folder_in_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist; make it first"):
        export(dataclasses.replace(BUNDLED, io="uint8", layout="frigate"), tmp_path / "nowhere" / "birds")


@pytest.mark.parametrize("package", ["litert_torch", "ai_edge_quantizer", "ai_edge_litert"])
def test_missing_extra_names_the_pip_command(package: str, tmp_path: Path) -> None:
    arguments = [
        "export",
        "efficientvit_b0",
        "--weights",
        "random",
        "--format",
        "tflite",
        "-o",
        str(tmp_path / "m.tflite"),
    ]
    code = f"import sys; sys.modules[{package!r}] = None; from edgevit.cli import main; main({arguments!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        f"edgevit: {package} is not installed, and edgevit export needs it; run: pip install 'edgevit[tflite-export]'\n"
    )


def test_default_names_say_what_is_inside() -> None:
    names = {
        precision: str(default_output(dataclasses.replace(RANDOM, precision=precision))) for precision in PRECISIONS
    }
    assert names == {
        "fp32": "efficientvit_b0.tflite",
        "fp16": "efficientvit_b0-half.tflite",
        "int8": "efficientvit_b0-int8.tflite",
        "dynamic": "efficientvit_b0-dynamic.tflite",
    }
    assert str(default_output(dataclasses.replace(BUNDLED, io="uint8", layout="frigate"))) == "efficientvit_b0-frigate"
