"""JPEG pictures out of a stream of bytes: whole, broken, or no pictures at all."""

import random
import sys

import cv2
import numpy as np
import pytest

from edgevit.errors import ImageError
from edgevit.runtime.images.read import read_image
from edgevit.runtime.sources.mjpeg import JpegSplitter

EXIF_WITH_THUMBNAIL = b"\xff\xe1\x00\x0cExif\0\0\xff\xd8\xff\xd9"


def jpeg(level: int, size: tuple[int, int] = (16, 24), *flags: int) -> bytes:
    noise = np.random.default_rng(level).integers(0, 256, (*size, 3), dtype=np.uint8)
    ok, data = cv2.imencode(".jpg", noise, list(flags))
    assert ok
    return data.tobytes()


A, B, C = (jpeg(level) for level in range(3))


def split(stream: bytes, chunk: int = 1 << 20, limit: int = 1 << 20) -> list[bytes]:
    splitter = JpegSplitter(limit)
    return [found for at in range(0, len(stream), chunk) for found in splitter.feed(stream[at : at + chunk])]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64, 1000, 1 << 20])
def test_pictures_are_found_wherever_the_reads_end(chunk: int) -> None:
    part = b"\r\n--frame\r\nContent-Type: image/jpeg\r\nContent-Length: 1234\r\n\r\n"
    assert split(part + A + part + B + b"\r\n" + C, chunk) == [A, B, C]


def test_progressive_picture_is_one_picture() -> None:
    progressive = jpeg(3, (64, 64), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    assert progressive.count(b"\xff\xda") > 1
    assert split(progressive + A, 5) == [progressive, A]


def test_restart_markers_do_not_end_a_picture() -> None:
    restarted = jpeg(4, (64, 64), cv2.IMWRITE_JPEG_RST_INTERVAL, 1)
    assert b"\xff\xd0" in restarted
    assert split(restarted + B, 11) == [restarted, B]


def test_thumbnail_is_not_taken_for_the_picture() -> None:
    with_thumbnail = A[:2] + EXIF_WITH_THUMBNAIL + A[2:]
    assert split(with_thumbnail + B, 3) == [with_thumbnail, B]


def test_thumbnail_that_is_a_whole_picture_is_not_taken_for_one() -> None:
    # more than a byte can say: both bytes of the length count
    size = 2 + 6 + len(C)
    assert size > 512
    with_picture = A[:2] + b"\xff\xe1" + size.to_bytes(2, "big") + b"Exif\0\0" + C + A[2:]
    assert split(with_picture + B, 7) == [with_picture, B]


def test_table_whose_length_is_damaged_hides_none_of_the_pictures_behind_it() -> None:
    tables = A.index(b"\xff\xdb") + 2
    assert split(A[:tables] + b"\xff\xff" + B + C + A + bytes(70_000)) == [B, C, A]


def test_picture_that_begins_where_an_endless_one_is_given_up_is_kept() -> None:
    splitter = JpegSplitter(limit=4096)
    assert splitter.feed(A[: A.index(b"\xff\xda") + 14] + bytes(5000) + B[:2]) == []
    assert splitter.feed(B[2:]) == [B]


@pytest.mark.parametrize("chunk", [1, 2, 3, 1 << 20])
def test_fill_bytes_may_stand_before_any_marker(chunk: int) -> None:
    """ITU-T T.81, B.1.1.2: any number of bytes 0xFF."""
    tables = A.index(b"\xff\xdb")
    filled = A[:2] + b"\xff\xff" + A[2:tables] + b"\xff" + A[tables:]
    assert split(filled + B, chunk) == [filled, B]
    assert np.array_equal(read_image(filled), read_image(A))


@pytest.mark.parametrize("chunk", [1, 13, 1 << 20])
def test_picture_that_breaks_off_is_skipped_and_the_next_one_kept(chunk: int) -> None:
    # from within its first segment, whose length leads into the next picture, to just before its end
    for size in (6, 10, 19, *range(20, len(A) - 1, 11)):
        assert split(A[:size] + B + C, chunk) == [B, C]


def test_garbage_between_pictures_is_skipped() -> None:
    garbage = random.Random(1).randbytes(5000) + b"\xff\xd8\xff\xff\xd8\xff\x00"
    assert split(garbage + A + garbage + B, 29) == [A, B]


def test_endless_picture_is_given_up_at_the_limit_and_memory_stays_bounded() -> None:
    splitter = JpegSplitter(limit=4096)
    head = A[: A.index(b"\xff\xda") + 14]
    for part in [head, *[bytes(1000)] * 100]:
        assert splitter.feed(part) == []
        assert len(splitter._held) <= 4096 + 1000
    assert splitter.feed(b"".join([B])) == [B]


def test_picture_beyond_the_limit_is_no_picture() -> None:
    assert split(A + B, limit=len(A) - 1) == ([] if len(B) >= len(A) else [B])


def test_ten_thousand_random_streams_neither_fail_nor_hide_what_follows() -> None:
    """Random bytes, spiced with the markers the parser looks for; then whole pictures, which must come through.

    A head that random bytes happen to begin may swallow up to 64 KiB before it proves unsound, so that enough pictures
    follow: one small stream of them is longer than that.
    """
    draw = random.Random(2026)
    markers = [b"\xff\xd8\xff", b"\xff\xda", b"\xff\xd9", b"\xff\xd8", b"\xff\xe1\x00\x04", b"\xff\xff", A[:200]]
    follow = b"".join([B] * (1 + 70_000 // len(B)))
    for number in range(10_000):
        parts = [draw.choice(markers) if draw.random() < 0.4 else draw.randbytes(draw.randrange(40)) for _ in range(8)]
        splitter = JpegSplitter()
        for part in parts:
            assert all(found[:3] == b"\xff\xd8\xff" and found[-2:] == b"\xff\xd9" for found in splitter.feed(part))
        if number % 50 == 0:
            assert splitter.feed(follow)[-1] == B
            assert splitter.feed(C) == [C]


def test_ten_thousand_damaged_pictures_are_pictures_or_one_line() -> None:
    """Some bytes of each are changed; sizes that would take gigabytes to decode are refused by OpenCV."""
    draw, outcomes = random.Random(7), {"read": 0, "refused": 0}
    for _ in range(10_000):
        damaged = bytearray(draw.choice([A, B, C]))
        for _ in range(draw.randrange(1, 4)):
            damaged[draw.randrange(2, len(damaged))] = draw.randrange(256)
        for found in split(bytes(damaged)):
            try:
                outcomes["read"] += read_image(found).ndim == 3
            except ImageError as error:
                outcomes["refused"] += len(str(error).splitlines())
    assert outcomes["read"] > 5000
    assert outcomes["refused"] > 10


@pytest.mark.parametrize(
    "pattern",
    [
        b"\xff\xd8\xff\xe0\xff\xfa",  # each segment ends where another begins
        b"\xff\xd8\xff\xe0\xff\xf9",  # each segment ends in a byte that is no marker
        b"\xff\xe0\x00\x08\xff\xd8\xff\xe0\x00\x08",  # many starts within one long chain
        b"\xff\xd8\xff\xd0\xff\xd0\xff\xe0\x80\x01\x00",
        b"\xff\xd8\xff\xda\x00\x02" + bytes(60),
        b"\xff\xd8\xff\xff",
    ],
)
def test_work_grows_with_the_bytes_and_not_with_their_square(pattern: bytes) -> None:
    """Steps are counted, as time would depend on the machine: twice the bytes take at most about twice the steps."""

    def steps(size: int) -> int:
        splitter, count = JpegSplitter(limit=1 << 20), 0

        def note(frame: object, event: str, argument: object) -> object:
            nonlocal count
            count += event == "line"
            return note

        stream = pattern * (size // len(pattern))
        sys.settrace(note)  # type: ignore[arg-type]
        try:
            for at in range(0, len(stream), 1 << 16):
                splitter.feed(stream[at : at + (1 << 16)])
        finally:
            sys.settrace(None)
        return count

    small, large = steps(1 << 17), steps(1 << 18)
    assert large < 3 * small + 1000
    assert large < 20 * (1 << 18)


def test_picture_behind_a_chain_of_false_heads_is_found() -> None:
    """Beyond 64 KiB, which the last false segment may swallow."""
    stream = b"\xff\xd8\xff\xe0\xff\xfa" * 40_000 + b"".join([A] * (1 + 140_000 // len(A))) + B
    assert split(stream, 1 << 18)[-2:] == [A, B]
