"""Scaling equals Pillow's, level for level."""

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.runtime.images.resample import Box, resample

Image = pytest.importorskip("PIL.Image", reason="Pillow is the witness of scaling")


def _pillow(image: NDArray[np.uint8], size: tuple[int, int], interpolation: str) -> NDArray[np.uint8]:
    """Scale in two steps, so that the horizontal pass comes first in every version of Pillow."""
    kernel = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}[interpolation]
    across = Image.fromarray(image).resize((size[1], image.shape[0]), kernel)
    return np.asarray(across.resize((size[1], size[0]), kernel))


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 900), (37, 53), (224, 224), (256, 256), (300, 451), (1000, 333)])
@pytest.mark.parametrize("size", [(256, 256), (224, 340), (97, 64), (600, 1)])
def test_scaling_equals_pillow(shape: tuple[int, int], size: tuple[int, int], interpolation: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    ours = resample(image, size, Box(0, 0, *size), interpolation)
    np.testing.assert_array_equal(ours, _pillow(image, size, interpolation))


@pytest.mark.parametrize("size", [(48, 80), (256, 384), (417, 601)])
def test_fast_form_is_at_most_one_level_off_and_seldom(photo: NDArray[np.uint8], size: tuple[int, int]) -> None:
    exact, fast = (resample(photo, size, Box(0, 0, *size), "bicubic", fast=fast).astype(int) for fast in (False, True))
    assert np.abs(exact - fast).max() <= 1
    assert (exact != fast).mean() < 2e-4


def test_kept_box_equals_a_crop_of_the_whole(photo: NDArray[np.uint8]) -> None:
    whole = resample(photo, (256, 384), Box(0, 0, 256, 384), "bicubic")
    part = resample(photo, (256, 384), Box(16, 80, 224, 200), "bicubic")
    np.testing.assert_array_equal(part, whole[16:240, 80:280])


def test_same_size_changes_nothing(photo: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(resample(photo, (300, 451), Box(0, 0, 300, 451), "bicubic"), photo)


def test_array_that_is_a_view_is_scaled_alike(photo: NDArray[np.uint8]) -> None:
    mirrored = photo[:, ::-1]
    box = Box(0, 0, 64, 64)
    np.testing.assert_array_equal(
        resample(mirrored, (64, 64), box, "bilinear"),
        resample(np.ascontiguousarray(mirrored), (64, 64), box, "bilinear"),
    )
