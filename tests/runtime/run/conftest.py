"""Pictures for an archive, and a watch over the processes that answer them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.made_detector import scene
from tests.processes import no_process_left

SaveImage = Callable[[str, NDArray[np.uint8]], Path]


@pytest.fixture
def no_process_is_left() -> Iterator[None]:
    """Watch that a run leaves none of its processes."""
    with no_process_left():
        yield


@pytest.fixture
def photos(save_image: SaveImage, tmp_path: Path) -> Path:
    """A folder of eight pictures with squares, of which one cannot be read."""
    for number in range(7):
        squares = [("red", 0, number % 3), ("blue", 1, 2)][: 1 + number % 2]
        save_image(f"photos/{number:02d}.png", scene(*squares))
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    return tmp_path / "photos"
