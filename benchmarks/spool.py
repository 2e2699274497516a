"""Made frames through a tiny model, the rules, the spool and a real broker: what is lost, and what it costs.

    python benchmarks/spool.py [--frames N] [--restarts N] [--kills N] [--seed N]

Needs mosquitto (apt-get install mosquitto) and the extras mqtt and export. Four parts:

- half of the frames in one process, while the broker is restarted: memory, and the time that the loop spends on rules
  and spool;
- the other half in one process after another, each ended by SIGKILL at a moment chosen by chance;
- then every id that the spool has taken must have arrived, in order;
- the same spool without a broker: the file must stay within its quota.
"""

import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgevit.runtime.addresses.destinations import parse_sinks
from edgevit.runtime.delivery.spool import Spool
from edgevit.runtime.loading import load
from edgevit.runtime.moment import Moment, record_id
from edgevit.runtime.records import RESULT
from edgevit.runtime.run.result_writer import ResultWriter
from edgevit.runtime.sinks.opening import SinkContext, open_sinks

LABELS = ("red", "green", "blue")
TOPIC = "bench"
QUOTA = 20_000_000
WARMUP = 0.2
"""Share of the frames after which memory counts."""


@dataclass
class Broker:
    """A Mosquitto that keeps what it was given over a restart."""

    folder: Path
    port: int = 0
    process: "subprocess.Popen[bytes] | None" = None
    restarts: int = 0

    def start(self) -> None:
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        if program is None:
            raise click.ClickException("mosquitto is not installed; run: apt-get install mosquitto")
        if not self.port:
            with socket.socket() as listener:
                listener.bind(("127.0.0.1", 0))
                self.port = listener.getsockname()[1]
            self.folder.mkdir()
        config = self.folder / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\npersistence true\n"
            f"persistence_location {self.folder}/\nmax_queued_messages 0\nautosave_interval 0\n"
        )
        self.process = subprocess.Popen([program, "-c", config], stderr=subprocess.DEVNULL)
        for _ in range(1000):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.01)
        raise click.ClickException("mosquitto does not start")

    def stop(self) -> None:
        assert self.process
        self.process.terminate()
        self.process.wait()


@dataclass
class Receiver:
    """Counts what arrives; also what was published while the broker was restarting."""

    port: int
    first: dict[str, int] = field(default_factory=dict)
    """Id to the order in which it arrived first."""
    repeats: int = 0
    client: Any = None

    def start(self) -> None:
        from paho.mqtt import client as paho

        ready = threading.Event()
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, "receiver", clean_session=False)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = lambda client, *_: client.subscribe(f"{TOPIC}/result", qos=1)
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.on_message = self.take
        self.client.connect("127.0.0.1", self.port)
        self.client.loop_start()
        ready.wait(10)

    def take(self, _client: Any, _data: Any, message: Any) -> None:
        identity = json.loads(message.payload)["id"]
        if identity in self.first:
            self.repeats += 1
        else:
            self.first[identity] = len(self.first)


@click.group(invoke_without_command=True, help=__doc__)
@click.option("--frames", default=200_000, show_default=True)
@click.option("--restarts", default=20, show_default=True)
@click.option("--kills", default=20, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.pass_context
def main(context: click.Context, frames: int, restarts: int, kills: int, seed: int) -> None:
    if context.invoked_subcommand:
        return
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_model(folder / "tiny.onnx")
        broker = Broker(folder / "broker")
        broker.start()
        receiver = Receiver(broker.port)
        receiver.start()
        begun_s = time.monotonic()
        click.echo(f"{frames} frames, {restarts} restarts of the broker, {kills} kills of the process, seed {seed}")
        taken, figures = steady(folder, broker, frames // 2, restarts, chance)
        click.echo(figures)
        for _ in range(kills):
            taken += killed(folder, broker.port, frames // 2 // max(1, kills), chance)
        # a last run delivers what the last killed one left
        taken += run_worker(folder, broker.port, 100)[0]
        for _ in range(600):
            if len(receiver.first) >= len(set(taken)):
                break
            time.sleep(0.1)
        lost = [identity for identity in taken if identity not in receiver.first]
        order = [receiver.first[identity] for identity in taken if identity in receiver.first]
        click.echo(
            f"taken by the spool {len(taken)}, arrived {len(receiver.first)}, lost {len(lost)}, "
            f"repeated {receiver.repeats}, in order {order == sorted(order)}; {time.monotonic() - begun_s:.0f} s in all"
        )
        receiver.client.disconnect()
        receiver.client.loop_stop()
        broker.stop()
        click.echo(bounded(folder / "bounded"))
    if lost or order != sorted(order):
        raise click.ClickException("records were lost or came out of order")


def steady(folder: Path, broker: Broker, frames: int, restarts: int, chance: random.Random) -> tuple[list[str], str]:
    """Run one process to its end while the broker goes and comes; return the ids taken, and its figures."""
    done = threading.Event()

    def disturb() -> None:
        while broker.restarts < restarts and not done.wait(chance.uniform(0.5, 3)):
            broker.stop()
            done.wait(chance.uniform(0, 2))
            broker.start()
            broker.restarts += 1

    disturber = threading.Thread(target=disturb)
    disturber.start()
    taken, last = run_worker(folder, broker.port, frames)
    done.set()
    disturber.join()
    return taken, f"{broker.restarts} restarts of the broker; {last}"


def killed(folder: Path, port: int, frames: int, chance: random.Random) -> list[str]:
    """Run a process and kill it after about so many frames; return the ids that it said were taken."""
    worker = start_worker(folder, port, frames * 100)
    assert worker.stdout
    wanted, taken = chance.randint(1, 2 * frames), []
    for line in worker.stdout:
        taken.append(line.strip())
        if len(taken) >= wanted:
            break
    time.sleep(chance.uniform(0, 0.002))
    worker.send_signal(signal.SIGKILL)
    taken += [line for line in worker.stdout.read().split("\n")[:-1] if len(line) == 32]
    worker.wait()
    return taken


def run_worker(folder: Path, port: int, frames: int) -> tuple[list[str], str]:
    worker = start_worker(folder, port, frames)
    lines = worker.communicate()[0].splitlines()
    return lines[:-1], lines[-1]


def start_worker(folder: Path, port: int, frames: int) -> "subprocess.Popen[str]":
    command = [sys.executable, __file__, "worker", str(folder), str(port), str(frames)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@main.command(hidden=True)
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("port", type=int)
@click.argument("frames", type=int)
def worker(folder: Path, port: int, frames: int) -> None:
    """Classify made frames; print the id of each result once the spool has it, and figures at the end."""
    around = SinkContext(spool=folder / "spool", spool_quota=200_000_000, environment={})
    sinks = open_sinks(parse_sinks([f"mqtt://127.0.0.1:{port}/{TOPIC}?send=results"]), around)
    outlet = ResultWriter(sinks, top_k=3)
    colors = np.random.default_rng(0).integers(0, 256, (64, 1, 1, 3), np.uint8)
    pictures = [np.broadcast_to(color, (24, 32, 3)).copy() for color in colors]
    costs_us: list[float] = []
    memory: list[int] = []
    with load(folder / "tiny.onnx", 1, labels=LABELS, mean=(0.5,) * 3, std=(0.25,) * 3) as classifier:
        for number in range(frames):
            moment = Moment("made", number, time.monotonic(), time.time())
            result = replace(classifier(pictures[number % 64]), moment=moment)
            begun = time.perf_counter()
            outlet.result(result)
            costs_us.append(1e6 * (time.perf_counter() - begun))
            identity = record_id(RESULT, moment.source, moment.roi, number, moment.wall_s)
            sys.stdout.write(f"{identity}\n")
            sys.stdout.flush()
            if number % 1000 == 999:
                memory.append(resident_kb())
                del costs_us[:-1000]
    sinks.close()
    settled = memory[int(WARMUP * len(memory)) :] or [resident_kb()]
    growth_mb = (max(settled) - settled[0]) / 1000
    click.echo(
        f"memory {settled[0] / 1000:.1f} MB after warm-up, at most {growth_mb:+.1f} MB later; "
        f"rules and spool {statistics.median(costs_us):.0f} us a frame at the median"
    )


def bounded(folder: Path) -> str:
    """Fill a spool that nobody empties; return how large its files became."""
    spool = Spool(folder / "bounded.sqlite", QUOTA)
    largest = 0
    for number in range(60_000):
        spool.put(f"{number:032d}", "result", bytes(500))
        if number % 500 == 0:
            largest = max(largest, sum(path.stat().st_size for path in folder.iterdir()))
    counts = spool.counts()
    spool.close()
    return (
        f"quota {QUOTA / 1e6:.0f} MB: files at most {largest / 1e6:.1f} MB, {counts.waiting} records kept, "
        f"{counts.dropped} oldest dropped"
    )


def resident_kb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def make_model(path: Path) -> None:
    """Write a model whose answer is the mean colour."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["channels"]),
        helper.make_node("Gemm", ["channels", "weights"], ["logits"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, 24, 32))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, (1, 3))],
        [numpy_helper.from_array(4 * np.eye(3, dtype=np.float32), "weights")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), path)


if __name__ == "__main__":
    main()
