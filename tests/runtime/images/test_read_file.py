"""The file of a picture: how much of it is read, and what its header says."""

import io
import os
import re
import stat
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.errors import ImageError
from edgevit.runtime.images import read
from edgevit.runtime.images.header import Header, read_header
from edgevit.runtime.images.read import read_picture, read_picture_header

Image = pytest.importorskip("PIL.Image", reason="Pillow writes the pictures")


def file_of(image: NDArray[np.uint8], form: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(image).save(out, form)
    return out.getvalue()


def test_file_of_four_bytes_for_each_pixel_of_the_limit_is_read_and_no_larger_one(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(b"x" * 1_500_000)
    assert read_picture(path, 375_000) == b"x" * 1_500_000
    path.write_bytes(b"x" * 2_500_001)
    with pytest.raises(ImageError) as caught:
        read_picture(path, 375_000)
    assert str(caught.value) == (
        f"{path} has 3 MB, more than the 2 that are read of a picture; make it smaller, or set "
        "EDGEVIT_MAX_PIXELS=625001"
    )


def test_limit_of_a_file_is_that_of_the_environment_where_none_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEVIT_MAX_PIXELS", "10")
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(41))
    with pytest.raises(ImageError, match=r"set EDGEVIT_MAX_PIXELS=11$"):
        read_picture(path)
    assert read_picture(path, 11) == bytes(41)


def test_file_that_grows_while_it_is_read_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(100))
    monkeypatch.setattr(os, "fstat", lambda number: os.stat_result((stat.S_IFREG, *[0] * 5, 7, 0, 0, 0)))
    assert read_picture(path, 5) == bytes(20)


def test_header_of_a_jpeg_is_read_without_its_end(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    path = tmp_path / "cut.jpg"
    path.write_bytes(file_of(photo, "JPEG")[:-500])
    header = read_picture_header(path)
    assert (header.kind, header.height, header.width) == ("JPEG", 300, 451)


def test_no_more_than_the_beginning_of_a_jpeg_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "long.jpg"
    path.write_bytes(file_of(np.zeros((30, 50, 3), np.uint8), "JPEG") + bytes(1_000_000))
    given: list[int] = []

    def noting(data: bytes) -> Header | None:
        given.append(len(data))
        return read_header(data)

    monkeypatch.setattr(read, "read_header", noting)
    assert read_picture_header(str(path)).width == 50
    assert given == [262_144]


def test_size_of_a_jpeg_that_stands_behind_the_beginning_is_found(tmp_path: Path) -> None:
    data = file_of(np.zeros((30, 50, 3), np.uint8), "JPEG")
    remarks = (b"\xff\xfe\xff\xff" + bytes(65533)) * 5
    (tmp_path / "far.jpg").write_bytes(data[:2] + remarks + data[2:])
    header = read_picture_header(tmp_path / "far.jpg")
    assert (header.kind, header.height, header.width) == ("JPEG", 30, 50)


def test_other_pictures_are_checked_as_a_whole(tmp_path: Path, photo: NDArray[np.uint8]) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(file_of(photo, "PNG"))
    header = read_picture_header(path)
    assert (header.kind, header.height, header.width) == ("PNG", 300, 451)
    path.write_bytes(file_of(photo, "PNG")[:-500])
    with pytest.raises(ImageError, match=rf"^{re.escape(str(path))} is a damaged or truncated PNG"):
        read_picture_header(path)


@pytest.mark.parametrize(("height", "width"), [(0, 50), (30, 0)])
def test_jpeg_without_pixels_is_refused_by_its_header(tmp_path: Path, height: int, width: int) -> None:
    data = file_of(np.zeros((30, 50, 3), np.uint8), "JPEG")
    size = data.index(struct.pack(">HH", 30, 50))
    (tmp_path / "a.jpg").write_bytes(data[:size] + struct.pack(">HH", height, width) + data[size + 4 :])
    with pytest.raises(ImageError, match=rf"a\.jpg is damaged: it is {width} x {height} pixels large$"):
        read_picture_header(tmp_path / "a.jpg")


def test_jpeg_of_a_single_row_has_a_header(tmp_path: Path) -> None:
    (tmp_path / "row.jpg").write_bytes(file_of(np.zeros((1, 50, 3), np.uint8), "JPEG")[:-2])
    assert read_picture_header(tmp_path / "row.jpg").height == 1


def test_header_that_cannot_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, reason in (("none.jpg", "No such file or directory"), ("a\0.jpg", "embedded null byte")):
        with pytest.raises(ImageError) as caught:
            read_picture_header(str(tmp_path / name))
        assert str(caught.value) == f"{tmp_path / name} cannot be read: {reason}"
    monkeypatch.setenv("EDGEVIT_MAX_PIXELS", "134")
    (tmp_path / "a.png").write_bytes(file_of(np.zeros((9, 15, 3), np.uint8), "PNG"))
    with pytest.raises(ImageError, match=r"a\.png has 15 x 9 pixels, more than the 0\.000134 million"):
        read_picture_header(tmp_path / "a.png")


def test_reason_of_the_system_is_told_without_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(path: object) -> None:
        raise OSError(5, "Input/output error", "elsewhere")

    monkeypatch.setattr(read, "open_regular", failing)
    for reading in (read_picture, read_picture_header):
        with pytest.raises(ImageError, match=r"^a\.jpg cannot be read: Input/output error$"):
            reading("a.jpg")
