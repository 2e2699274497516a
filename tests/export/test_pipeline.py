"""From a model's name to a file: what the file says, and what is left behind when something goes wrong."""

import dataclasses
import json
import shutil
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import edgevit
from edgevit.artifact.manifest import HeldOut, Preprocess, read_manifest
from edgevit.errors import DataError, EdgevitError, GateError, OptionError, OutputError
from edgevit.export import pipeline
from edgevit.export.data.choose import choose_images, folder_images, read_labelled
from edgevit.export.data.images import ExportImages, ImageSet
from edgevit.export.onnx import stage as onnx_stage
from edgevit.export.onnx.calibrate import minmax_ranges
from edgevit.export.onnx.simplify import simplify
from edgevit.export.onnx.trace import trace
from edgevit.export.pipeline import export
from edgevit.export.recipe import Recipe, default_output
from edgevit.models import create_model
from edgevit.models.efficientvit import LinearAttention
from edgevit.models.weights.resolve import resolve_weights
from edgevit.models.weights.trained import TrainingFacts
from edgevit.models.zoo.registry import get_spec
from edgevit.runtime.datasets.folder import read_folder
from edgevit.runtime.datasets.split import split_folder
from edgevit.training.result import write_weights

MODEL = "efficientvit_b0"
RANDOM = Recipe(MODEL, weights="random", num_classes=4, imgsz=64)
RANDOM_PREPROCESS = Preprocess(size=(64, 64))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEVIT_HOME", str(tmp_path / "cache"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of 20 different pictures, one of them deeper, and a file that only looks like one."""
    folder = tmp_path / "photos"
    (folder / "deeper").mkdir(parents=True)
    for i in range(20):
        pixels = np.random.default_rng(i).integers(0, 256, (6, 8, 3), np.uint8)
        path = folder / ("deeper" if i == 0 else ".") / f"{i}.png"
        cv2.imwrite(str(path), cv2.resize(pixels, (120, 90), interpolation=cv2.INTER_CUBIC))
    (folder / "broken.jpg").write_bytes(b"not a picture")
    return folder


def test_weights_of_a_thousand_unnamed_classes_get_imagenets_names_and_a_note(tmp_path: Path) -> None:
    torch.save(create_model(MODEL).state_dict(), tmp_path / "own.pth")
    manifest = export(Recipe(MODEL, weights=str(tmp_path / "own.pth"), imgsz=64), tmp_path / "m.onnx").manifest
    assert (manifest.labels[0], manifest.labels[281], manifest.labels[999]) == ("tench", "tabby", "toilet tissue")
    assert any("--labels FILE gives others" in note for note in manifest.notes)


def test_float_export_says_what_it_is(tmp_path: Path) -> None:
    report = export(RANDOM, tmp_path / "m.onnx")
    manifest = read_manifest(tmp_path / "m.onnx")
    assert manifest == dataclasses.replace(report.manifest, sha256=manifest.sha256 if manifest else "")
    assert manifest is not None
    assert manifest.labels == ("class 0", "class 1", "class 2", "class 3")
    assert manifest.preprocess.size == (64, 64)
    assert not manifest.weights.trained
    assert [parity.step for parity in manifest.parity] == ["folding", "least divisor", "tracing", "simplification"]
    assert max(parity.max_abs for parity in manifest.parity) < 1e-4
    assert not [note for note in manifest.notes if "attention" in note]
    assert manifest.selftest is not None


@pytest.fixture
def cancelling(tmp_path: Path) -> Path:
    """Weights whose logits are small differences of sums near 11,520: float32 keeps about a thousandth of them.

    The features are a LayerNorm's plus 9, large enough for HardSwish to leave them alone, so that all 1,280 add up to
    11,520; that sum is added to each logit by the weights, and taken away by the bias.
    """
    torch.manual_seed(0)
    state = create_model(MODEL, 4, (64, 64)).state_dict()
    state["head.op_list.2.norm.bias"].fill_(9.0)
    state["head.op_list.3.linear.weight"].add_(1.0)
    state["head.op_list.3.linear.bias"].sub_(11520.0)
    torch.save(state, tmp_path / "cancelling.pt")
    return tmp_path / "cancelling.pt"


def test_what_float32_itself_rounds_is_no_reason_to_refuse(tmp_path: Path, photos: Path, cancelling: Path) -> None:
    recipe = dataclasses.replace(RANDOM, weights=cancelling, data=photos)
    parities = export(recipe, tmp_path / "m.onnx").manifest.parity
    # with logits below 3, a ten-thousandth of 1 + the largest would not have allowed it
    assert max(parity.max_abs for parity in parities) > 4e-4


def test_change_that_moves_the_answers_is_named_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(module: LinearAttention) -> None:
        module.eps, module.floored = 1e9, True

    monkeypatch.setattr(LinearAttention, "take_export_form", spoil)
    with pytest.raises(GateError, match="after least divisor .* of their range; .* report it"):
        export(RANDOM, tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_int8_export_is_int8_and_small_and_says_how_it_was_calibrated(tmp_path: Path, photos: Path) -> None:
    floats = export(RANDOM, tmp_path / "float.onnx")
    report = export(dataclasses.replace(RANDOM, precision="int8", data=photos), tmp_path / "int8.onnx")
    quantization = report.manifest.quantization
    assert quantization is not None
    assert quantization.scheme == "U8S8"
    assert quantization.int8_mac_share > 0.9
    assert quantization.calibration is not None
    assert (quantization.calibration.images, quantization.calibration.skipped) == (18, 1)
    assert report.size_mb < 0.35 * floats.size_mb
    assert report.latencies_ms is not None


def test_half_export_is_half_the_size(tmp_path: Path) -> None:
    report = export(dataclasses.replace(RANDOM, precision="fp16"), tmp_path / "half.onnx")
    assert report.size_mb < 0.55 * report.float_size_mb


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_batch_export_answers_as_single_images_do(tmp_path: Path, photos: Path, precision: str) -> None:
    recipe = dataclasses.replace(RANDOM, precision=precision, data=photos)  # type: ignore[arg-type]
    files = sorted(photos.glob("*.png"))[:5]
    answers = []
    for batch in (1, 2):
        path = tmp_path / f"{batch}.onnx"
        export(dataclasses.replace(recipe, batch=batch), path)
        with edgevit.load(path) as classifier:
            answers.append(np.stack([result.probs for result in classifier(list(files))]))
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-5 if precision == "fp32" else 0.02)


def test_labels_travel_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("hen\ncock\nchick\negg\n")
    export(dataclasses.replace(RANDOM, labels=tmp_path / "names.txt"), tmp_path / "m.onnx")
    with edgevit.load(tmp_path / "m.onnx") as classifier:
        assert classifier.names == ("hen", "cock", "chick", "egg")


def test_size_is_noted_beside_the_one_that_the_weights_were_trained_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(pipeline, "size_note", lambda spec, *sizes: asked.append(sizes))
    facts = TrainingFacts(("a", "b", "c", "d"), Preprocess(size=(32, 32)), {})
    write_weights(tmp_path / "own.safetensors", create_model(MODEL, 4).state_dict(), facts, MODEL)
    export(Recipe(MODEL, weights=tmp_path / "own.safetensors", imgsz=64), tmp_path / "m.onnx")
    assert asked == [((64, 64), (32, 32))]


def test_frigates_size_goes_before_that_of_a_classifiers_weights() -> None:
    layout: dict[str, Any] = {"layout": "frigate", "format": "tflite", "precision": "int8", "io": "uint8"}
    assert Recipe(MODEL, weights="trained_at_160.safetensors", **layout).input_size == (224, 224)
    assert Recipe(f"{MODEL}_det", layout="frigate").input_size is None
    with pytest.raises(OptionError, match="Frigate gives pictures of 224 pixels"):
        Recipe(MODEL, imgsz=(224, 160), **layout)


def test_wrong_number_of_labels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("hen\ncock\n")
    with pytest.raises(OptionError, match="has 2 names, but the model has 4 classes"):
        export(dataclasses.replace(RANDOM, labels=tmp_path / "names.txt"), tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("module", "where"), [(pipeline, "check_selftest"), (onnx_stage, "artifact_bytes"), (onnx_stage, "trace")]
)
def test_failed_export_leaves_the_older_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType, where: str
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise GateError("made to fail")

    (tmp_path / "m.onnx").write_bytes(b"older")
    monkeypatch.setattr(module, where, fail)
    with pytest.raises(GateError, match="made to fail"):
        export(RANDOM, tmp_path / "m.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"], "nothing half-written stays behind"
    assert (tmp_path / "m.onnx").read_bytes() == b"older"


def test_int8_without_images_is_refused_with_the_choices(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="data=FOLDER .* or `--calibration synthesized`"):
        export(dataclasses.replace(RANDOM, precision="int8"), tmp_path / "m.onnx")


def test_bundled_images_calibrate_no_more_than_were_asked_for() -> None:
    recipe = Recipe(MODEL, precision="int8", calibration_images=16)
    weights = resolve_weights(get_spec(MODEL), None)
    chosen = choose_images(recipe, weights, torch.nn.Identity(), RANDOM_PREPROCESS)
    assert chosen.calibration is not None
    assert (len(chosen.calibration.images), len(chosen.evaluation.images)) == (16, 64)


def test_too_few_images_are_refused(tmp_path: Path, photos: Path) -> None:
    for path in list(photos.glob("1*.png")):
        path.unlink()
    with pytest.raises(DataError, match=r"holds \d readable images to calibrate with \(1 unreadable, \d held out\)"):
        export(dataclasses.replace(RANDOM, precision="int8", data=photos), tmp_path / "m.onnx")


def test_missing_folder_for_the_output_is_told_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist; make it first"):
        export(RANDOM, tmp_path / "nowhere" / "m.onnx")


def draw(photos: Path, record: HeldOut | None = None, **changes: object) -> ExportImages:
    recipe = dataclasses.replace(RANDOM, precision="int8", calibration_images=16, **changes)  # type: ignore[arg-type]
    return folder_images(read_labelled(photos, "classes", (), False), record, (), recipe, judging=True)


def test_calibration_images_are_drawn_by_the_seed_and_kept_from_judging(photos: Path) -> None:
    drawn = draw(photos, evaluation_images=3)
    assert drawn == draw(photos, evaluation_images=3)
    assert drawn != draw(photos, evaluation_images=3, seed=1)
    assert drawn.calibration is not None
    assert [len(part.images) for part in (drawn.calibration, drawn.verification, drawn.evaluation)] == [16, 4, 3]
    assert not set(map(str, drawn.calibration.images)) & set(map(str, drawn.verification.images))
    assert drawn.evaluation.origin.endswith("not calibrated with; whether they were trained on is not known")


def test_pictures_that_were_trained_on_are_never_called_anything_else(photos: Path) -> None:
    record = split_folder(read_folder(photos, "plain"), 0.1).record
    drawn = draw(photos, record)
    assert len(drawn.evaluation.images) == record.images
    assert drawn.evaluation.origin.endswith(", not trained on")
    drawn = draw(photos, dataclasses.replace(record, split="folder"))
    assert drawn.evaluation.origin.endswith(", which were trained on")


def test_a_part_val_judges_and_train_calibrates(tmp_path: Path, photos: Path) -> None:
    (tmp_path / "data").mkdir()
    photos.rename(tmp_path / "data" / "train")
    shutil.copytree(tmp_path / "data" / "train", tmp_path / "data" / "val")
    drawn = draw(tmp_path / "data")
    assert drawn.calibration is not None
    for images, part in ((drawn.calibration, "train"), (drawn.evaluation, "val")):
        assert {str(path).removeprefix(f"{tmp_path}/data/").partition("/")[0] for path in images.images} == {part}


def test_a_folder_that_is_no_class_is_told_and_never_turns_accuracy_into_agreement(
    photos: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, picture in (("hen", "1.png"), ("cock", "2.png")):
        (photos / name).mkdir()
        (photos / picture).rename(photos / name / picture)
    with pytest.raises(DataError, match=r"deeper \(1 of 3 folders\) is no class of the model.*unlabelled="):
        read_labelled(photos, "classes", ("hen", "cock"), False)
    assert read_labelled(photos, "classes", ("hen", "cock"), True).parts["all"].classes is None
    assert not caplog.messages
    assert read_labelled(photos, "classes", ("pig", "cow"), False).parts["all"].classes is None
    assert "no sub-folder is a class of the model" in caplog.text


def test_calibration_holds_one_batch_in_memory_whatever_the_number() -> None:
    graph = simplify(trace(create_model(MODEL, 4).eval(), (1, 3, 64, 64), 20))
    alive: list[weakref.ref[np.ndarray]] = []
    most = 0

    def batches() -> Iterator[np.ndarray]:
        nonlocal most
        for i in range(30):
            batch = np.full((1, 3, 64, 64), i / 30, np.float32)
            alive.append(weakref.ref(batch))
            most = max(most, sum(ref() is not None for ref in alive))
            yield batch

    minmax_ranges(graph, ["image"], batches())
    assert most <= 2


def test_last_batch_is_filled_up() -> None:
    pictures = tuple(np.full((8, 8, 3), i, np.uint8) for i in range(3))
    preprocessing = dataclasses.replace(RANDOM_PREPROCESS, size=(8, 8), crop_pct=1.0)
    batches = list(ImageSet("generated", pictures).inputs(preprocessing, batch=2))
    assert [batch.shape for batch in batches] == [(2, 3, 8, 8), (2, 3, 8, 8)]
    np.testing.assert_array_equal(batches[1][0], batches[1][1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"opset": 9}, "opset=9 is not supported; choose one of 17"),
        ({"batch": 0}, "batch= is 0, expected a whole number, 1 or more"),
        ({"num_classes": 1}, "num_classes= is 1, expected a whole number, 2 or more"),
        ({"calibration_images": 4}, "expected a whole number, 16 or more"),
        ({"synthesized": True, "data": Path()}, "give one of them"),
        ({"max_drop": 0.5}, "give both, or none"),
        ({"precision": "int8", "max_drop": -1.0}, "expected a number from 0 to 100"),
        ({"precision": "int8", "simplify": False}, "leave out simplify=False"),
        ({"method": "minmax"}, "`--calibration minmax` is about the calibration of int8=; give both, or none"),
        ({"method": "percentile", "precision": "fp16"}, "`--calibration percentile` is about the calibration of int8="),
        ({"synthesized": True}, "`--calibration synthesized` is about the calibration of int8="),
        ({"synthesized": True, "format": "tflite", "precision": "dynamic"}, "`--calibration synthesized` is about"),
        ({"calibration_images": 64}, "calibration_images=64 is about the calibration of int8="),
        ({"unlabelled": True}, "unlabelled= is about the sub-folders of data=; give both, or none"),
        ({"format": "tflite", "opset": 17}, "opset=17 is for ONNX; leave it out with format='tflite'"),
    ],
)
def test_recipe_refuses_values_that_cannot_work(change: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        dataclasses.replace(RANDOM, **change)  # type: ignore[arg-type]


def test_file_name_says_the_precision() -> None:
    names = [default_output(dataclasses.replace(RANDOM, precision=p)).name for p in ("fp32", "fp16", "int8")]
    assert names == [f"{MODEL}.onnx", f"{MODEL}-half.onnx", f"{MODEL}-int8.onnx"]


def test_timms_name_makes_a_file_of_the_models_name() -> None:
    recipe = Recipe("timm/efficientvit_b1.r288_in1k", precision="int8")
    assert default_output(recipe) == Path("efficientvit_b1-int8.onnx")


def test_report_page_and_its_figures_are_written(tmp_path: Path, photos: Path) -> None:
    page = tmp_path / "report.html"
    report = export(dataclasses.replace(RANDOM, precision="int8", data=photos), tmp_path / "m.onnx", page=page)
    assert "</html>" in page.read_text()
    figures = json.loads(page.with_suffix(".json").read_text())
    floats = {layer["name"] for layer in figures["layers"] if not layer["int8"]}
    assert report.manifest.quantization is not None
    assert len(floats) == len(report.manifest.quantization.float_layers)


def test_report_in_a_missing_folder_is_told_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        export(RANDOM, tmp_path / "m.onnx", page=tmp_path / "nowhere" / "report.html")
    assert not (tmp_path / "m.onnx").exists()


def test_report_that_would_replace_the_users_labels_is_told_before_any_work(tmp_path: Path) -> None:
    labels = tmp_path / "pens.json"
    labels.write_text('["a", "b", "c", "d"]')
    recipe = dataclasses.replace(RANDOM, labels=labels)
    with pytest.raises(OptionError, match="which no report wrote; give another name"):
        export(recipe, tmp_path / "m.onnx", page=tmp_path / "pens.html")
    assert [path.name for path in tmp_path.iterdir()] == ["pens.json"]
    assert labels.read_text() == '["a", "b", "c", "d"]'


FRIGATE = Recipe("efficientvit_b0_det", weights="nowhere.pt", layout="frigate")


@pytest.mark.parametrize("older", [False, True])
def test_layouts_folder_is_left_as_it_was_found_if_the_export_fails(tmp_path: Path, older: bool) -> None:
    folder = tmp_path / "birds"
    if older:
        folder.mkdir()
    with pytest.raises(EdgevitError, match="nowhere.pt does not exist"):
        export(FRIGATE, folder)
    assert folder.exists() is older


def test_layouts_folder_is_not_named_as_a_file(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="named as a file, and layout='frigate' writes a folder"):
        export(FRIGATE, tmp_path / "birds.onnx")
    assert not list(tmp_path.iterdir())
