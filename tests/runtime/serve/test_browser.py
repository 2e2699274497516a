"""The page in a real browser: headless Chromium shows the picture, the label, and goes on asking for news."""

import logging
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.runtime.moment import Moment
from edgevit.runtime.records import result_record
from edgevit.runtime.results import Result
from edgevit.runtime.serve.address import Access
from edgevit.runtime.serve.answers import PageState
from edgevit.runtime.serve.server import Server
from edgevit.runtime.serve.status import RunStatus
from edgevit.runtime.serve.view import View

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian's package chromium)")

TEAL = (20, 160, 140)
LABEL = "<img src=x onerror=alert(1)>"
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage")


@pytest.fixture
def server() -> Iterator[Server]:
    """Serve a run that shows a teal picture, again and again."""
    view, status, over = View(), RunStatus(60.0), threading.Event()
    made = Server(
        Access("127.0.0.1", 0), PageState(view, status, {"version": "1", "model": "m.onnx", "source": "camera:0"})
    )
    image = np.full((480, 640, 3), TEAL, np.uint8)

    def show() -> None:
        number = 0
        while not over.wait(0.1):
            number += 1
            moment = Moment("camera:0", number, time.monotonic(), time.time())
            view.picture(image, moment)
            record = result_record(Result(np.array([0.75, 0.25], np.float32), (LABEL, "fox"), moment=moment), moment)
            status.write(record)
            view.write(record)

    loop = threading.Thread(target=show)
    loop.start()
    assert view.next_jpeg(0, 60)
    yield made
    over.set()
    loop.join()
    made.close()


def browse(server: Server, folder: Path, *options: str) -> "subprocess.CompletedProcess[bytes]":
    assert CHROMIUM is not None
    command = [CHROMIUM, *OPTIONS, f"--user-data-dir={folder / 'profile'}", *options, server.url]
    return subprocess.run(command, capture_output=True, check=True, timeout=300)


def screenshot(server: Server, folder: Path, size: str) -> NDArray[np.uint8]:
    """Return what is on the screen as an (H, W, 3) RGB image."""
    browse(server, folder, f"--screenshot={folder / 'page.png'}", f"--window-size={size}", "--timeout=120000")
    read = cv2.imread(str(folder / "page.png"))
    assert read is not None
    return np.asarray(read[:, :, ::-1], np.uint8)


@needs_chromium
def test_wide_screen_shows_the_picture_beside_its_label(server: Server, tmp_path: Path) -> None:
    shot = screenshot(server, tmp_path, "1280,800")
    is_teal = (np.abs(shot.astype(int) - TEAL) < 8).all(axis=2)
    rows, columns = np.nonzero(is_teal)
    height, width = int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1
    # three fifths of the width, in the proportions of the camera
    assert 550 < width < 750
    assert height == pytest.approx(width * 480 / 640, abs=3)
    beside = shot[rows.min() : rows.max(), columns.max() + 30 :]
    assert (beside.max(axis=2) < 60).sum() > 200, "there is no dark text beside the picture"


@needs_chromium
def test_phone_shows_the_picture_over_its_whole_width(server: Server, tmp_path: Path) -> None:
    # Chromium makes no window narrower than 500 pixels
    shot = screenshot(server, tmp_path, "500,900")
    is_teal = (np.abs(shot.astype(int) - TEAL) < 8).all(axis=2)
    _, columns = np.nonzero(is_teal)
    assert np.ptp(columns) > 0.9 * 500
    assert shot.shape[1] == 500


@needs_chromium
def test_script_brings_news_and_a_label_that_is_html_stays_text(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The policy lets the script run, or neither stream nor news would be asked for."""
    caplog.set_level(logging.DEBUG, logger="edgevit.runtime.serve.server")
    page = browse(server, tmp_path, "--dump-dom", "--virtual-time-budget=5000", "--timeout=120000").stdout.decode()
    asked = [match[1] for record in caplog.records if (match := re.search(r"GET /(\S*) ", record.getMessage()))]
    assert asked[:2] == ["", "picture.jpg"]
    assert any(path.startswith("stream.mjpg?") for path in asked)
    assert "panel" in asked
    assert "&lt;img src=x onerror=alert(1)&gt; 0.75" in page
    assert "<img src=x" not in page
    assert len(re.findall("<img", page)) == 1
