"""Which images an export uses, by what the user gave; none calibrates that is judged by, where a folder gives them."""

import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from torch import nn

from edgevit.artifact.manifest import HeldOut, Preprocess
from edgevit.errors import DataError, OptionError
from edgevit.export.data.images import VERIFICATION_IMAGES, ExportImages, ImageSet, draw_images
from edgevit.export.data.scenes import ENOUGH_SCENES, draw_scenes
from edgevit.export.data.synthesize import ENOUGH_IMAGES, affordable_images, synthesize_images
from edgevit.export.recipe import MIN_CALIBRATION_IMAGES, Recipe
from edgevit.export.tasks.answers import CLASSES, AnswerForm
from edgevit.export.tasks.rules import rules_of
from edgevit.models.weights.resolve import ResolvedWeights
from edgevit.models.zoo.registry import find_weights, get_spec
from edgevit.runtime.datasets.folder import Layout, PictureFolder, Pictures, read_folder
from edgevit.runtime.datasets.listing import normalized
from edgevit.runtime.datasets.seen import are_seen, choose_unseen, is_held_out
from edgevit.runtime.datasets.split import FRACTION, find_exceptions
from edgevit.runtime.images.drawn import draw_pictures
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.progress import Track

log = logging.getLogger(__name__)

SHIPPED = Path(__file__).parents[1] / "weights"

UNSEEN = "not trained on"
SEEN = "which were trained on"
UNKNOWN = "not calibrated with; whether they were trained on is not known"


NO_IMAGES = (
    "--int8 needs images to calibrate with, like those the model will see; give --data FOLDER (256 images are "
    "plenty, 20 the least), or `--calibration synthesized` to make some from the weights: less accurate"
)


def require_images(recipe: Recipe) -> None:
    """Refuse int8 that nothing would calibrate before its weights are fetched; `choose_images` refuses what is left.

    Raises:
        OptionError: the weights are published ones, and nothing says which images to calibrate with.
    """
    entry = None if recipe.weights is None else find_weights(get_spec(recipe.model), str(recipe.weights))
    given = recipe.data is not None or recipe.synthesized
    if recipe.precision == "int8" and not given and entry is not None and not entry.brings_images:
        raise OptionError(NO_IMAGES)


def choose_images(
    recipe: Recipe,
    weights: ResolvedWeights,
    model: nn.Module,
    preprocessing: Preprocess,
    labels: tuple[str, ...] = (),
    *,
    judging: bool = False,
    form: AnswerForm = CLASSES,
    track: Track = lambda items, label, count: items,
) -> ExportImages:
    """Return the images of --data, those made from the weights, or those that suit the bundled weights.

    Args:
        recipe: what is exported.
        weights: say which pictures they were not trained on, if that is known.
        model: to make images for.
        preprocessing: of the model.
        labels: the model's classes, by which folders are known.
        judging: whether accuracy will be told, though no budget asks for it.
        form: what the model's answers mean.
        track: wraps the loop that makes images, for a progress display.

    Raises:
        OptionError: int8 was asked for and nothing says which images to calibrate with.
        DataError: the folder does not hold enough images, or is not what the reader expects.
    """
    if recipe.data is not None:
        judging = judging or recipe.max_drop is not None
        folder = read_labelled(recipe.data, rules_of(get_spec(recipe.model)).layout, labels, recipe.unlabelled)
        levels = preprocessing.levels
        return folder_images(folder, weights.held_out, labels, recipe, judging=judging, levels=levels, form=form)
    if recipe.synthesized:
        wanted = min(recipe.calibration_images, ENOUGH_IMAGES)
        count = affordable_images(wanted, get_spec(recipe.model), preprocessing.size)
        return _in_memory("synthesized", synthesize_images(model, count, preprocessing, seed=recipe.seed, track=track))
    if weights.entry is not None and weights.entry.brings_images:
        if get_spec(recipe.model).task == "detect":
            return _in_memory("drawn", draw_scenes(min(recipe.calibration_images, ENOUGH_SCENES)))
        with np.load(SHIPPED / f"{Path(weights.entry.file).stem}-calibration.npz") as file:
            return _in_memory("bundled", file["images"], recipe.calibration_images)
    if recipe.precision == "int8":
        raise OptionError(NO_IMAGES)
    drawn = ImageSet("generated", tuple(draw_pictures(preprocessing.size)))
    return ExportImages(None, drawn, drawn)


def read_labelled(data: Path, layout: Layout, labels: tuple[str, ...], unlabelled: bool) -> PictureFolder:
    """Read a folder; where none of its sub-folders is a class of the model, they mean nothing, and that is said.

    Raises:
        DataError: some sub-folders are classes of the model and others are not; see also read_folder.
    """
    if layout == "classes":
        folder = read_folder(data, layout, labels)
        classes = {name for part in folder.parts.values() for name in part.class_names()}
        if classes & set(map(normalized, labels)) and not unlabelled:
            for part in folder.parts.values():
                part.labels(labels)
            return folder
        if classes and not unlabelled:
            log.warning("%s: no sub-folder is a class of the model, so what is on the images is not known", data)
        return read_folder(data, "plain", labels)
    return read_folder(data, "plain" if unlabelled else layout, labels)


def folder_images(
    folder: PictureFolder,
    record: HeldOut | None,
    labels: tuple[str, ...],
    recipe: Recipe,
    *,
    judging: bool,
    levels: tuple[float, float] | None = None,
    form: AnswerForm = CLASSES,
) -> ExportImages:
    """Draw the three sets from a folder, at random but repeatably: what was trained on calibrates, the rest judges.

    Where it is not known what was trained on, what does not calibrate judges, at least a share of FRACTION.

    Raises:
        DataError: fewer than MIN_CALIBRATION_IMAGES readable images to calibrate with, or none to judge by.
    """
    for note in folder.notes():
        log.warning("%s", note)
    calibrating, judged, role = _roles(folder, record)
    calibration = None
    if recipe.precision == "int8":
        calibration = draw_images(calibrating, labels, recipe.calibration_images, recipe.seed, levels=levels, form=form)
        if len(calibration.images) < MIN_CALIBRATION_IMAGES:
            raise DataError(
                f"--data {folder.root} holds {len(calibration.images)} readable images to calibrate with "
                f"({calibration.skipped} unreadable, {len(judged.paths)} held out); give at least "
                f"{MIN_CALIBRATION_IMAGES}, better 256, like those the model will see"
            )
    if judged.home is calibrating.home and role != UNSEEN and folder.home is not None:
        used = set() if calibration is None else set(map(str, calibration.images))
        judged = folder.home.subset([i for i, path in enumerate(folder.home.paths) if str(path) not in used])
    wanted = recipe.evaluation_images if judging else VERIFICATION_IMAGES
    drawn = draw_images(judged, labels, max(wanted, VERIFICATION_IMAGES), recipe.seed, role, levels, form)
    if not drawn.images:
        raise DataError(f"--data {folder.root}: none of the {len(judged.paths)} held-out images can be read; add some")
    return ExportImages(calibration, drawn.part(slice(VERIFICATION_IMAGES)), drawn.part(slice(wanted)))


def _roles(folder: PictureFolder, record: HeldOut | None) -> tuple[Pictures, Pictures, str]:
    """Return what may calibrate, what may judge, and whether the weights were trained on the latter."""
    home, seen = folder.home, are_seen(folder, record)
    if home is None:
        raise DataError(f"{folder.root} holds {' and '.join(folder.parts)} but no train; put other images there")
    if folder.held_out is not None:
        if seen is None:
            return home, folder.held_out, UNKNOWN
        part = seen["val" if "val" in folder.parts else "test"]
        unseen, notes = choose_unseen(folder.held_out, part)
        for note in notes:
            log.warning("%s", note)
        return home, folder.held_out.subset(unseen), UNKNOWN if None in part else UNSEEN
    trained = [] if seen is None else [was for was in next(iter(seen.values())) if was is not None]
    known = len(trained) == len(home.paths)
    if known and True in trained and False in trained:
        return (*_divide(home, trained), UNSEEN)
    exceptions = find_exceptions(home.names, home.classes, FRACTION)
    kept = [not is_held_out(name, FRACTION, exceptions) for name in home.names]
    role = UNKNOWN if not known else SEEN if trained[0] else UNSEEN
    return (*_divide(home, kept), role)


def _divide(pictures: Pictures, which: "list[bool]") -> tuple[Pictures, Pictures]:
    """Return the pictures for which `which` is true, and the others."""
    first, second = (pictures.subset([i for i, one in enumerate(which) if one is wanted]) for wanted in (True, False))
    return first, second


def _in_memory(source: str, images: Iterable[RGBImage], most: int | None = None) -> ExportImages:
    """Use images for everything, and at most so many of them to calibrate."""
    every = ImageSet(source, tuple(images))
    return ExportImages(every.part(slice(most)), every.part(slice(VERIFICATION_IMAGES)), every)
