"""Which images an export uses, by what the user gave."""

from pathlib import Path

import numpy as np
from torch import nn

from edgevit.artifact.manifest import Preprocess
from edgevit.errors import OptionError
from edgevit.export.data.images import VERIFICATION_IMAGES, ExportImages, ImageSet, RGBImage, folder_images
from edgevit.export.data.synthesize import ENOUGH_IMAGES, synthesize_images
from edgevit.export.recipe import Recipe
from edgevit.export.tasks import rules_of
from edgevit.models.weights.resolve import ResolvedWeights
from edgevit.models.zoo.registry import get_spec
from edgevit.runtime.selftest import draw_pictures

SHIPPED = Path(__file__).parents[1] / "weights"


def choose_images(
    recipe: Recipe, weights: ResolvedWeights, model: nn.Module, preprocessing: Preprocess
) -> ExportImages:
    """Return the images of --data, those made from the weights, or those shipped with the bundled weights.

    Raises:
        OptionError: int8 was asked for and nothing says which images to calibrate with.
        DataError: the folder does not hold enough images.
    """
    if recipe.data is not None:
        evaluation = 0 if recipe.max_drop is None else recipe.evaluation_images
        leave_out = rules_of(get_spec(recipe.model)).leave_out
        return folder_images(
            recipe.data, recipe.calibration_images, evaluation, recipe.seed, leave_out, preprocessing.levels
        )
    if recipe.synthesized:
        count = min(recipe.calibration_images, ENOUGH_IMAGES)
        return _in_memory("synthesized", synthesize_images(model, count, preprocessing, seed=recipe.seed))
    if weights.entry is not None and weights.entry.bundled:
        with np.load(SHIPPED / f"{Path(weights.entry.file).stem}-calibration.npz") as file:
            return _in_memory("bundled", file["images"])
    if recipe.precision == "int8":
        raise OptionError(
            "--int8 needs images to calibrate with, like those the model will see; give --data FOLDER (256 images are "
            "plenty, 16 the least), or --calibration synthesized to make some from the weights, which is less accurate"
        )
    drawn = ImageSet("generated", tuple(draw_pictures(preprocessing.size)))
    return ExportImages(None, drawn, drawn)


def _in_memory(source: str, images: RGBImage) -> ExportImages:
    """Use (N, H, W, 3) images for everything."""
    every = ImageSet(source, tuple(images))
    return ExportImages(every, ImageSet(source, every.images[:VERIFICATION_IMAGES]), every)
