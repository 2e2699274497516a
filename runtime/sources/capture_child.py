"""A camera or network stream read through OpenCV, in a process of its own, as such a read may hang in C for ever.

A script: it is started by its path and imports nothing of edgevit. The first line of stdin is JSON: address, height and
width (0 for the camera's own), timeout_ms, on_demand. Frames go to stdout: MAGIC, height and width as little-endian
32-bit numbers, then BGR bytes. With on_demand a frame is sent for each byte on stdin. The process ends when stdin is
closed, even in the middle of a hung read; the last line on stderr says why it ended by itself.
"""

import json
import os
import struct
import sys
import threading
from typing import Any

MAGIC = b"EVF1"
HEADER = struct.Struct("<4sII")


def main() -> int:
    task = json.loads(_first_line())
    # whatever a C library prints must not get between the frames
    frames = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    asked = threading.Event()
    threading.Thread(target=_heed_stdin, args=[asked], daemon=True).start()
    try:
        return _capture(task, frames, asked)
    except BrokenPipeError:
        return 0


def _capture(task: dict[str, Any], frames: Any, asked: threading.Event) -> int:
    capture = _open(task)
    if not capture.isOpened():
        sys.stderr.write("it cannot be opened\n")
        return 1
    grabbed = False
    while capture.grab():
        grabbed = True
        if task["on_demand"] and not asked.is_set():
            continue
        asked.clear()
        decoded, image = capture.retrieve()
        if decoded and image is not None and image.ndim == 3 and image.shape[2] == 3:
            frames.write(HEADER.pack(MAGIC, *image.shape[:2]))
            frames.write(image.data if image.flags.c_contiguous else image.tobytes())
            frames.flush()
    # a Raspberry Pi's CSI camera has a device that opens and gives nothing, as libcamera is not V4L2
    hint = "" if "://" in task["address"] else "; a Raspberry Pi's CSI camera is picam"
    sys.stderr.write("it gives no more pictures\n" if grabbed else f"it opens, but gives no picture{hint}\n")
    return 1


def _open(task: dict[str, Any]) -> Any:
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    import cv2

    address = task["address"]
    if "://" in address:
        # FFmpeg's own buffers are what makes a stream lag behind; RTSP over UDP loses packets, which shows as smear
        os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp|fflags;nobuffer|flags;low_delay")
        limits = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
            task["timeout_ms"],
            cv2.CAP_PROP_READ_TIMEOUT_MSEC,
            task["timeout_ms"],
        ]
        return cv2.VideoCapture(address, cv2.CAP_FFMPEG, limits)
    device: Any = int(address) if address.isdecimal() else address
    is_device = isinstance(device, int) or address.startswith("/dev/video")
    capture = cv2.VideoCapture(device, cv2.CAP_V4L2 if is_device else cv2.CAP_ANY)
    if is_device:
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    if task["width"]:
        # uncompressed, USB 2 carries a large picture only a few times a second
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, task["width"])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, task["height"])
    return capture


def _first_line() -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        # byte by byte, so that nothing is taken that _heed_stdin should see
        byte = os.read(0, 1)
        if not byte:
            os._exit(0)
        line += byte
    return line


def _heed_stdin(asked: threading.Event) -> None:
    while os.read(0, 64):
        asked.set()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
