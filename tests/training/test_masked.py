"""Training on pictures with masks."""

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from edgevit.errors import CheckpointError, DataError
from edgevit.models.weights.resolve import build_with_weights, resolve_weights
from edgevit.models.zoo.registry import get_spec
from edgevit.runtime.datasets.folder import read_folder
from edgevit.runtime.datasets.masks import IGNORED
from edgevit.runtime.datasets.split import split_folder
from edgevit.runtime.images.mask_png import mask_png, read_mask
from edgevit.training import train
from edgevit.training.augment import AUGMENTATIONS, augment_masked
from edgevit.training.job import Job, Watcher
from edgevit.training.masked import MaskAccuracy, MaskedSamples, drop_unreadable_masked, masked_samples, measure_masks
from edgevit.training.objective import CrossEntropy
from edgevit.training.recipe import Recipe
from edgevit.training.run import run_job

NAME = "efficientvit_seg_b0_cityscapes"
PALETTE = ((0, 0, 255), (255, 0, 0))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make pictures that are blue on one side of a line and red on the other, noisy, with their masks."""
    folder, random = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    (folder / "classes.txt").write_text("blue\nred\n")
    for part, count in (("train", 24), ("val", 4)):
        for name in ("images", "masks"):
            (folder / part / name).mkdir(parents=True)
        for i in range(count):
            mask = np.zeros((64, 64), np.uint8)
            mask[:, int(random.integers(16, 48)) :] = 1
            mask = mask if i % 2 else mask.T.copy()
            picture = np.array(PALETTE)[mask] + random.normal(0, 20, (64, 64, 3))
            cv2.imwrite(str(folder / part / "images" / f"{i}.png"), picture.clip(0, 255)[:, :, ::-1].astype(np.uint8))
            (folder / part / "masks" / f"{i}.png").write_bytes(mask_png(mask, PALETTE))
    return folder


def split_masked(data: Path, fraction: float) -> tuple[MaskedSamples, MaskedSamples]:
    return masked_samples(data, split_folder(read_folder(data, "masks"), fraction))


def test_picture_and_mask_are_cropped_and_flipped_alike() -> None:
    mask = np.zeros((40, 60), np.uint8)
    mask[10:30, 20:50] = 7
    image = np.repeat(mask[:, :, None] * 20, 3, axis=2)
    for seed in range(5):
        x, y = augment_masked(image, mask, (96, 96), np.random.default_rng(seed), AUGMENTATIONS["light"])
        assert x.shape == (96, 96, 3)
        assert set(np.unique(y)) <= {0, 7}
        assert ((x[:, :, 0] > 70) == (y == 7)).mean() > 0.97


def test_pixels_without_a_class_do_not_count_in_the_loss() -> None:
    logits = torch.zeros(1, 2, 2, 2)
    logits[:, 1, 0, 0] = 5
    masks = [np.array([[255, 0], [0, 0]], np.uint8)]
    assert CrossEntropy(0.0, of_pixels=True)(logits, masks, (2, 2)).item() == pytest.approx(np.log(2))


def test_classes_and_masks_are_checked_before_training(data: Path, tmp_path: Path) -> None:
    train, val = split_masked(data, 0.1)
    assert (len(train.paths), len(val.paths), train.classes) == (24, 4, ("blue", "red"))
    checked, skipped = drop_unreadable_masked(train)
    assert skipped == ()
    assert sum(checked.counts()) == 24 * 64 * 64
    (tmp_path / "x.png").write_bytes((data / "val/images/0.png").read_bytes())
    with pytest.raises(DataError, match=r"has no classes\.txt"):
        split_masked(tmp_path, 0.1)
    (tmp_path / "classes.txt").write_text("one\ntwo\n")
    with pytest.raises(DataError, match="has no masks; put"):
        split_masked(tmp_path, 0.1)


def test_a_number_that_is_no_class_is_refused(data: Path, tmp_path: Path) -> None:
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for i in range(8):
        (tmp_path / "images" / f"{i}.png").write_bytes((data / "val/images/0.png").read_bytes())
        (tmp_path / "masks" / f"{i}.png").write_bytes(mask_png(np.full((64, 64), 2, np.uint8), PALETTE * 2))
    (tmp_path / "classes.txt").write_text("one\ntwo\n")
    train, _ = split_masked(tmp_path, 0.4)
    with pytest.raises(DataError, match=r"has class 2, but there are 2 classes \(0 to 1, 255 for none\)"):
        drop_unreadable_masked(train)


@pytest.mark.parametrize(
    ("train_on", "held_out", "message"),
    [
        ([0, 255], [0, 1], r"the masks to train on have one in all their pixels; 255 in a mask is no class"),
        ([255, 255], [0, 1], r"the masks to train on have no class in all their pixels"),
        ([0, 1], [255, 255], r"the masks held out have no class in all their pixels"),
    ],
)
def test_masks_of_one_class_or_none_are_refused(
    train_on: list[int], held_out: list[int], message: str, tmp_path: Path
) -> None:
    for part, numbers in (("train", train_on), ("val", held_out)):
        for i in range(2):
            mask = np.repeat(np.array([numbers], np.uint8), 32, axis=1).repeat(64, axis=0)
            for name in ("images", "masks"):
                (tmp_path / part / name).mkdir(parents=True, exist_ok=True)
                (tmp_path / part / name / f"{i}.png").write_bytes(mask_png(mask, PALETTE * 128))
    (tmp_path / "classes.txt").write_text("one\ntwo\n")
    with pytest.raises(DataError, match=message):
        train(NAME, tmp_path, tmp_path / "run", sizes="32*1")


def test_a_16_bit_mask_says_no_class_with_65535(tmp_path: Path) -> None:
    drawn = np.array([[0, 1, 65535], [65535, 1, 1]], np.uint16)
    cv2.imwrite(str(tmp_path / "image.png"), np.zeros((2, 3, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "mask.png"), drawn)
    samples = MaskedSamples((tmp_path / "image.png",), (tmp_path / "mask.png",), ("one", "two"))
    checked, skipped = drop_unreadable_masked(samples)
    assert (checked.counts(), skipped) == ((1, 3), ())
    changes = replace(AUGMENTATIONS["light"], area=(1.0, 1.0))
    _, labels = samples.example(0, (32, 32), np.random.default_rng(0), changes)
    assert labels.dtype == np.uint8
    assert IGNORED in np.unique(labels)
    assert set(np.unique(labels)) <= {0, 1, IGNORED}
    # 255 is a class there, and here there is none of this number
    cv2.imwrite(str(tmp_path / "mask.png"), np.full((2, 3), 255, np.uint16))
    with pytest.raises(DataError, match=r"has class 255, but there are 2 classes \(0 to 1, 65535 for none\)"):
        drop_unreadable_masked(samples)


def test_other_masks_of_the_same_names_are_other_data(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "data")
    before, _ = split_masked(tmp_path / "data", 0.1)
    fingerprint = before.fingerprint()
    stopped = Watcher(should_stop=lambda: True)
    out = tmp_path / "run"
    train(NAME, tmp_path / "data", out, sizes="32*1", watcher=stopped)
    mask = before.masks[3]
    mask.write_bytes(mask_png(1 - read_mask(mask), PALETTE))
    assert split_masked(tmp_path / "data", 0.1)[0].fingerprint() != fingerprint
    with pytest.raises(CheckpointError, match="was trained on other images"):
        train(NAME, tmp_path / "data", out, resume=True)
    # what an older version saved does not tell
    document = torch.load(out / "last.pt", weights_only=True)
    document["data"], document["listed"] = (document[key][:64] for key in ("data", "listed"))
    torch.save(document, out / "last.pt")
    assert not train(NAME, tmp_path / "data", out, resume=True, watcher=stopped).finished


def test_a_job_learns_masks_and_writes_what_the_export_needs(data: Path, tmp_path: Path) -> None:
    recipe = Recipe(sizes=((64, 15),), batch=8, learning_rate=5e-3, ema_decay=0.9, augmentation="light", bfloat16=False)
    job = Job(NAME, data, tmp_path / "run", recipe)
    found = run_job(job, Watcher())
    assert isinstance(found, MaskAccuracy)
    assert found.miou > 0.8
    spec = get_spec(NAME)
    weights = resolve_weights(spec, str(job.weights_file))
    assert weights.labels == ("blue", "red")
    assert (weights.preprocess.size, weights.preprocess.crop_mode) == ((64, 64), "squash")
    model = build_with_weights(spec, weights)
    _, val = split_masked(data, 0.1)
    assert measure_masks(model, val, weights.preprocess).miou == pytest.approx(found.miou, abs=1e-3)
