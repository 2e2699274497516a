"""Image folders to training batches, each batch a pure function of (seed, step), so that a resumed run continues exactly."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevit.errors import DataError

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
RGBImage = NDArray[np.uint8]


@dataclass(frozen=True)
class Samples:
    """Labelled image files."""

    paths: tuple[Path, ...]
    labels: tuple[int, ...]
    """Index into `classes`, one for each path."""
    classes: tuple[str, ...]

    def subset(self, indices: Sequence[int]) -> "Samples":
        return Samples(tuple(self.paths[i] for i in indices), tuple(self.labels[i] for i in indices), self.classes)


def read_image_folder(folder: Path) -> Samples:
    """List `folder/<class>/**/<image>`; classes are the sub-folders' names in sorted order.

    Raises:
        DataError: the folder has fewer than two classes, or a class has no image.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; expected one sub-folder of images for each class")
    classes = tuple(
        sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    )
    if len(classes) < 2:
        raise DataError(f"{folder} holds {len(classes)} class folders; expected at least 2, each with its images")
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        files = sorted(path for path in (folder / name).rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
        if not files:
            raise DataError(
                f"{folder / name} has no images ({', '.join(sorted(IMAGE_SUFFIXES))}); add some or remove it"
            )
        paths += files
        labels += [label] * len(files)
    return Samples(tuple(paths), tuple(labels), classes)


def split_train_val(data: Path, val_fraction: float) -> tuple[Samples, Samples]:
    """Return (train, val): the folders `train` and `val` if both exist, else a split by hash of the file's path.

    The hash keeps each image on its side when more images are added later.
    """
    if (data / "train").is_dir():
        train = read_image_folder(data / "train")
        if (data / "val").is_dir():
            val = read_image_folder(data / "val")
            if val.classes != train.classes:
                raise DataError(
                    f"{data}: train has the classes {train.classes}, val has {val.classes}; make them equal"
                )
            return train, val
        data = data / "train"
    samples = read_image_folder(data)
    held_out = [_unit_hash(path.relative_to(data).as_posix()) < val_fraction for path in samples.paths]
    train = samples.subset([i for i, out in enumerate(held_out) if not out])
    val = samples.subset([i for i, out in enumerate(held_out) if out])
    if not train.paths or not val.paths:
        raise DataError(
            f"{data}: {len(train.paths)} images to train and {len(val.paths)} to validate after holding out "
            f"{val_fraction:.0%}; add images, or change --val-fraction"
        )
    return train, val


def _unit_hash(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def training_batches(
    samples: Samples, size: int, batch: int, steps: range, seed: int, workers: int = 2
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Yield augmented images (B, size, size, 3) uint8 RGB and labels (B,) for each step, one batch read ahead.

    Every epoch visits all images once, in an order of its own.
    """
    with ThreadPoolExecutor(workers) as pool:
        pending = [
            pool.submit(training_image, samples.paths[i], size, rng)
            for i, rng in _draw(samples, batch, steps.start, seed)
        ]
        for step in steps:
            indices = [i for i, _ in _draw(samples, batch, step, seed)]
            current, pending = pending, []
            if step + 1 < steps.stop:
                draws = _draw(samples, batch, step + 1, seed)
                pending = [pool.submit(training_image, samples.paths[i], size, rng) for i, rng in draws]
            images = np.stack([future.result() for future in current])
            yield images, np.array([samples.labels[i] for i in indices])


def _draw(samples: Samples, batch: int, step: int, seed: int) -> list[tuple[int, np.random.Generator]]:
    count = len(samples.paths)
    draws = []
    for position in range(step * batch, (step + 1) * batch):
        epoch, place = divmod(position, count)
        order = _epoch_order(count, seed, epoch)
        draws.append((int(order[place]), np.random.default_rng((seed, 1, position))))
    return draws


_ORDERS: dict[tuple[int, int, int], NDArray[np.int64]] = {}


def _epoch_order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    key = (count, seed, epoch)
    if key not in _ORDERS:
        _ORDERS.clear()
        _ORDERS[key] = np.random.default_rng((seed, 0, epoch)).permutation(count)
    return _ORDERS[key]


def training_image(path: Path, size: int, rng: np.random.Generator) -> RGBImage:
    """Read, crop at random, flip, and change colour and sharpness: (size, size, 3) uint8 RGB."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise DataError(f"{path} cannot be read as an image; remove or replace it")
    image = random_resized_crop(image[:, :, ::-1], size, rng)
    if rng.random() < 0.5:
        image = image[:, ::-1]
    return random_sharpness(random_colour(np.ascontiguousarray(image), rng), rng)


def random_resized_crop(
    image: RGBImage, size: int, rng: np.random.Generator, area: tuple[float, float] = (0.4, 1.0)
) -> RGBImage:
    """Cut out a rectangle of random area and aspect (3/4 to 4/3) and scale it to (size, size)."""
    height, width = image.shape[:2]
    for _ in range(10):
        target = height * width * rng.uniform(*area)
        aspect = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
        w, h = round(float(np.sqrt(target * aspect))), round(float(np.sqrt(target / aspect)))
        if 0 < w <= width and 0 < h <= height:
            top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
            break
    else:
        h = w = min(height, width)
        top, left = (height - h) // 2, (width - w) // 2
    crop = np.ascontiguousarray(image[top : top + h, left : left + w])
    shrinks = h > size and w > size
    choices = (cv2.INTER_AREA,) if shrinks else (cv2.INTER_LINEAR, cv2.INTER_CUBIC)
    return cv2.resize(crop, (size, size), interpolation=choices[int(rng.integers(len(choices)))])  # type: ignore[return-value]


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
    return pixels.clip(0, 255).astype(np.uint8)


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
