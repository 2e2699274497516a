"""Export of segmentation models: each step agrees with PyTorch, and the file answers with masks."""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

import edgevit
from edgevit.artifact.manifest import read_manifest
from edgevit.errors import DataError, GateError, OptionError
from edgevit.export.data.images import ImageSet
from edgevit.export.data.synthesize import Synthesis, synthesize_images
from edgevit.export.onnx.graph import layers
from edgevit.export.onnx.quantize import PRESETS, preset_layers
from edgevit.export.pipeline import export
from edgevit.export.quantization.search import evaluator_of
from edgevit.export.recipe import Recipe
from edgevit.export.tasks.answers import PIXELS
from edgevit.export.tasks.ground_truth import Masks
from edgevit.export.verify import check, check_numbers
from edgevit.models import create_model
from edgevit.models.zoo.datasets import CITYSCAPES
from edgevit.models.zoo.registry import get_spec
from edgevit.runtime.images.mask_png import mask_png
from edgevit.runtime.images.palette import spread_palette
from edgevit.runtime.segmentation import Segmentation
from edgevit.runtime.selftest import check_selftest
from tests.places import SHARED

MODEL = "efficientvit_seg_b0_cityscapes"
PUBLISHED = SHARED / "data" / "efficientvit_seg_b0_cityscapes.pt"
RANDOM = Recipe(MODEL, weights="random", imgsz=(64, 96))
CALIBRATING = 17
"""Pictures left of 20 with masks: images/02.png, 10 and 18 have the hashes of their paths below a tenth."""


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder of 20 pictures of coloured noise."""
    folder, random = tmp_path / "photos", np.random.default_rng(0)
    folder.mkdir()
    for number in range(20):
        cells = random.integers(0, 256, (4, 6, 3)).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), cv2.resize(cells, (96, 64), interpolation=cv2.INTER_CUBIC))
    return folder


@pytest.fixture
def masked(photos: Path) -> Path:
    """Return a folder of 20 pictures and their masks: a quarter 0, half 1, the lower left quarter without a class."""
    folder, mask = photos.parent / "masked", np.zeros((64, 96), np.uint8)
    mask[:, 48:] = 1
    mask[32:, :48] = 255
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(20):
        picture = photos / f"{number}.png"
        (folder / "images" / f"{number:02d}.png").write_bytes(picture.read_bytes())
        (folder / "masks" / f"{number:02d}.png").write_bytes(mask_png(mask, spread_palette(3)))
    return folder


def answer(path: Path) -> Segmentation:
    with edgevit.load(path, threads=1) as segmenter:
        result = segmenter(np.random.default_rng(1).integers(0, 256, (50, 70, 3)).astype(np.uint8))
    assert isinstance(result, Segmentation)
    assert result.mask.shape == (50, 70)
    return result


def initializers(path: Path) -> list[str]:
    return [tensor.name for tensor in onnx.load(path).graph.initializer]


def test_float_export_is_a_checked_file_of_the_published_classes(tmp_path: Path) -> None:
    path = export(RANDOM, tmp_path / "seg.onnx").path
    manifest = read_manifest(path)
    assert manifest is not None
    assert (manifest.task, manifest.input.shape) == ("segment", (1, 3, 64, 96))
    assert manifest.labels == CITYSCAPES.labels
    assert manifest.pixels is not None
    assert manifest.pixels.palette == CITYSCAPES.palette
    assert all(parity.top1_agreement >= 0.999 for parity in manifest.parity)
    assert check_selftest(path).cases == 3
    graph = onnx.load(path)
    assert "Resize" not in {node.op_type for node in graph.graph.node}
    assert answer(path).logits is not None


@pytest.mark.slow
@pytest.mark.skipif(not PUBLISHED.is_file(), reason="the published weights are not beside this checkout")
@pytest.mark.parametrize("size", [(256, 512), (512, 512), (512, 1024)])
def test_published_weights_answer_alike_at_any_size(size: tuple[int, int], tmp_path: Path) -> None:
    """They have sums of attention near 1e-6, which random weights do not."""
    report = export(Recipe(MODEL, weights=str(PUBLISHED), imgsz=size), tmp_path / "seg.onnx")
    worst = max(parity.max_abs for parity in report.manifest.parity)
    assert worst < 0.001
    assert min(parity.top1_agreement for parity in report.manifest.parity) > 0.9999


def test_argmax_in_the_graph_gives_class_numbers(tmp_path: Path) -> None:
    path = export(dataclasses.replace(RANDOM, argmax=True), tmp_path / "numbers.onnx").path
    (output,) = onnx.load(path).graph.output
    assert output.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [axis.dim_value for axis in output.type.tensor_type.shape.dim] == [1, 1, 8, 12]
    check_selftest(path)
    assert answer(path).logits is None


def test_int8_export_is_finite_and_leaves_the_upsampling_float(tmp_path: Path, photos: Path) -> None:
    recipe = dataclasses.replace(RANDOM, precision="int8", data=photos, num_classes=3)
    manifest = export(recipe, tmp_path / "int8.onnx").manifest
    assert manifest.quantization is not None
    assert manifest.quantization.int8_mac_share > 0.7
    int8 = [name for name in initializers(tmp_path / "int8.onnx") if name.endswith("_quantized")]
    assert any(name.startswith("backbone.stages.1.op_list.1.main.depth_conv") for name in int8)
    assert not any(name.startswith("backbone.stages.1.op_list.0") for name in int8), "its channels differ too much"
    assert manifest.labels == ("class 0", "class 1", "class 2")
    assert manifest.pixels is not None
    assert manifest.pixels.palette == spread_palette(3)
    assert answer(tmp_path / "int8.onnx").areas


def test_calibration_images_can_be_made_from_the_weights() -> None:
    preprocessing = dataclasses.replace(get_spec(MODEL).preprocess, size=(32, 64))
    images = synthesize_images(create_model(MODEL, 3).eval(), 3, preprocessing, synthesis=Synthesis(steps=2))
    assert images.shape == (3, 32, 32, 3)


def test_half_export_agrees(tmp_path: Path) -> None:
    manifest = export(dataclasses.replace(RANDOM, precision="fp16"), tmp_path / "half.onnx").manifest
    assert manifest.parity[-1].top1_agreement >= 0.98


@pytest.mark.parametrize("opset", [17, 20])
def test_upsampling_products_are_told_from_convolutions(opset: int) -> None:
    from edgevit.export.onnx.simplify import simplify
    from edgevit.export.onnx.trace import trace
    from edgevit.models.layers import prepare_for_export

    model = create_model(MODEL, 3).eval()
    prepare_for_export(model)
    graph = simplify(trace(model, (1, 3, 64, 64), opset))
    kept = set(preset_layers(graph, PRESETS[get_spec(MODEL).family.name]))
    upsampling = [layer for layer in layers(graph) if "upsample" in str(layer.weight)]
    assert len(upsampling) == 4
    assert {layer.name for layer in upsampling} <= kept


def test_pixels_are_compared_one_by_one() -> None:
    reference = np.zeros((1, 2, 2, 2), np.float32)
    reference[:, 0] = 1
    logits = reference.copy()
    logits[0, :, 0, 0] = (0, 1)
    parity = PIXELS.compare("step", reference, logits)
    assert (parity.images, parity.top1_agreement, parity.cosine) == (1, 0.75, 0.75)
    with pytest.raises(
        GateError, match="75.0% of the pixels of 1 images keep their class, at least 90% is asked|cosine"
    ):
        check(PIXELS, parity, "int8", reference, trained=True)
    check_numbers(logits, logits.argmax(axis=1)[:, None].astype(np.float32))
    with pytest.raises(GateError, match=r"after argmax 75.0% of the pixels"):
        check_numbers(logits, np.zeros((1, 1, 2, 2), np.float32))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "efficientvit_b0", "argmax": True}, "argmax= is for segmentation models"),
        ({"imgsz": (64, 100)}, "each side must be a multiple of 32; try imgsz=96 or 128"),
    ],
)
def test_what_does_not_fit_the_task_is_refused(changes: dict[str, object], words: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=words):
        export(dataclasses.replace(RANDOM, **changes), tmp_path / "out.onnx")  # type: ignore[arg-type]


def test_masks_are_no_pictures_to_calibrate_with_but_decide_on_the_budget(masked: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(RANDOM, precision="int8", data=masked, num_classes=3, max_drop=100, batch=1)
    report = export(recipe, tmp_path / "int8.onnx", page=tmp_path / "page.html")
    assert report.manifest.quantization is not None
    assert report.manifest.quantization.calibration is not None
    assert report.manifest.quantization.calibration.images == CALIBRATING
    assert report.outcome is not None
    assert (report.outcome.measure, report.outcome.images) == ("mean IoU", 20 - CALIBRATING)
    facts = json.loads((tmp_path / "page.json").read_text())
    assert facts["score"]["measure"] == "mean IoU"
    assert facts["masks"]["against"] == "the masks"
    assert sum(one["area"] for one in facts["masks"]["classes"]) == pytest.approx(1)
    assert facts["flips"] == facts["masks"]["changed_images"]
    page = (tmp_path / "page.html").read_text()
    assert "<h2>Classes</h2>" in page
    assert page.count("by this file") == len(facts["masks"]["changed"])


def test_mean_iou_of_masks_is_that_by_hand(masked: Path) -> None:
    """Answers of class 0 everywhere on masks that are half 1: IoU 1/2 and 0, less the quarter that has no class."""
    truth = Masks(tuple(sorted((masked / "masks").iterdir()))[:2], ("one", "two"))
    images = ImageSet("folder", tuple(sorted((masked / "images").iterdir()))[:2], truth=truth)
    logits = np.zeros((2, 2, 8, 12), np.float32)
    logits[:, 0] = 1
    assert truth.score(logits) == pytest.approx((1 / 3 + 0) / 2)
    assert truth.part(slice(1)).score(logits[:1]) == pytest.approx((1 / 3 + 0) / 2)
    evaluator = evaluator_of(images, get_spec(MODEL).preprocess, logits, PIXELS)
    right = logits.copy()
    right[:, 1, :, 6:] = 2
    assert evaluator.drop(right) == pytest.approx(100 * (1 / 6 - 1))
    assert truth.identity != truth.part(slice(1)).identity


def test_masks_are_judged_by_the_names_of_their_numbers(masked: Path) -> None:
    paths = tuple(sorted((masked / "masks").iterdir()))[:2]
    truth = Masks(paths, ("one", "two"), ("two", "one"))
    logits = np.zeros((2, 2, 8, 12), np.float32)
    logits[:, 0] = 1
    # class 0 of the model is number 1 in the masks
    assert truth.score(logits) == pytest.approx(Masks(paths, ("one", "two")).score(logits[:, ::-1]))
    assert truth.score(logits) != Masks(paths, ("one", "two")).score(logits)
    assert truth.identity != Masks(paths, ("one", "two")).identity
    with pytest.raises(DataError, match="has two, which is no class of the model, whose labels are one, three"):
        Masks(paths, ("one", "three"), ("two", "one")).score(logits)


def test_a_model_without_names_is_judged_by_the_numbers_of_masks(masked: Path) -> None:
    paths = tuple(sorted((masked / "masks").iterdir()))[:2]
    logits = np.zeros((2, 2, 8, 12), np.float32)
    logits[:, 0] = 1
    numbered = ("class 0", "class 1")
    by_number = Masks(paths, numbered)
    assert Masks(paths, numbered, ("soil", "weed")).score(logits) == by_number.score(logits)
    # names that are the model's own numbers are names
    swapped = Masks(paths, numbered, numbered[::-1])
    assert swapped.score(logits) == pytest.approx(by_number.score(logits[:, ::-1]))
    assert swapped.score(logits) != by_number.score(logits)
    for written in (("soil", "weed", "crop"), ("weed", "class 0")):
        with pytest.raises(DataError, match=r"has .*weed, which is no class .* or export the model with labels="):
            Masks(paths, numbered, written).score(logits)


def test_without_masks_answers_are_compared_with_floats(photos: Path) -> None:
    images = ImageSet("folder", tuple(sorted(photos.iterdir()))[:1])
    logits = np.zeros((1, 2, 2, 2), np.float32)
    logits[:, 0] = 1
    evaluator = evaluator_of(images, get_spec(MODEL).preprocess, logits, PIXELS)
    assert evaluator.truth.measure == "pixel agreement with float32"
    other = logits.copy()
    other[0, :, 0, 0] = (0, 1)
    assert evaluator.drop(other) == pytest.approx(25)


def test_generated_colours_differ() -> None:
    palette = spread_palette(20)
    assert len(set(palette)) == 20
    assert all(
        sum(abs(a - b) for a, b in zip(x, y, strict=True)) > 60 for x, y in zip(palette, palette[1:], strict=False)
    )
