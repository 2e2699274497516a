"""Draw the sample picture of the package, which `edgevit run MODEL sample` classifies: a ship at sea."""

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 360, 480
HORIZON = 215
SEED = 7
QUALITY = 88

SKY, HAZE = (150, 190, 225), (214, 226, 234)
NEAR_SEA, FAR_SEA = (32, 74, 108), (96, 138, 164)
HULL, KEEL, WHITE, FUNNEL, WINDOW = (48, 56, 72), (140, 44, 40), (236, 234, 226), (196, 72, 44), (70, 92, 112)

Colour = tuple[int, int, int]


def main(path: str) -> None:
    """Write the picture to a file; its suffix decides the format."""
    picture = draw()
    if not cv2.imwrite(path, picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY]):
        raise SystemExit(f"{path} cannot be written")
    print(f"{path}: {WIDTH} x {HEIGHT} pixels, {Path(path).stat().st_size} bytes")


def draw() -> NDArray[np.uint8]:
    """Return the picture, (H, W, 3) RGB: the same for ever, as all that is random comes from SEED."""
    random = np.random.default_rng(SEED)
    picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    picture[:HORIZON] = _gradient(SKY, HAZE, HORIZON)
    picture[HORIZON:] = _gradient(FAR_SEA, NEAR_SEA, HEIGHT - HORIZON)
    _clouds(picture, random)
    _waves(picture, random, HORIZON, HEIGHT, 260)
    _ship(picture)
    _waves(picture, random, 282, 300, 40)
    blurred = cv2.GaussianBlur(picture, (0, 0), 0.8).astype(np.float64)
    grain = random.normal(0, 3, (HEIGHT, WIDTH, 1))
    return np.clip(blurred + grain, 0, 255).astype(np.uint8)


def _gradient(top: Colour, bottom: Colour, rows: int) -> NDArray[np.float64]:
    """Return (rows, 1, 3): one colour turning into another from top to bottom."""
    share = np.linspace(0, 1, rows)[:, None, None]
    return (1 - share) * np.array(top) + share * np.array(bottom)


def _clouds(picture: NDArray[np.uint8], random: np.random.Generator) -> None:
    """Lay a few soft white banks into the sky."""
    banks = np.zeros((HORIZON, WIDTH), np.float32)
    for _ in range(14):
        centre = (int(random.integers(0, WIDTH)), int(random.integers(25, HORIZON - 50)))
        size = (int(random.integers(30, 90)), int(random.integers(5, 14)))
        cv2.ellipse(banks, centre, size, 0, 0, 360, float(random.uniform(0.2, 0.6)), -1)
    cover = cv2.GaussianBlur(banks, (0, 0), 9)[:, :, None]
    picture[:HORIZON] = (1 - cover) * picture[:HORIZON] + cover * 245


def _waves(picture: NDArray[np.uint8], random: np.random.Generator, top: int, bottom: int, count: int) -> None:
    """Draw short light and dark strokes on the sea, longer where it is nearer."""
    for _ in range(count):
        y = int(random.integers(top + 2, bottom))
        near = (y - HORIZON) / (HEIGHT - HORIZON)
        x, length = int(random.integers(0, WIDTH)), int(6 + 40 * near * random.uniform(0.4, 1))
        tone = int(random.integers(-22, 26))
        colour = [int(np.clip(value + tone, 0, 255)) for value in picture[y, x].tolist()]
        cv2.line(picture, (x, y), (x + length, y), colour, 1 + int(2 * near), cv2.LINE_AA)


def _ship(picture: NDArray[np.uint8]) -> None:
    """Draw the ship: hull with a red keel, white house with windows, funnel and masts."""
    _shape(picture, [(58, 222), (92, 282), (392, 282), (438, 210), (372, 228), (120, 228)], HULL)
    _shape(picture, [(84, 270), (92, 284), (391, 284), (400, 270)], KEEL)
    _shape(
        picture, [(60, 222), (120, 228), (372, 228), (438, 210), (436, 215), (372, 233), (120, 233), (62, 227)], WHITE
    )
    for left, top, right, bottom in ((112, 184, 262, 228), (126, 154, 236, 184), (140, 130, 206, 154)):
        _shape(picture, [(left, top), (right, top), (right, bottom), (left, bottom)], WHITE)
        for x in range(left + 8, right - 10, 16):
            cv2.rectangle(picture, (x, top + 8), (x + 8, top + 16), WINDOW, -1, cv2.LINE_AA)
    _shape(picture, [(206, 100), (238, 100), (242, 154), (206, 154)], FUNNEL)
    _shape(picture, [(206, 100), (238, 100), (239, 112), (206, 112)], HULL)
    for x, top, foot in ((160, 78, 130), (318, 110, 228)):
        cv2.line(picture, (x, top), (x, foot), HULL, 3, cv2.LINE_AA)
    cv2.line(picture, (318, 118), (382, 224), HULL, 2, cv2.LINE_AA)
    cv2.line(picture, (318, 150), (276, 200), HULL, 2, cv2.LINE_AA)
    for x in (286, 336):
        _shape(picture, [(x, 212), (x + 34, 212), (x + 34, 230), (x, 230)], (172, 110, 60))


def _shape(picture: NDArray[np.uint8], corners: list[tuple[int, int]], colour: Colour) -> None:
    cv2.fillPoly(picture, [np.array(corners, np.int32)], colour, cv2.LINE_AA)


if __name__ == "__main__":
    main(*sys.argv[1:])
