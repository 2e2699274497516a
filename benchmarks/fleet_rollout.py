"""Fifty boards follow one channel through 10, 50 and 100 %, while the web server and the boards are killed.

    python benchmarks/fleet_rollout.py [--boards N] [--cuts N] [--selftest] [--seed N]
    python benchmarks/fleet_rollout.py --cost

The site is made and published by `edgevit fleet`'s own functions and handed out by a web server on loopback. Each
check of a board is a process of its own, as a timer starts it. In the first two rounds of each share every board is
killed with SIGKILL as it begins one of the ten steps, each step in turn; the server is killed in the middle of a model
as often as --cuts says, and started anew. Then rounds follow until nothing changes any more.

What is not real: the boards' services are played by one small process that loads a file when it is told, counts
results and writes the status files; and any bytes pass the self-test, unless --selftest runs it (seconds for each
board). Each digest that the services load is noted: one that was never published is an unverified byte that ran.

--cost prints what one check takes where nothing is new: memory, processor time and requests. Needs the extras export,
fleet and update.
"""

import hashlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.process import BaseProcess
from pathlib import Path

import click
from rollout.board import TARGET, Board, check_once, make_boards, play_services
from rollout.model import write_model
from rollout.server import FORK, WebServer

from edgevit.fleet.create import create_site
from edgevit.fleet.publish import promote, publish
from edgevit.fleet.site import open_site
from edgevit.runtime.enroll.settings import enrollment_path
from edgevit.runtime.update.board import Step
from edgevit.runtime.update.enrollment import write_enrollment
from edgevit.runtime.update.offer import takes_part
from edgevit.runtime.update.state import Release, UpdateState, write_state
from edgevit.system.program import Program

PERCENTS = (10, 50, 100)
TOGETHER = 6
"""Boards that check at the same time."""
MOST_ROUNDS = 12

COST = """
import sys, time
from edgevit.cli import main
try:
    main(["update", "--user"])
except SystemExit as end:
    assert end.code == 0
peak_mb = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1e3
print(peak_mb, time.process_time())
"""


def run_round(boards: list[Board], steps: dict[Board, Step], server: WebServer, selftest: bool) -> Counter[str]:
    """Check each board once, some at a time; return how many were killed, by step, and how many checks failed."""
    waiting, running, ended = list(boards), dict[Board, BaseProcess](), Counter[str]()
    while waiting or running:
        while waiting and len(running) < TOGETHER:
            board = waiting.pop()
            running[board] = FORK.Process(target=check_once, args=(board, steps.get(board), selftest))
            running[board].start()
        time.sleep(0.02)
        server.revive()
        for board in [board for board, process in running.items() if not process.is_alive()]:
            process = running.pop(board)
            process.join()
            if process.exitcode == -signal.SIGKILL:
                ended[steps[board].name] += 1
            elif process.exitcode:
                ended["failed"] += 1
    return ended


def roll_out(work: Path, count: int, cuts: int, selftest: bool, seed: int) -> bool:
    """Publish, promote twice, and check until all is quiet; print what became of it, and return whether all is well."""
    draw, site = random.Random(seed), work / "farm"
    create_site(site)
    old, new = write_model(work / "old.onnx", 1), write_model(work / "new.onnx", 2)
    digests = {hashlib.sha256(path.read_bytes()).hexdigest(): path.stem for path in (old, new)}
    signed = list(digests)[1]
    with open_site(site) as opened:
        publish(opened, old, "farm.onnx", "stable")
    server = WebServer(site, cuts, draw)
    root = (site / "metadata" / "1.root.json").read_text()
    boards = make_boards(work, server.url, root, count, old)
    services = FORK.Process(target=play_services, args=(boards,))
    services.start()
    try:
        print(f"{count} boards; a model has {new.stat().st_size:,} bytes", flush=True)
        killed, well = Counter[str](), True
        for percent in PERCENTS:
            with open_site(site) as opened:
                if percent == PERCENTS[0]:
                    publish(opened, new, "farm.onnx", "stable", percent)
                else:
                    promote(opened, "farm.onnx", "stable", "stable", percent)
            begun_s, rounds = time.monotonic(), 0
            expected = {board for board in boards if takes_part(board.enrollment.board, signed, percent)}
            # those that have something to do come first, so that all steps are met
            ordered = sorted(boards, key=lambda board: (board.runs() == signed) or (board not in expected))
            while rounds < MOST_ROUNDS and (rounds < 2 or not all(board.is_settled() for board in boards)):
                steps = {board: Step(1 + (number + 4 * rounds) % len(Step)) for number, board in enumerate(ordered)}
                killed += run_round(boards, steps if rounds < 2 else {}, server, selftest)
                rounds += 1
            on_new = {board for board in boards if board.runs() == signed}
            well = well and on_new == expected
            print(
                f"{percent:3d} %: {len(on_new)} boards run the new model, {len(expected)} are to; {rounds} rounds, "
                f"{time.monotonic() - begun_s:.0f} s, the server was killed {server.kills} times so far",
                flush=True,
            )
        loaded = Counter(line for board in boards for line in (board.folder / "loaded").read_text().split())
        unverified = sum(number for digest, number in loaded.items() if digest not in digests)
        without = sum(not board.enrollment.model.is_file() for board in boards)
        most = max(len(list(board.enrollment.into.glob("farm*.onnx"))) for board in boards)
        ended = sum(board.runs() == signed for board in boards)
        failed = killed.pop("failed", 0)
        print(f"boards killed: {', '.join(f'{step.name.lower()} {killed[step.name]}' for step in Step)}")
        print(f"checks that failed and were made good later: {failed}")
        files = [board.folder / "failures" for board in boards]
        reasons = Counter(line for file in files if file.exists() for line in file.read_text().splitlines())
        print("".join(f"  {number} x {reason}\n" for reason, number in reasons.most_common(5)), end="")
        print(f"ended on the signed model: {ended} of {count}")
        print(
            f"unverified bytes run: {unverified}; boards without a model: {without}; models on a disk: at most {most}"
        )
        return well and (ended, unverified, without, most) == (count, 0, 0, 2) and server.kills >= cuts
    finally:
        services.kill()
        services.join()
        server.close()


def measure_cost(work: Path) -> None:
    """Print what a check takes where nothing is new."""
    site = work / "farm"
    create_site(site)
    model = write_model(work / "new.onnx", 2)
    with open_site(site) as opened:
        publish(opened, model, "farm.onnx", "stable")
    server = WebServer(site, 0, random.Random(0))
    try:
        (board,) = make_boards(work, server.url, (site / "metadata" / "1.root.json").read_text(), 1, model)
        write_enrollment(enrollment_path("edgevit", True, {"XDG_CONFIG_HOME": str(work)}), board.enrollment)
        release = Release(1, hashlib.sha256(model.read_bytes()).hexdigest())
        write_state(board.enrollment.into, UpdateState(TARGET, "stable", "current", release, release))
        (work / "systemctl").write_text("#!/bin/sh\necho inactive\n")
        (work / "systemctl").chmod(0o755)
        settings = {"XDG_CONFIG_HOME": str(work), "XDG_RUNTIME_DIR": str(work), "PATH": f"{work}:{os.environ['PATH']}"}
        found = []
        for _ in range(6):
            before = server.asked.value
            done = subprocess.run(
                [sys.executable, "-c", COST], env=os.environ | settings, check=True, capture_output=True, text=True
            )
            peak_mb, processor_s = map(float, done.stdout.splitlines()[-1].split())
            found.append({"peak_mb": peak_mb, "processor_s": processor_s, "requests": server.asked.value - before})
        # the first one learns of the site
        print(json.dumps({name: round(statistics.median(one[name] for one in found[1:]), 3) for name in found[0]}))
    finally:
        server.close()


@click.command(cls=Program, help=__doc__.splitlines()[0] if __doc__ else None)
@click.option("--boards", default=50, show_default=True)
@click.option("--cuts", default=20, show_default=True, help="How often the server is killed.")
@click.option("--selftest", is_flag=True, help="Run the models' self-tests too.")
@click.option("--seed", default=1, show_default=True)
@click.option("--cost", is_flag=True, help="Print what one check takes instead.")
def main(boards: int, cuts: int, selftest: bool, seed: int, cost: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
        if cost:
            measure_cost(Path(folder))
        elif not roll_out(Path(folder), boards, cuts, selftest, seed):
            sys.exit(1)


if __name__ == "__main__":
    main()
