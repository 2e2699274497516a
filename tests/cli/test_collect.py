"""`edgevit collect` as a user calls it."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A second of one scene, then a second of its mirror image."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    ramp = np.repeat(np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))[:, :, None], 3, axis=2)
    for number in range(20):
        writer.write(ramp if number < 10 else np.ascontiguousarray(ramp[:, ::-1]))
    writer.release()
    return path


def test_photos_lie_in_a_folder_of_their_class(run: Run, clip: Path, tmp_path: Path) -> None:
    code, out, err = run("collect", clip, "--label", "hen", "--every", "500ms", "--to", tmp_path / "photos")
    assert (code, out) == (0, "")
    assert err == "edgevit: 4 frames, 2 saved, 2 left out as alike; there are now: hen 2\n"
    assert sorted(path.name for path in (tmp_path / "photos" / "hen").iterdir()) == ["00000-hen.jpg", "00001-hen.jpg"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--label is missing: name the class that is seen"),
        (("--label", "a/b"), "--label is 'a/b', which cannot name a folder; try 'a_b'"),
        (("--label", "hen", "--quota", "lots"), "--quota is 'lots', expected bytes"),
        (("--label", "hen", "--serve", "0.0.0.0:8080"), "--serve is for what is seen now"),
    ],
)
def test_wrong_options_are_one_line(
    run: Run, clip: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    code, out, err = run("collect", clip, "--to", tmp_path / "photos", *options)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_quota_is_one_line(run: Run, clip: Path, tmp_path: Path) -> None:
    code, _, err = run("collect", clip, "--label", "hen", "--quota", "100", "--to", tmp_path / "photos")
    assert code == 1
    assert err == f"edgevit: {tmp_path}/photos is full: its photos may take 100 bytes; raise --quota\n"
