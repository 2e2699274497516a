"""Kill a broker and a board again and again, and count what is lost: python benchmarks/delivery_kills.py [--kills 30].

Needs mosquitto (apt-get install mosquitto) and the extra mqtt. A process writes records through its spool to a real
Mosquitto while, by chance:

- the broker is ended by SIGKILL and started again, so many times;
- the process is ended by SIGKILL and started again, as often;
- in between the broker's access list forbids a topic, and allows it again;
- every 50th record is larger than the broker takes.

In the end each record that the spool took must have arrived, or be kept by the spool with the reason for which the
broker refused it; in the order in which they were written; and what came twice must have been the same record.
"""

import json
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from edgevit.runtime.addresses.destinations import parse_sink
from edgevit.runtime.delivery.spool import Spool
from edgevit.runtime.events.event import Event
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import event_record
from edgevit.runtime.sinks.opening import SinkContext, open_sinks

LIMIT = 4000
"""Bytes of a message that the broker takes."""
KINDS = ("label", "frozen", "blurred")
FORBIDDEN = "bench/frozen"


class Broker:
    """A Mosquitto whose access list can be changed, and which remembers who is subscribed when it is killed."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if program is None:
            raise click.ClickException("mosquitto is not installed; run: apt-get install mosquitto")
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        folder.mkdir()
        self._rights, config = folder / "acl", folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\nacl_file {self._rights}\n"
            f"message_size_limit {LIMIT}\nmax_inflight_messages 0\nmax_queued_messages 0\n"
            f"persistence true\npersistence_location {folder}/\nautosave_interval 0\n"
        )
        self._command = [program, "-c", str(config)]
        self._saved = folder / "mosquitto.db"
        self.allow(True)
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        for _ in range(1000):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.01)
        raise click.ClickException("mosquitto does not start")

    def allow(self, everything: bool) -> None:
        denied = "" if everything else f"topic deny {FORBIDDEN}\n"
        self._rights.write_text(f"topic readwrite #\n{denied}")
        self._rights.chmod(0o700)
        if hasattr(self, "process"):
            self.process.send_signal(signal.SIGHUP)

    def remember(self) -> None:
        """Have it write down who is subscribed."""
        self.process.send_signal(signal.SIGUSR1)
        while not self._saved.exists():
            time.sleep(0.01)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Receiver:
    """Notes what arrives: each id's first message in order, and whether a repetition was another one."""

    def __init__(self, port: int) -> None:
        from paho.mqtt import client as paho

        self.first: dict[str, bytes] = {}
        self.repeats = self.different = 0
        self.is_there = threading.Event()
        ready = threading.Event()
        self.client: Any = paho.Client(paho.CallbackAPIVersion.VERSION2, "receiver", clean_session=False)
        self.client.reconnect_delay_set(0.05, 0.1)
        self.client.on_connect = self._connected
        self.client.on_disconnect = lambda *_: self.is_there.clear()
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.on_message = self._take
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        ready.wait(10)

    def _connected(self, client: Any, *_: Any) -> None:
        client.subscribe([(f"bench/{kind}", 1) for kind in KINDS])
        self.is_there.set()

    def _take(self, _client: Any, _data: Any, message: Any) -> None:
        if message.retain:  # what it kept from before, on subscribing again
            return
        identity = json.loads(message.payload)["id"]
        if identity in self.first:
            self.repeats += 1
            self.different += self.first[identity] != message.payload
        self.first.setdefault(identity, message.payload)


class Board:
    """A process that writes records, and is killed and started again."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder, self._port = folder, port
        self.taken: list[str] = []
        self._lines: list[str] = []

    def start(self, count: int = 0) -> None:
        command = [sys.executable, __file__, "board", str(self._folder), str(self._port), str(count)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,))
        self._reader.start()

    def _read(self, pipe: Any) -> None:
        # a line that was cut by the kill says nothing
        self.taken += [line.strip() for line in pipe if line.endswith("\n")]

    def kill(self) -> None:
        self._process.kill()
        self.finish()

    def finish(self) -> None:
        self._process.wait()
        self._reader.join()


@click.group(invoke_without_command=True, help=__doc__)
@click.option("--kills", default=30, show_default=True, help="How often to kill the broker, and as often the board.")
@click.option("--seed", default=0, show_default=True)
@click.pass_context
def main(context: click.Context, kills: int, seed: int) -> None:
    if context.invoked_subcommand:
        return
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        broker = Broker(folder / "broker")
        receiver = Receiver(broker.port)
        broker.remember()
        board = Board(folder / "spool", broker.port)
        board.start()
        begun_s, changes = time.monotonic(), 0
        whom = ["broker"] * kills + ["board"] * kills
        chance.shuffle(whom)
        for each in whom:
            time.sleep(chance.uniform(0.3, 3))
            if chance.random() < 0.5:
                changes += 1
                broker.allow(changes % 2 == 0)
                time.sleep(chance.uniform(0, 0.5))
            if each == "board":
                board.kill()
                board.start()
            else:
                # what it confirmed and has not passed on would be lost by the broker, not by the board
                receiver.is_there.wait(30)
                time.sleep(0.3)
                broker.kill()
                time.sleep(chance.uniform(0, 1))
                broker.start()
        board.kill()
        broker.allow(True)
        receiver.is_there.wait(30)
        board.start(100)
        board.finish()
        time.sleep(1)
        refused = kept(folder / "spool")
        receiver.client.disconnect()
        receiver.client.loop_stop()
        broker.kill()
        click.echo(
            f"{kills} kills of each, {changes} changes of rights, {time.monotonic() - begun_s:.0f} s, seed {seed}"
        )
        report(board.taken, receiver, refused)


def kept(folder: Path) -> dict[str, str]:
    """Return the records that the spool keeps since the broker refused them, with the reasons."""
    (path,) = folder.glob("*.sqlite")
    spool = Spool(path, 200_000_000)
    found = {stored.id: reason for stored, reason in spool.refused(1_000_000)}
    waiting = spool.counts().waiting
    spool.close()
    if waiting:
        raise click.ClickException(f"{waiting} records still wait")
    return found


def report(taken: list[str], receiver: Receiver, refused: dict[str, str]) -> None:
    place = {identity: number for number, identity in enumerate(receiver.first)}
    lost = [identity for identity in taken if identity not in place and identity not in refused]
    order = [place[identity] for identity in taken if identity in place]
    reasons: dict[str, int] = {}
    for reason in refused.values():
        reasons[reason] = reasons.get(reason, 0) + 1
    click.echo(
        f"taken by the spool {len(taken)}, arrived {len(place)}, refused and kept {len(refused)} {reasons}, "
        f"lost {len(lost)}, in order {order == sorted(order)}, repeated {receiver.repeats}, "
        f"of these different {receiver.different}"
    )
    if lost or order != sorted(order) or receiver.different or not refused:
        raise click.ClickException("records were lost, came out of order or were altered, or nothing was refused")


@main.command(hidden=True)
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("port", type=int)
@click.argument("count", type=int)
def board(folder: Path, port: int, count: int) -> None:
    """Write records, `count` or without end; print the id of each once the spool has it."""
    place = parse_sink(f"mqtt://127.0.0.1:{port}/bench")
    sinks = open_sinks([place], SinkContext(spool=folder, source="made", environment={}))
    number = 0
    while not count or number < count:
        text = "x" * (LIMIT + 2000 if number % 50 == 49 else number % 500)
        moment = Moment("made", number, time.monotonic(), time.time())
        record = event_record(Event(KINDS[number % len(KINDS)], moment, {"label": text, "active": True}))
        sinks.write(record)
        sys.stdout.write(f"{record.id}\n")
        sys.stdout.flush()
        number += 1
        time.sleep(0.005)
    until_s = time.monotonic() + 300
    while sinks.backlogs()[0].counts.waiting and time.monotonic() < until_s:
        time.sleep(0.1)
    sinks.close()


if __name__ == "__main__":
    main()
