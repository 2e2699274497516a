"""Random changes to a training image, each a function of the image and a random generator."""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from edgevit.runtime.images.resample import RGBImage
from edgevit.training.schedule import Size


@dataclass(frozen=True)
class Augmentation:
    """How strongly images are changed."""

    area: tuple[float, float]
    """Smallest and largest share of an image that a crop keeps."""
    looks: bool
    """Whether colour and sharpness change too."""
    erase: float
    """Probability of erasing a random square of an image."""
    zoom: tuple[float, float]
    """Smallest and largest size of a picture with boxes, 1 where it just fits."""
    mosaic: float
    """Probability of composing a picture with boxes from parts of four."""
    vertical_flip: bool = False
    """Whether half of the images stand on their heads."""
    centre: float = 1.0
    """Share of each side, in the middle, that is looked at; of a picture with boxes it is all."""


AugmentationName = Literal["strong", "moderate", "light"]

AUGMENTATIONS: dict[AugmentationName, Augmentation] = {
    "strong": Augmentation(area=(0.4, 1.0), looks=True, erase=0.25, zoom=(0.5, 1.5), mosaic=0.5),
    "moderate": Augmentation(area=(0.6, 1.0), looks=True, erase=0.0, zoom=(0.5, 1.5), mosaic=0.5),
    "light": Augmentation(area=(0.6, 1.0), looks=False, erase=0.0, zoom=(0.7, 1.5), mosaic=0.0),
}
"""By name. "moderate" fits a small model, which "strong" keeps from learning the images themselves; "light" fits few
images of one fixed camera."""


def cut_centre(image: RGBImage, share: float) -> RGBImage:
    """Return the middle of an image (H, W, 3) or a mask (H, W), which has this share of each side."""
    kept = [max(1, round(side * share)) for side in image.shape[:2]]
    top, left = ((side - rest) // 2 for side, rest in zip(image.shape, kept, strict=False))
    return image[top : top + kept[0], left : left + kept[1]]


def augment_masked(
    image: RGBImage, mask: RGBImage, size: Size, rng: np.random.Generator, augmentation: Augmentation
) -> tuple[RGBImage, RGBImage]:
    """Crop and flip (H, W, 3) and its mask (H, W) alike to `size`, and perhaps change the colour and sharpness."""
    image, mask = (cut_centre(each, augmentation.centre) for each in (image, mask))
    top, left, h, w = _random_box((image.shape[0], image.shape[1]), size, rng, augmentation.area)
    box = (slice(top, top + h), slice(left, left + w))
    image = _scale(np.ascontiguousarray(image[box]), size, rng)
    mask = np.asarray(cv2.resize(np.ascontiguousarray(mask[box]), size[::-1], interpolation=cv2.INTER_NEAREST_EXACT))
    if rng.random() < 0.5:
        image, mask = image[:, ::-1], mask[:, ::-1]
    if augmentation.vertical_flip and rng.random() < 0.5:
        image, mask = image[::-1], mask[::-1]
    image = np.ascontiguousarray(image)
    return (random_sharpness(random_colour(image, rng), rng) if augmentation.looks else image), mask


def augment(
    image: RGBImage, size: Size, rng: np.random.Generator, augmentation: Augmentation = AUGMENTATIONS["strong"]
) -> RGBImage:
    """Crop at random, flip, and perhaps change colour and sharpness: (H, W, 3) to (*size, 3)."""
    image = random_resized_crop(cut_centre(image, augmentation.centre), size, rng, augmentation.area)
    if rng.random() < 0.5:
        image = image[:, ::-1]
    if augmentation.vertical_flip and rng.random() < 0.5:
        image = image[::-1]
    image = np.ascontiguousarray(image)
    return random_sharpness(random_colour(image, rng), rng) if augmentation.looks else image


def random_resized_crop(image: RGBImage, size: Size, rng: np.random.Generator, area: tuple[float, float]) -> RGBImage:
    """Cut out a rectangle of random area, its aspect 3/4 to 4/3 of that of `size`, and scale it to `size`."""
    top, left, h, w = _random_box((image.shape[0], image.shape[1]), size, rng, area)
    return _scale(np.ascontiguousarray(image[top : top + h, left : left + w]), size, rng)


def _random_box(
    shape: Size, size: Size, rng: np.random.Generator, area: tuple[float, float]
) -> tuple[int, int, int, int]:
    """Return top, left, height and width of a rectangle of random area and of about the aspect of `size`."""
    height, width = shape
    wanted = size[1] / size[0]
    for _ in range(10):
        target = height * width * rng.uniform(*area)
        aspect = wanted * np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
        w, h = round(float(np.sqrt(target * aspect))), round(float(np.sqrt(target / aspect)))
        if 0 < w <= width and 0 < h <= height:
            return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
    h, w = max(1, min(height, round(width / wanted))), max(1, min(width, round(height * wanted)))
    return (height - h) // 2, (width - w) // 2, h, w


def _scale(crop: RGBImage, size: Size, rng: np.random.Generator) -> RGBImage:
    """Scale to `size`, enlarging with a filter drawn at random."""
    shrinks = crop.shape[0] > size[0] and crop.shape[1] > size[1]
    choices = (cv2.INTER_AREA,) if shrinks else (cv2.INTER_LINEAR, cv2.INTER_CUBIC)
    return cv2.resize(crop, size[::-1], interpolation=choices[int(rng.integers(len(choices)))])  # type: ignore[return-value]


def random_colour(image: RGBImage, rng: np.random.Generator, strength: float = 0.3) -> RGBImage:
    """Change brightness, contrast and saturation by up to `strength` each, in half of the images."""
    if rng.random() < 0.5:
        return image
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, 3)
    pixels = image.astype(np.float32) * brightness
    grey = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    pixels = grey.mean() + (pixels - grey.mean()) * contrast
    grey = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    pixels = grey[:, :, None] + (pixels - grey[:, :, None]) * saturation
    changed: RGBImage = pixels.clip(0, 255).astype(np.uint8)
    return changed


def random_sharpness(image: RGBImage, rng: np.random.Generator) -> RGBImage:
    """In a fifth of the images each: blur, sharpen, or add noise, since a camera's sharpness is not the data set's."""
    kind = rng.random()
    if kind < 0.2:
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, image.shape[0] / 64))  # type: ignore[return-value]
    if kind < 0.4:
        soft = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.7, 2.0))
        amount = rng.uniform(0.5, 2.0)
        return cv2.addWeighted(image, 1 + amount, soft, -amount, 0)  # type: ignore[return-value]
    if kind < 0.6:
        noise = rng.standard_normal(image.shape, np.float32) * rng.uniform(2, 20)
        return (image + noise).clip(0, 255).astype(np.uint8)
    return image
