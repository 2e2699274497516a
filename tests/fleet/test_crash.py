"""Killed at any step, a command leaves the boards the old site or the new one, and works when it is given again."""

import os
import shutil
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edgevit.fleet.create import create_site
from edgevit.fleet.publish import promote, publish, rollback
from edgevit.fleet.site import Site, open_site
from edgevit.fleet.upkeep import prune, renew, rotate
from tests.fleet.conftest import Publish
from tests.plain_board import PlainBoard

NAME = "stable/farm.onnx"
Command = Callable[[Site], object]


def _renew(site: Site) -> object:
    return renew(site, datetime.now(UTC) + timedelta(days=60))


@pytest.mark.parametrize(
    ("command", "before", "after"),
    [
        ("publish", "bb", "ccc"),
        ("promote", "bb", "a"),
        ("rollback", "bb", "a"),
        ("renew", "bb", "bb"),
        pytest.param("rotate", "bb", "bb", marks=pytest.mark.slow),
        ("prune", "bb", "bb"),
    ],
)
def test_a_command_killed_at_any_step_leaves_the_old_or_the_new(
    site: Path, models: dict[str, Path], give: Publish, tmp_path: Path, command: str, before: str, after: str
) -> None:
    commands: dict[str, Command] = {
        "publish": lambda site: publish(site, models["ccc"], "farm.onnx", "stable"),
        "promote": lambda site: promote(site, "farm.onnx", "canary", "stable"),
        "rollback": lambda site: rollback(site, "farm.onnx", "stable"),
        "renew": _renew,
        "rotate": rotate,
        "prune": lambda site: prune(site, keep=1),
    }
    run = commands[command]
    give("a", "canary")
    give("a")
    give("bb")
    known = PlainBoard(tmp_path / "known", site / "metadata" / "1.root.json")
    known.look(site, NAME)
    seen, steps = [], 0
    while True:
        steps += 1
        killed = tmp_path / f"{steps}" / "farm"
        shutil.copytree(site, killed)
        shutil.copytree(site.with_name("farm-keys"), killed.with_name("farm-keys"))
        is_over = _run_until(steps, lambda folder=killed: _on(folder, run))  # type: ignore[misc]
        shutil.copytree(known.home, killed.with_name("known"))
        for home in ("known", "new"):
            board = PlainBoard(killed.with_name(home), site / "metadata" / "1.root.json")
            seen.append(board.look(killed, NAME)[1])
        with open_site(killed) as opened:
            if opened.rollout("stable", "farm.onnx").edition.version == 2:  # else a rollback would go further back
                written = _documents(killed)
                run(opened)
                # what a cache may have kept is never written anew
                assert written.items() <= _documents(killed).items() or command == "prune"
        assert board.look(killed, NAME)[1] == models[after].read_bytes()
        if is_over:
            break
    change = seen.index(models[after].read_bytes())
    assert seen == [models[before].read_bytes()] * change + [models[after].read_bytes()] * (len(seen) - change)
    # two steps a file, but for what prune removes: it writes nothing
    assert steps >= {"publish": 9, "promote": 9, "rollback": 7, "renew": 11, "rotate": 25, "prune": 1}[command]


def test_an_init_killed_at_any_step_says_how_to_go_on(tmp_path: Path) -> None:
    for step in range(1, 20):
        folder = tmp_path / f"{step}" / "farm"
        folder.mkdir(parents=True)
        if _run_until(step, lambda folder=folder: create_site(folder)):  # type: ignore[misc]
            break
        with pytest.raises(Exception, match="a site of models already|remove it if an init was cut off"):
            create_site(folder)
        shutil.rmtree(folder.with_name("farm-keys"))
        if not (folder / "metadata" / "timestamp.json").exists():
            create_site(folder)
            PlainBoard(tmp_path / f"board{step}", folder / "metadata" / "1.root.json").look(folder, NAME)
    # four keys and the root beside them, then four documents, each with two flushes
    assert step == 19


def _documents(site: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (site / "metadata").glob("[0-9]*.json")}


def _on(folder: Path, command: Command) -> None:
    with open_site(folder) as site:
        command(site)


def _run_until(step: int, run: Callable[[], object]) -> bool:
    """Run a command in a process that is killed at its n-th flush; return whether it came to its end before."""
    child = os.fork()
    if child == 0:
        _be_killed_at(step)
        try:
            run()
            os._exit(0)
        except BaseException:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
    return status == 0


def _be_killed_at(step: int) -> None:
    flush, left = os.fsync, step

    def flush_or_die(handle: int) -> None:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        flush(handle)

    os.fsync = flush_or_die  # type: ignore[assignment]
