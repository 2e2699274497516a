"""Which images an export calibrates with and is verified on."""

from pathlib import Path

import numpy as np
from torch import nn

from edgevit.artifact import Preprocess
from edgevit.errors import OptionError
from edgevit.export.images import VERIFICATION_IMAGES, ImageSet, folder_images
from edgevit.export.recipe import Recipe
from edgevit.models.resolve import ResolvedWeights
from edgevit.models.spec import ModelSpec
from edgevit.runtime.selftest import draw_pictures

SHIPPED = Path(__file__).parent / "weights"


def choose_images(
    recipe: Recipe, spec: ModelSpec, weights: ResolvedWeights, model: nn.Module, how: Preprocess
) -> tuple[ImageSet | None, ImageSet]:
    """Return the calibration set, None where none is needed, and the verification set.

    Raises:
        OptionError: int8 was asked for and nothing says which images to calibrate with.
        DataError: the folder does not hold enough images.
    """
    if recipe.data is not None:
        return folder_images(recipe.data, recipe.calibration_images, recipe.seed)
    if recipe.calibration == "synthesized":
        from edgevit.export.synthesize import synthesize_images

        images = synthesize_images(model, recipe.calibration_images, how, seed=recipe.seed)
        return _in_memory("synthesized", images)
    if weights.entry is not None and weights.entry.bundled:
        with np.load(SHIPPED / f"{Path(weights.entry.file).stem}-calibration.npz") as file:
            return _in_memory("bundled", file["images"])
    if recipe.precision == "int8":
        raise OptionError(
            "--int8 needs images to calibrate with, like those the model will see; give --data FOLDER (256 images are "
            "plenty, 16 the least), or --calibration synthesized to make some from the weights, which is less accurate"
        )
    return None, ImageSet("generated", tuple(draw_pictures()))


def _in_memory(source: str, images: np.ndarray) -> tuple[ImageSet, ImageSet]:
    return ImageSet(source, tuple(images)), ImageSet(source, tuple(images[:VERIFICATION_IMAGES]))
