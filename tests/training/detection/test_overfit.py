"""A detector can learn eight scenes by heart: model, assignment, loss, loop and measuring in one."""

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch

from edgevit.artifact.manifest import Preprocess
from edgevit.export.data.scenes import CLASSES, draw_scene
from edgevit.models import create_model
from edgevit.models.zoo.registry import get_spec
from edgevit.runtime.detection.boxes import Boxes, TrueBoxes
from edgevit.runtime.images.preprocess import fit, scaled_size
from edgevit.runtime.images.read import read_image
from edgevit.runtime.images.resample import RGBImage
from edgevit.training.accuracy import plain_inputs
from edgevit.training.augment import Augmentation
from edgevit.training.detection.measure import measure_boxes
from edgevit.training.detection.samples import BoxedSamples, drop_unreadable_boxed
from edgevit.training.initialize import load_initial
from edgevit.training.kinds import KINDS
from edgevit.training.loop import train
from edgevit.training.recipe import Recipe
from edgevit.training.schedule import Size
from edgevit.training.statistics import reestimate_batchnorm

NAME = "efficientvit_b0_det"
SIZE = (128, 160)
SCENES = (0, 1, 2, 3, 5, 6, 8, 9)
"""Seeds of scenes with three objects or more."""


def to_input(boxes: Boxes, picture: tuple[int, int], preprocessing: Preprocess) -> Boxes:
    """Return boxes of a picture of (height, width) in pixels of the input that is made of it."""
    height, width = scaled_size(picture, preprocessing)
    return np.asarray(boxes * (np.array([width, height] * 2) / np.array([picture[1], picture[0]] * 2)), np.float32)


@dataclass(frozen=True)
class UnchangedSamples(BoxedSamples):
    """Pictures that are trained on as they are measured."""

    def example(
        self, index: int, size: Size, rng: np.random.Generator, augmentation: Augmentation
    ) -> tuple[RGBImage, TrueBoxes]:
        image, truth = read_image(self.paths[index]), self.truth[index]
        preprocessing = replace(get_spec(NAME).preprocess, size=size)
        return fit(image, preprocessing), replace(truth, boxes=to_input(truth.boxes, image.shape[:2], preprocessing))


def test_eight_drawn_scenes_are_learnt_by_heart(tmp_path: Path) -> None:
    spec = get_spec(NAME)
    paths, truths = [], []
    for seed in SCENES:
        image, truth = draw_scene(seed)
        paths.append(tmp_path / f"{seed}.png")
        truths.append(truth)
        cv2.imwrite(str(paths[-1]), image[:, :, ::-1])
    checked, _ = drop_unreadable_boxed(BoxedSamples(tuple(paths), tuple(truths), CLASSES))
    samples = UnchangedSamples(checked.paths, checked.truth, checked.classes, checked.sizes)
    recipe = Recipe(((SIZE, 60),), batch=8, learning_rate=5e-3, warmup_epochs=6, ema_decay=0.8, bfloat16=False)
    preprocessing = replace(spec.preprocess, size=SIZE)
    objective = KINDS["detect"].objective(spec, recipe, samples, preprocessing)
    torch.manual_seed(0)
    model = create_model(NAME, len(CLASSES), SIZE)
    load_initial(model, spec, "cifar10", CLASSES)
    learned = train(model, samples, objective, lambda *_: {}, recipe, tmp_path, validate_every=60).averaged
    # eight pictures in one batch: the averages of their statistics lag behind
    reestimate_batchnorm(learned, plain_inputs(samples, preprocessing, 1, 8))
    assert spec.family.boxes is not None
    found = measure_boxes(learned, samples, preprocessing, meaning=spec.family.boxes)
    assert found.ap50 == 1.0
    assert found.ap > 0.9
    assert found.count_error == 0.0
    assert all(box.kind == "right" for picture in found.shown for box in picture.boxes)
