"""Segmentation on the board: from coarse logits to masks, areas, run lengths and files."""

import json
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import edgevit
from edgevit.artifact.manifest import MaskOutput, Preprocess
from edgevit.errors import ModelFileError
from edgevit.runtime.backends.session import open_session
from edgevit.runtime.images.mask_png import mask_png
from edgevit.runtime.images.masks import Mask, bilinear_mask, class_areas, class_map, nearest_mask
from edgevit.runtime.images.rle import class_runs, compress
from edgevit.runtime.segmentation import Segmentation
from edgevit.runtime.segmenter import Segmenter
from edgevit.runtime.selftest import check_selftest, record_cases

SIZE = (32, 64)
PALETTE = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
HOW = Preprocess(size=SIZE, crop_pct=1.0, crop_mode="squash", mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))

MakeSegmenter = Callable[..., Path]
Run = Callable[..., tuple[int, str, str]]
SaveImage = Callable[[str, NDArray[np.uint8]], Path]


def expand(counts: list[int], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the (H, W) mask of uncompressed counts, which run down its columns."""
    own = np.arange(len(counts)) % 2 == 1
    return np.repeat(own, counts).reshape(size[1], size[0]).T


def flag(height: int, width: int) -> NDArray[np.uint8]:
    """Return a picture whose left half is red, and whose right half is green above blue."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, : width // 2, 0] = 255
    picture[: height // 2, width // 2 :, 1] = 255
    picture[height // 2 :, width // 2 :, 2] = 255
    return picture


def by_definition(logits: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.int64]:
    """Return the best classes of logits enlarged as a whole, by OpenCV."""
    planes = [cv2.resize(plane, size[::-1], interpolation=cv2.INTER_LINEAR) for plane in logits]
    best: NDArray[np.int64] = np.stack(planes).argmax(axis=0)
    return best


@pytest.mark.parametrize("size", [(32, 64), (45, 37), (3, 5), (100, 1), (7, 200)])
def test_mask_is_that_of_enlarging_all_classes(size: tuple[int, int]) -> None:
    logits = np.random.default_rng(0).standard_normal((5, 4, 8)).astype(np.float32)
    mask = bilinear_mask(logits, size)
    assert mask.dtype == np.uint8
    assert mask.shape == size
    # enlarging by OpenCV rounds its weights a little otherwise
    assert (mask != by_definition(logits, size)).mean() <= 0.002


def test_many_classes_and_tiles_give_the_same_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = np.random.default_rng(1).standard_normal((300, 3, 4)).astype(np.float32)
    whole = bilinear_mask(logits, (24, 32))
    monkeypatch.setattr("edgevit.runtime.images.masks._CORNERS", 4 * 300 * 5)
    monkeypatch.setattr("edgevit.runtime.images.masks._PIXELS", 200)
    assert whole.dtype == np.uint16
    assert np.array_equal(bilinear_mask(logits, (24, 32)), whole)
    assert (whole != by_definition(logits, (24, 32))).mean() <= 0.01


def test_a_class_that_is_best_at_no_cell_may_be_best_between_two() -> None:
    # half-way between the cells the first two classes have 0.5 each, the third still 0.9
    logits = np.array([[1, 0], [0, 1], [0.9, 0.9], [0.8, 0.8]], np.float32).reshape(4, 1, 2)
    mask = bilinear_mask(logits, (1, 40))[0]
    assert list(np.unique(mask)) == [0, 1, 2]
    # centres lie at 9.5 and 29.5; the first class falls below 0.9 a tenth of the way, 2 pixels after 9.5
    assert list(np.flatnonzero(mask == 2)[[0, -1]]) == [12, 27]


def test_equal_classes_give_the_lower_number() -> None:
    logits = np.array([[0, 1], [1, 0], [1, 0], [0, 1]], np.float32).reshape(4, 1, 2)
    assert set(bilinear_mask(logits, (1, 41))[0]) == {0, 1}


def test_a_single_cell_fills_the_mask() -> None:
    logits = np.array([0.0, 2.0, 1.0], np.float32).reshape(3, 1, 1)
    assert np.array_equal(bilinear_mask(logits, (4, 6)), np.ones((4, 6)))
    assert np.array_equal(class_map(logits), [[1]])


def test_nearest_mask_repeats_cells() -> None:
    cells = np.array([[0, 1], [2, 3]], np.float32)
    assert np.array_equal(nearest_mask(cells, (4, 6), 4), np.repeat(np.repeat(cells, 2, axis=0), 3, axis=1))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_areas_are_shares_of_all_pixels(kind: type) -> None:
    mask: Mask = np.array([[0, 0, 0, 2], [0, 0, 2, 2]], kind)
    assert class_areas(mask, 4) == pytest.approx([5 / 8, 0, 3 / 8, 0])


def test_run_lengths_go_down_the_columns_and_begin_with_other_pixels() -> None:
    mask = np.array([[1, 0, 0], [1, 1, 0]], np.uint8)
    assert class_runs(mask) == {0: [2, 1, 1, 2], 1: [0, 2, 1, 1, 2]}


def test_compressed_run_lengths_are_cocos() -> None:
    # by hand: 5 bits each, then the differences from the count two before
    assert compress([0, 2, 1, 1, 2]) == "021O1"
    assert compress([32, 5]) == "P15"
    assert compress([6]) == "6"


def test_run_lengths_bring_the_mask_back() -> None:
    mask = np.random.default_rng(2).integers(0, 3, (11, 7)).astype(np.uint8)
    for number, counts in class_runs(mask).items():
        assert np.array_equal(expand(counts, mask.shape), mask == number)
        assert decompress(compress(counts)) == counts


def decompress(text: str) -> list[int]:
    """Read COCO's compressed counts, one character at a time."""
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (1 << shift) if bits & 16 else 0
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    return counts


def test_mask_png_holds_numbers_and_colours() -> None:
    mask = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    data = mask_png(mask, PALETTE)
    assert data[25] == 3  # colour type: indexed
    assert data[data.index(b"PLTE") + 4 :][:9] == bytes(np.array(PALETTE, np.uint8).tobytes())
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert np.array_equal(picture[:, :, ::-1], np.array(PALETTE, np.uint8)[mask])
    start = data.index(b"IDAT") + 4
    assert zlib.decompress(data[start : data.index(b"IEND") - 8]) == b"\x00\x00\x01\x02\x00\x02\x01\x00"


def test_more_than_256_classes_are_a_grey_png_of_16_bits() -> None:
    mask = np.array([[0, 299]], np.uint16)
    picture = cv2.imdecode(np.frombuffer(mask_png(mask, ()), np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    assert np.array_equal(picture, mask)


def test_load_answers_with_a_mask_of_the_pictures_own_size(colours: Path) -> None:
    with edgevit.load(colours) as segmenter:
        assert isinstance(segmenter, Segmenter)
        result = segmenter(flag(120, 200))
    assert isinstance(result, Segmentation)
    expected = np.repeat([[0, 1], [0, 2]], 100, axis=1).repeat(60, axis=0)
    assert result.mask.shape == (120, 200)
    assert (result.mask != expected).mean() < 0.02  # half a cell of the model is 5 pixels of the picture
    assert result.areas == pytest.approx({"red": 50, "green": 25, "blue": 25}, abs=1)
    assert result.top1 == "red"
    assert result.probabilities is not None
    assert result.probabilities.shape == (3, 4, 8)
    assert result.probabilities.sum(axis=0) == pytest.approx(np.ones((4, 8)))


def test_class_numbers_from_the_graph_make_a_mask_too(make_segmenter: MakeSegmenter) -> None:
    pixels = MaskOutput(8, PALETTE, classes_in_graph=True)
    path = make_segmenter("numbers.onnx", argmax=True, pixels=pixels)
    with edgevit.load(path) as segmenter:
        result = segmenter(flag(64, 128))
    assert isinstance(result, Segmentation)
    assert result.areas == pytest.approx({"red": 50, "green": 25, "blue": 25})
    assert result.probabilities is None


def test_overlay_mixes_picture_and_colours(colours: Path) -> None:
    with edgevit.load(colours) as segmenter:
        result = segmenter(flag(32, 64))
    assert isinstance(result, Segmentation)
    assert np.array_equal(result.overlay(0), flag(32, 64))
    assert np.array_equal(result.overlay(1), np.array(PALETTE, np.uint8)[result.mask])


def test_json_has_cocos_run_lengths(colours: Path) -> None:
    with edgevit.load(colours) as segmenter:
        result = segmenter(flag(64, 128))
    assert isinstance(result, Segmentation)
    found = result.to_dict()
    assert found["size"] == [64, 128]
    for segment in found["segments"]:
        counts = decompress(segment["segmentation"]["counts"])
        assert segment["segmentation"]["size"] == [64, 128]
        assert np.array_equal(expand(counts, (64, 128)), result.mask == segment["index"])
        assert segment["percent"] == pytest.approx(100 * (result.mask == segment["index"]).mean(), abs=1e-3)
    assert [segment["label"] for segment in result.to_dict(threshold=0.3)["segments"]] == ["red"]


def test_another_task_is_refused(make_segmenter: MakeSegmenter) -> None:
    path = make_segmenter("depth.onnx", task="depth")
    with pytest.raises(ModelFileError, match="for the task 'depth'; this edgevit knows classify, segment"):
        edgevit.load(path)


def test_a_document_that_does_not_fit_the_answer_is_refused(make_segmenter: MakeSegmenter) -> None:
    path = make_segmenter("odd.onnx", pixels=MaskOutput(4, PALETTE))
    wanted = r"\(1, 3, 4, 8\), but its document says \(1, 3, 8, 16\)"
    with edgevit.load(path) as segmenter, pytest.raises(ModelFileError, match=wanted):
        segmenter(flag(32, 64))


def test_a_palette_of_another_length_is_refused(make_segmenter: MakeSegmenter) -> None:
    path = make_segmenter("pale.onnx", pixels=MaskOutput(8, PALETTE[:2]))
    with pytest.raises(ModelFileError, match="does not say what its answers mean"):
        edgevit.load(path)


def test_selftest_of_a_mask_stores_a_part_and_passes(
    colours: Path, make_segmenter: MakeSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgevit.runtime.backends.reference.MOST_LOGITS", 50)
    monkeypatch.setattr("edgevit.runtime.backends.reference.LARGE_SAMPLES", 20)
    session = open_session(colours, rank=4)
    cases = record_cases(session, HOW, "fp32")
    assert all(len(case.logits) == len(case.logit_indices) == 20 for case in cases.cases)
    report = check_selftest(make_segmenter("tested.onnx", selftest=cases))
    assert report.logit_difference == 0


def test_run_writes_masks_and_overlays(colours: Path, save_image: SaveImage, run: Run, tmp_path: Path) -> None:
    picture, out = save_image("street.png", flag(64, 128)), tmp_path / "out"
    code, text, _ = run("run", colours, picture, "--to", f"masks:{out}", "--to", f"overlays:{out}")
    assert code == 0
    assert text.startswith("red 0.50")
    assert sorted(path.name for path in out.iterdir()) == ["street.jpg", "street.png"]
    mask = cv2.imread(str(out / "street.png"))
    assert mask is not None
    assert tuple(mask[0, 0, ::-1]) == PALETTE[0]


def test_masks_of_a_classifier_are_refused(tiny_model: Path, save_image: SaveImage, run: Run, tmp_path: Path) -> None:
    picture = save_image("a.png", flag(8, 8))
    code, _, error = run("run", tiny_model, picture, "--to", f"masks:{tmp_path}/out")
    assert code == 2
    assert "is for segmentation models" in error


def test_an_area_above_its_threshold_is_an_event(colours: Path, save_image: SaveImage, run: Run) -> None:
    picture = save_image("field.png", flag(64, 128))
    # green covers a quarter, less than red
    code, text, _ = run("run", colours, picture, "--threshold", "green=0.2", "--json")
    assert code == 0
    assert '"event": "label"' in text
    (line,) = [line for line in text.splitlines() if '"event": "area"' in line]
    assert (json.loads(line)["label"], json.loads(line)["active"]) == ("green", True)
