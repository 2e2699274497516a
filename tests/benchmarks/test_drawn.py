"""Pictures that benchmarks draw for themselves."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.drawn import draw_folder


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_folder_holds_as_many_different_pictures_as_asked_for(tmp_path: Path, suffix: str) -> None:
    folder = draw_folder(tmp_path / "new" / "drawn", (24, 40), 3, suffix)
    assert sorted(path.name for path in folder.iterdir()) == [f"00{number}{suffix}" for number in range(3)]
    first, second, _ = (cv2.imread(str(path)) for path in sorted(folder.iterdir()))
    assert first is not None
    assert first.shape == (24, 40, 3)
    assert not np.array_equal(first, second)  # type: ignore[arg-type]
