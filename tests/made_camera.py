"""An MJPEG camera on loopback that shows red pictures."""

import contextlib
import socket
import threading

import cv2
import numpy as np

COLORS = {"red": (200, 50, 25), "blue": (25, 50, 200)}
MJPEG = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"


class Camera:
    """An MJPEG camera on loopback that shows pictures, each a little different, until it is paused or closed."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        self.paused, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(OSError):
                connected, _ = self._listener.accept()
                with connected:
                    connected.recv(65536)
                    connected.sendall(MJPEG)
                    self._show(connected)

    def _show(self, connected: socket.socket) -> None:
        for number in range(1_000_000):
            image = np.full((48, 64, 3), COLORS["red"][::-1], np.uint8)
            image[8:16, 8:16] += np.uint8(number % 12)
            data = bytes(cv2.imencode(".jpg", image)[1].tobytes())
            if not self.paused.is_set():
                connected.sendall(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + data + b"\r\n")
            if self._over.wait(0.05):
                return

    def close(self) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
