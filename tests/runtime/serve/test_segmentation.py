"""The page of a segmentation: the picture under its colours, and which colour is which class."""

import threading
import time

import cv2
import numpy as np
from numpy.typing import NDArray

from edgevit.runtime.events.event import Event
from edgevit.runtime.images.regions import Region, cut
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import event_record, result_record
from edgevit.runtime.segmentation import Segmentation
from edgevit.runtime.serve.page import panel
from edgevit.runtime.serve.status import RunStatus
from edgevit.runtime.serve.view import View

NAMES = ("soil", "crop")
PALETTE = ((200, 0, 0), (0, 200, 0))


def gray() -> RGBImage:
    return np.full((60, 80, 3), 100, np.uint8)


def halves(image: RGBImage, moment: Moment) -> Segmentation:
    """Return an answer that takes the left half of a picture for soil, the right half for crop."""
    mask = np.zeros(image.shape[:2], np.uint8)
    mask[:, image.shape[1] // 2 :] = 1
    shares = np.array([0.5, 0.5], np.float32)
    return Segmentation(shares, NAMES, moment=moment, mask=mask, image=image, palette=PALETTE)


def show(view: View, number: int, regions: tuple[Region, ...] = (), scale: int = 1) -> None:
    image = gray().repeat(scale, axis=0).repeat(scale, axis=1)
    view.picture(image, Moment("camera:0", number, 0.0, 0.0))
    for region in regions or (None,):
        moment = Moment("camera:0", number, 0.0, 0.0, region.name if region else None)
        part = cut(image, region) if region else image
        view.write(result_record(halves(part, moment), moment, part))


def shown(view: View, after: int = 0) -> tuple[int, NDArray[np.int_]]:
    found = view.next_jpeg(after, 0)
    assert found is not None
    image = cv2.imdecode(np.frombuffer(found[1], np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return found[0], image[:, :, ::-1].astype(int)


def assert_color(image: NDArray[np.int_], x: int, y: int, color: tuple[int, int, int]) -> None:
    """Allow for what JPEG changes."""
    assert np.abs(image[y, x] - color).max() <= 8, image[y, x]


def test_picture_is_shown_under_its_colours() -> None:
    """Half of the picture's 100 and half of the class's colour: (100 + 200) / 2 = 150, (100 + 0) / 2 = 50."""
    view = View()
    show(view, 1)
    _, image = shown(view)
    assert_color(image, 10, 30, (150, 50, 50))
    assert_color(image, 70, 30, (50, 150, 50))


def test_each_region_is_coloured_where_it_lies_and_the_rest_is_plain() -> None:
    regions = (Region("gate", 0, 0, 0.5, 0.5), Region("pen", 0.5, 0.5, 0.5, 0.5))
    view = View(regions)
    show(view, 1, regions, scale=8)
    _, image = shown(view)
    # away from the frames around the regions, and from the texts along their upper edges
    assert_color(image, 80, 160, (150, 50, 50))
    assert_color(image, 240, 160, (50, 150, 50))
    assert_color(image, 400, 400, (150, 50, 50))
    assert_color(image, 560, 400, (50, 150, 50))
    assert_color(image, 480, 80, (100, 100, 100))
    assert_color(image, 80, 400, (100, 100, 100))
    # a frame of yellow around each
    assert (image[120, 0] > (200, 140, -1)).all()
    assert image[120, 0, 2] < 90


def test_region_that_comes_later_is_a_newer_picture() -> None:
    """Who looked between two answers for one picture sees the second one too."""
    regions = (Region("gate", 0, 0, 0.5, 1), Region("pen", 0.5, 0, 0.5, 1))
    view = View(regions)
    show(view, 1, regions[:1])
    number, image = shown(view)
    assert_color(image, 60, 30, (100, 100, 100))
    moment = Moment("camera:0", 1, 0.0, 0.0, "pen")
    view.write(result_record(halves(cut(gray(), regions[1]), moment), moment))
    _, image = shown(view, number)
    assert_color(image, 10, 30, (150, 50, 50))
    assert_color(image, 50, 30, (150, 50, 50))


def test_colours_belong_to_the_picture_that_is_shown() -> None:
    """While one thread shows red and green pictures in turn, no reader sees one with the other's colours."""
    view, over = View(), threading.Event()
    plain = {level: np.full((16, 16, 3), level, np.uint8) for level in (40, 240)}

    def run() -> None:
        number = 0
        while not over.is_set():
            number += 1
            level = (40, 240)[number % 2]
            moment = Moment("camera:0", number, 0.0, 0.0)
            mask = np.full((16, 16), number % 2, np.uint8)
            shares = np.array([0.5, 0.5], np.float32)
            view.picture(plain[level], moment)
            answer = Segmentation(shares, NAMES, moment=moment, mask=mask, image=plain[level], palette=PALETTE)
            view.write(result_record(answer, moment))

    loop = threading.Thread(target=run)
    loop.start()
    try:
        number, until_s = 0, time.monotonic() + 1
        while time.monotonic() < until_s:
            if (found := view.next_jpeg(number, 1)) is not None:
                number = found[0]
                image = cv2.imdecode(np.frombuffer(found[1], np.uint8), cv2.IMREAD_COLOR)
                assert image is not None
                # (40 + 200) / 2 = 120 of red in dark pictures, (240 + 200) / 2 = 220 of green in bright ones
                blue, green, red = (int(level) for level in image[8, 8])
                assert (red > 100 > green) if blue < 70 else (green > 200 > red)
    finally:
        over.set()
        loop.join()


def test_panel_says_which_colour_is_which_class() -> None:
    view = View()
    show(view, 1)
    html = panel(view.shown(), RunStatus(60.0).snapshot())
    assert html.index('fill="#c80000"') < html.index("soil</th>")
    assert html.index('fill="#00c800"') < html.index("crop</th>")


def test_events_do_not_keep_their_pictures() -> None:
    view, image = View(), gray()
    moment = Moment("camera:0", 1, 0.0, 0.0)
    view.write(event_record(Event("label", moment, {"label": "crop"}), halves(image, moment), image))
    (event,) = view.shown().events
    assert (event.image, event.result) == (None, None)
