"""A camera or network stream read through OpenCV or picamera2, in a process of its own: such a read may hang for ever.

A script: it is started by its path and imports nothing of edgevit, as it may run under another Python. The first line
of stdin is JSON: kind, address, height and width (0 for the usual), timeout_ms, on_demand; exposure_s, white_balance
and focus, each a number, "auto" or null. Frames go to stdout: MAGIC, height and width as little-endian 32-bit numbers,
then BGR bytes. With on_demand a frame is sent for each byte on stdin. The process ends when stdin is closed, even in
the middle of a hung read; the last line on stderr says why it ended by itself, with EX_USAGE for what a user must mend.
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
    except NotSettable as error:
        sys.stderr.write(f"this camera does not let {error} be set; leave it out\n")
        return os.EX_USAGE


class NotSettable(Exception):  # noqa: N818 (it is told, not raised further)
    """A camera has no such setting."""


def _capture(task: dict[str, Any], frames: Any, asked: threading.Event) -> int:
    try:
        capture = _Picamera2(task) if task["kind"] == "picam" else _open(task)
    except NotSettable:
        raise
    except Exception as error:  # picamera2's are of many kinds
        sys.stderr.write(f"it cannot be opened: {error or type(error).__name__}\n")
        return 1
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
    if capture.isOpened():
        _set_up(cv2, capture, task)
    return capture


def _set_up(cv2: Any, capture: Any, task: dict[str, Any]) -> None:
    """Ask a V4L2 camera for exposure, white balance and focus, each by its switch and its value."""
    for option, asked, switch, by_itself, by_hand, value, scale in (
        # V4L2 counts exposure in units of 100 microseconds, and calls "aperture priority" 3 and "manual" 1
        ("--exposure", task["exposure_s"], cv2.CAP_PROP_AUTO_EXPOSURE, 3, 1, cv2.CAP_PROP_EXPOSURE, 1e4),
        ("--white-balance", task["white_balance"], cv2.CAP_PROP_AUTO_WB, 1, 0, cv2.CAP_PROP_WB_TEMPERATURE, 1),
        ("--focus", task["focus"], cv2.CAP_PROP_AUTOFOCUS, 1, 0, cv2.CAP_PROP_FOCUS, 1),
    ):
        if asked is None:
            continue
        # a camera may have the value without the switch, but then it cannot do it by itself
        switched = capture.set(switch, by_itself if asked == "auto" else by_hand)
        done = switched if asked == "auto" else capture.set(value, max(1, round(asked * scale)) if asked else 0)
        if not done:
            raise NotSettable(option)


_LIGHTS = ("auto", "incandescent", "tungsten", "fluorescent", "indoor", "daylight", "cloudy")
"""In the order of libcamera's AwbMode."""
_OPTIONS = {"AeEnable": "--exposure", "AwbMode": "--white-balance", "AfMode": "--focus"}


def _controls(task: dict[str, Any]) -> dict[str, Any]:
    """Return libcamera's controls for exposure, white balance and focus."""
    controls: dict[str, Any] = {}
    if task["exposure_s"] is not None:
        controls["AeEnable"] = task["exposure_s"] == "auto"
        if task["exposure_s"] != "auto":
            controls["ExposureTime"] = round(task["exposure_s"] * 1e6)
    if task["white_balance"] is not None:
        controls["AwbMode"] = _LIGHTS.index(task["white_balance"])
    if task["focus"] is not None:
        # 2 is continuous, 0 manual
        controls["AfMode"] = 2 if task["focus"] == "auto" else 0
        if task["focus"] != "auto":
            controls["LensPosition"] = task["focus"]
    return controls


class _Picamera2:
    """A Raspberry Pi's CSI camera through picamera2, with the methods of OpenCV's VideoCapture."""

    def __init__(self, task: dict[str, Any]) -> None:
        from picamera2 import Picamera2

        self._request: Any = None
        self._camera = Picamera2(int(task["address"]))
        size = (task["width"] or 1280, task["height"] or 720)
        # what picamera2 calls RGB888 lies in memory as blue, green, red
        self._camera.configure(self._camera.create_video_configuration(main={"format": "RGB888", "size": size}))
        controls = _controls(task)
        for control, option in _OPTIONS.items():
            if control in controls and control not in getattr(self._camera, "camera_controls", _OPTIONS):
                raise NotSettable(option)
        if controls:
            self._camera.set_controls(controls)
        self._camera.start()

    def isOpened(self) -> bool:  # noqa: N802 (OpenCV's name)
        return True

    def grab(self) -> bool:
        if self._request is not None:
            self._request.release()
        self._request = self._camera.capture_request()
        return True

    def retrieve(self) -> tuple[bool, Any]:
        return True, self._request.make_array("main")


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
