"""Judging segmentation models: masks read as they are, intersection over union by hand."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.errors import ImageError
from edgevit.runtime.evaluation.segmentation import Confusion
from edgevit.runtime.images.mask_png import mask_png, read_mask
from edgevit.runtime.images.masks import Mask
from edgevit.runtime.loading import load

Run = Callable[..., tuple[int, str, str]]
PALETTE = ((9, 9, 9), (9, 9, 9), (200, 0, 0), (0, 200, 0))


@pytest.mark.parametrize("classes", [4, 300])
def test_a_mask_comes_back_by_its_numbers_not_its_colours(classes: int, tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).integers(0, classes, (5, 7))
    mask: Mask = numbers.astype(np.uint8) if classes <= 256 else numbers.astype(np.uint16)
    path = tmp_path / "mask.png"
    path.write_bytes(mask_png(mask, PALETTE))
    found = read_mask(path)
    assert found.dtype == mask.dtype
    assert np.array_equal(found, mask)


def test_grey_masks_of_8_and_1_bits_are_numbers(tmp_path: Path) -> None:
    mask = np.random.default_rng(0).integers(0, 2, (9, 21)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "grey.png"), mask)
    cv2.imwrite(str(tmp_path / "bits.png"), mask, [cv2.IMWRITE_PNG_BILEVEL, 1])
    assert np.array_equal(read_mask(tmp_path / "grey.png"), mask)
    assert np.array_equal(read_mask(tmp_path / "bits.png"), mask)


def test_a_colour_picture_is_no_mask(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "colours.png"), np.zeros((4, 4, 3), np.uint8))
    (tmp_path / "cut.png").write_bytes(mask_png(np.zeros((4, 4), np.uint8), PALETTE)[:40])
    with pytest.raises(ImageError, match="is a colour picture; expected class numbers"):
        read_mask(tmp_path / "colours.png")
    with pytest.raises(ImageError, match="is no PNG, or is damaged"):
        read_mask(tmp_path / "cut.png")
    with pytest.raises(ImageError, match=r"none\.png does not exist"):
        read_mask(tmp_path / "none.png")


def test_intersection_over_union_is_that_by_hand() -> None:
    sums = Confusion(3)
    truth: NDArray[np.intp] = np.array([[0, 0, 1, 1], [0, 0, -1, -1]])
    answer = np.array([[0, 1, 1, 1], [0, 0, 2, 0]], np.uint8)
    sums.add(answer, answer, truth)
    found = sums.quality("m", labelled=True, compared=False)
    assert found.iou == (3 / 4, 2 / 3, None)
    assert found.miou == pytest.approx((3 / 4 + 2 / 3) / 2)
    assert found.pixel_accuracy == pytest.approx(5 / 6)
    assert found.areas == (4 / 8, 3 / 8, 1 / 8)
    assert found.agreement is None


def test_agreement_is_the_share_of_equal_pixels() -> None:
    sums = Confusion(2)
    sums.add(np.array([[0, 1]], np.uint8), np.array([[0, 0]], np.uint8), None)
    found = sums.quality("m", labelled=False, compared=True)
    assert (found.agreement, found.miou, found.iou) == (0.5, None, None)


def test_validate_prints_mean_iou(colours: Path, run: Run, tmp_path: Path) -> None:
    for name in ("images", "masks"):
        (tmp_path / "data" / name).mkdir(parents=True)
    truth = np.repeat([[0, 1], [0, 2]], 64, axis=1).repeat(32, axis=0).astype(np.uint8)
    picture = 255 * np.eye(3, dtype=np.uint8)[truth]
    cv2.imwrite(str(tmp_path / "data/images/flag.png"), picture[:, :, ::-1])
    (tmp_path / "data/masks/flag.png").write_bytes(mask_png(truth, PALETTE))
    code, text, _ = run("validate", colours, colours, "--data", tmp_path / "data", "--json")
    assert code == 0
    first, second = json.loads(text)["models"]
    assert first["miou"] > 0.95
    assert second["agreement"] == 1
    code, text, _ = run("validate", colours, "--data", tmp_path / "data")
    assert "mean IoU" in text
    (tmp_path / "data/masks/flag.png").write_bytes(mask_png(truth + 1, PALETTE))
    code, _, error = run("validate", colours, "--data", tmp_path / "data")
    assert code == 1
    assert "has class 3, but there are 3 classes" in error


@pytest.mark.parametrize("place", ["", "val"])
def test_the_numbers_of_masks_mean_what_classes_txt_says(place: str, colours: Path, run: Run, tmp_path: Path) -> None:
    """The model's labels are in another order than the file's."""
    names = load(colours).names
    for name in ("images", "masks"):
        (tmp_path / "data" / place / name).mkdir(parents=True)
    truth = np.repeat([[0, 1], [0, 2]], 64, axis=1).repeat(32, axis=0).astype(np.uint8)
    picture = 255 * np.eye(3, dtype=np.uint8)[truth]
    cv2.imwrite(str(tmp_path / "data" / place / "images/flag.png"), picture[:, :, ::-1])
    (tmp_path / "data" / place / "masks/flag.png").write_bytes(mask_png(2 - truth, PALETTE))
    (tmp_path / "data/classes.txt").write_text("\n".join(names[::-1]))
    code, text, _ = run("validate", colours, "--data", tmp_path / "data" / place, "--json")
    assert code == 0
    assert json.loads(text)["models"][0]["miou"] > 0.95
    (tmp_path / "data/classes.txt").write_text("\n".join((names[2], "weed", names[0], "not there")))
    code, _, error = run("validate", colours, "--data", tmp_path / "data" / place)
    assert code == 1
    assert "flag.png has weed, which is no class of the model, whose labels are" in error
    assert "name it so in classes.txt, or export the model with --labels" in error


def test_models_of_two_tasks_are_not_compared(colours: Path, tiny_model: Path, run: Run, tmp_path: Path) -> None:
    code, _, error = run("validate", colours, tiny_model, "--data", tmp_path)
    assert code == 2
    assert "compare models of the same task" in error
