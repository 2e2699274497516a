"""A real Mosquitto on loopback, and somebody who listens to it."""

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port
from tests.waiting import GENEROUS_S, wait_for

paho = pytest.importorskip("paho.mqtt.client", reason="paho-mqtt is not installed: pip install 'edgevit[mqtt]'")
MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
needs_broker = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed: apt-get install mosquitto")


class Mosquitto:
    """A broker that keeps what it was given over a restart."""

    def __init__(self, folder: Path, *lines: str, own_queue: bool = True) -> None:
        """Start one with these settings; with `own_queue` it drops nothing for a subscriber who is away."""
        self.port = free_port()
        folder.mkdir()
        self._config = folder / "mosquitto.conf"
        own = [f"listener {self.port} 127.0.0.1", *lines] if lines else [f"listener {self.port} 127.0.0.1"]
        anonymous = [] if any(line.startswith("allow_anonymous") for line in lines) else ["allow_anonymous true"]
        kept = ["persistence true", f"persistence_location {folder}/", "user root"]
        kept += ["max_queued_messages 0"] if own_queue else []
        self._config.write_text("\n".join([*own, *anonymous, *kept, ""]))
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        assert MOSQUITTO
        self._process = subprocess.Popen([MOSQUITTO, "-c", self._config], stderr=subprocess.DEVNULL)
        wait_for(self._accepts)

    def _accepts(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def signal(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)

    def stop(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        self._process.wait()


class Subscriber:
    """Receives everything, also what was published while the broker restarted."""

    def __init__(self, port: int) -> None:
        self.messages: list[tuple[str, bytes, bool]] = []
        self._lock, self._marks = threading.Lock(), 0
        # a broker ends the connection of who has the same name
        name = f"subscriber {uuid.uuid4()}"
        self._client: Any = paho.Client(paho.CallbackAPIVersion.VERSION2, name, clean_session=False)
        self._client.reconnect_delay_set(0.05, 0.2)
        subscribed = threading.Event()
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert subscribed.wait(GENEROUS_S)

    def _take(self, _client: Any, _data: Any, message: Any) -> None:
        with self._lock:
            self.messages.append((message.topic, message.payload, message.retain))

    def settle(self) -> None:
        """Return once all has come that the broker had before this call: it sends one reader all in order."""
        mark = f"settled/{id(self)}/{self._marks}"
        self._marks += 1
        self._client.publish(mark, qos=1)
        wait_for(lambda: self.on(mark))

    def on(self, topic: str) -> list[bytes]:
        with self._lock:
            return [payload for name, payload, _ in self.messages if name == topic]

    def first_ids(self, topic: str) -> list[str]:
        """Return the ids in the order in which each arrived first."""
        return list(dict.fromkeys(json.loads(payload)["id"] for payload in self.on(topic)))

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
