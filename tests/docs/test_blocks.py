"""Every block of README and docs runs as it is pasted, in a home of its own with stand-ins for cameras and brokers."""

import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.docs.blocks import PAGES, Block, fenced_blocks, indented_lines
from tests.docs.sandbox import Sandbox, make_sandbox

MakeModel = Callable[..., Path]

NOT_RUN = {
    ("fleet.md", "# /etc/systemd/system/edgevit-update.path, then: sudo systemctl enable --now edgevit-update.path"): (
        "a unit of systemd"
    ),
    ("detection.md", "detectors:"): "a part of Frigate's configuration",
    ("sinks.md", "triggers:"): "a part of Home Assistant's configuration",
    ("other-systems.md", "py -m venv .venv"): "for Windows' command prompt",
}
"""Page and first line of a block that is not run, and why."""

BLOCKS = [block for page in PAGES for block in fenced_blocks(page)]
RUN = [block for block in BLOCKS if block.language in ("sh", "python")]
COMMANDS = re.compile(r"\S*/?(edgevit|python3?|pip|pipx|sudo|make|scp|apt|PYTHONPATH=\S+|EDGEVIT_\w+=\S+) ")
"""How a line begins that somebody might paste."""


@pytest.fixture(scope="module")
def camera() -> Iterator[str]:
    """Return the address of a server with a stream at /video and the same pictures singly elsewhere."""
    over = threading.Event()

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            stream = self.path.startswith("/video")
            self.send_response(200)
            kind = "multipart/x-mixed-replace; boundary=frame" if stream else "image/jpeg"
            self.send_header("Content-Type", kind)
            self.end_headers()
            with suppress(OSError):
                for number in count():
                    jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), (number % 200, 50, 200), np.uint8))[1].tobytes()
                    head = b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" if stream else b""
                    self.wfile.write(head + jpeg + b"\r\n")
                    if not stream or over.wait(0.05):
                        return

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Camera) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        over.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def sandbox(
    tmp_path: Path,
    tiny_model: Path,
    make_segmenter: MakeModel,
    make_detector: MakeModel,
    make_tflite: MakeModel,
    camera: str,
) -> Sandbox:
    detector = make_detector("det.onnx", labels=("hen", "fox", "egg"))
    return make_sandbox(tmp_path, tiny_model, make_segmenter("seg.onnx"), detector, make_tflite(), camera)


@pytest.mark.parametrize("block", RUN, ids=str)
def test_block_runs_as_pasted(block: Block, sandbox: Sandbox) -> None:
    done: subprocess.CompletedProcess[str] = sandbox.run(block)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr


def test_few_blocks_are_not_run_and_all_of_them_exist() -> None:
    left = {(block.page, block.first_line) for block in BLOCKS if block not in RUN and block.language != "text"}
    assert left == set(NOT_RUN)
    assert len(NOT_RUN) <= 4


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_stand_between_fences(page: Path) -> None:
    """What is only indented is not run; so it holds no commands, but for the outlines of docs/cli.md."""
    found = [line for line in indented_lines(page) if COMMANDS.match(line)]
    assert [line for line in found if not (page.name == "cli.md" and "[OPTIONS]" in line)] == []
