"""Many made boards on a real broker as Debian installs it: how long `edgevit fleet list` takes, and whom it misses.

    python benchmarks/fleet_list.py [--boards N] [--rounds N]

Needs mosquitto (apt-get install mosquitto) and the extra mqtt. Each board has what a real one leaves at a broker: its
status, its label, its picture's problems, its connection, and its announcements to Home Assistant.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from edgevit.runtime.board.status import BoardStatus
from edgevit.runtime.delivery.broker import Broker
from edgevit.runtime.delivery.homeassistant import PROBLEMS, discovery
from edgevit.runtime.delivery.mqtt_client import V311, new_client
from edgevit.runtime.moment import iso_time
from edgevit.system.program import Program
from tests.made_broker import Mosquitto

PREFIX = "farm"


def publish_boards(port: int, count: int) -> None:
    """Leave what so many boards do at the broker."""
    client = new_client(Broker("127.0.0.1", port, PREFIX), "boards", V311)
    client.max_inflight_messages_set(50)
    client.connect("127.0.0.1", port)
    client.loop_start()
    sent = []
    for number in range(count):
        topic = f"{PREFIX}/barn{number // 50}/pen{number:04d}"
        now = iso_time(time.time())
        status = BoardStatus(
            host=f"pen{number:04d}",
            version="0.1.0",
            pid=700 + number,
            model="/srv/models/farm.onnx",
            sha256=f"{number % 3:064x}",
            since=now,
            time=now,
            results=number,
            temperature_c=61.5,
        )
        states = {"board": status.to_json(), "status": "online", "label": '{"event":"label","label":"hen"}'}
        states |= dict.fromkeys(PROBLEMS, '{"active":false}') | {"source": '{"event":"source_back"}'}
        messages = {f"{topic}/{name}": text for name, text in states.items()}
        messages |= discovery(Broker("127.0.0.1", port, topic, discovery="homeassistant"), topic, board=True)
        sent += [client.publish(name, text, qos=1, retain=True) for name, text in messages.items()]
    for each in sent:
        each.wait_for_publish()
    client.disconnect()
    client.loop_stop()


@click.command(cls=Program)
@click.option("--boards", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
def main(boards: int, rounds: int) -> None:
    """Print how long the command takes, from its start to its end, and how many boards it names."""
    with tempfile.TemporaryDirectory() as folder:
        broker = Mosquitto(Path(folder) / "broker", "allow_anonymous true", own_queue=False)
        try:
            publish_boards(broker.port, boards)
            command = [
                sys.executable,
                "-m",
                "edgevit",
                "fleet",
                "list",
                "--json",
                f"mqtt://127.0.0.1:{broker.port}/farm",
            ]
            took_s, busy_s, found = [], [], []
            for _ in range(rounds):
                begun_s, busy_before_s = time.perf_counter(), _children_s()
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                took_s.append(time.perf_counter() - begun_s)
                busy_s.append(_children_s() - busy_before_s)
                found.append(len({board["topic"] for board in json.loads(done.stdout)["boards"]}))
        finally:
            broker.stop()
    print(
        f"{boards:,} boards on the broker; {rounds} runs of edgevit fleet list named {min(found):,} to {max(found):,}"
    )
    print(f"from start to end: {statistics.median(took_s):.2f} s (median), {max(took_s):.2f} s (most)")
    print(f"processor time: {statistics.median(busy_s):.2f} s (median)")


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
