"""An update that is killed anywhere: nothing is torn, a model is always there, and the next run ends right."""

import dataclasses
import hashlib
import json
import os
import subprocess
import sys

import pytest

from edgevit.runtime.update.board import Step
from edgevit.runtime.update.state import Release
from tests.made_signed_site import MadeSite
from tests.made_static_web import StaticWeb
from tests.made_update_board import SILENT, MadeBoard, Make
from tests.places import ROOT

pytestmark = pytest.mark.usefixtures("any_bytes")

OLD, NEW = b"an old model" * 5000, b"a new model" * 9000
FAULTY = NEW + SILENT

UPDATE = """
import os, signal, sys
from pathlib import Path
from edgevit.runtime.update import install
from edgevit.runtime.update.enrollment import read_enrollment
from tests.made_update_board import FileService, MadeBoard

# any bytes pass for a model here
install.prove = lambda path, bounds: None
enrollment = read_enrollment(Path(sys.argv[1]))
kind, place = sys.argv[3].split()
calls = 0

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def reached(step):
    if kind == "step" and step.name == place:
        die()

def counted(name):
    true = getattr(os, name)
    def call(*arguments, **options):
        global calls
        calls += 1
        if kind == "before" and calls == int(place):
            die()
        return true(*arguments, **options)
    setattr(os, name, call)

# every call by which something gets its name on the disk, or stays there
for name in ("replace", "link", "unlink", "fsync"):
    counted(name)
board = MadeBoard(enrollment, FileService(enrollment.model, Path(sys.argv[2])))
state = board.check(reached=reached)
print(calls, state.state)
"""


def killed(board: MadeBoard, where: str) -> "subprocess.CompletedProcess[str]":
    """Run one check in a process that kills itself at a place."""
    enrolled = board.into.parent / "update.json"
    document = dataclasses.asdict(board.enrollment) | {"into": str(board.into)}
    enrolled.write_text(json.dumps(document))
    command = [sys.executable, "-c", UPDATE, str(enrolled), str(board.service.file), where]
    return subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, cwd=board.into
    )


def sound(board: MadeBoard) -> None:
    """Check what holds at any moment: a whole model is there, a whole model answers, and the disk is bound."""
    assert board.model in (OLD, NEW, FAULTY)
    assert board.service.running in (OLD, NEW, FAULTY)
    for path in board.into.glob("farm.previous*"):
        assert path.read_bytes() in (OLD, NEW, FAULTY)
    models = [name for name in board.files if name.endswith(".onnx")]
    assert len({(board.into / name).stat().st_ino for name in models}) <= 3


def ends_right(board: MadeBoard) -> None:
    """Run the next checks: at the end the service runs the signed model, and says so."""
    state = board.check()
    assert state.state in ("confirmed", "current")
    assert board.check().state == "current"
    assert board.model == board.service.running == NEW
    status = board.service.status()
    assert status is not None
    assert status.sha256 == hashlib.sha256(NEW).hexdigest()
    assert state.installed == Release(1, status.sha256)
    assert set(board.files) <= {"farm.onnx", "farm.previous.onnx"}


def came_back(board: MadeBoard) -> None:
    """Run the next checks: a model that gives no results is gone, and stays away."""
    for _ in range(2):
        state = board.check()
    assert state.state == "rolled back"
    assert board.model == board.service.running == OLD
    assert set(board.files) <= {"farm.onnx", "farm.previous.onnx"}
    assert state.error is not None


@pytest.mark.parametrize("step", list(Step))
def test_update_killed_at_a_step_is_made_good_by_the_next(site: MadeSite, make: Make, step: Step) -> None:
    site.publish("stable/farm.onnx", NEW)
    board = make(model=OLD)
    assert killed(board, f"step {step.name}").returncode == -9
    sound(board)
    ends_right(board)


@pytest.mark.parametrize("step", [Step.SWAP, Step.RELOAD, Step.RESULTS, Step.CONFIRM])
def test_way_back_killed_at_a_step_is_made_good_by_the_next(site: MadeSite, make: Make, step: Step) -> None:
    site.publish("stable/farm.onnx", FAULTY)
    board = make(model=OLD)
    assert killed(board, f"step {step.name}").returncode == -9
    sound(board)
    came_back(board)


def test_update_killed_between_swap_and_reload_is_not_called_current(site: MadeSite, make: Make) -> None:
    """The prototype's next run found the right file on the disk, and never reloaded."""
    site.publish("stable/farm.onnx", NEW)
    board = make(model=OLD)
    killed(board, "step RELOAD")
    assert board.model == NEW
    assert board.service.running == OLD
    # even where the note of the swap is lost
    (board.into / "update" / "trial.json").unlink()
    ends_right(board)


def test_killed_in_mid_download_goes_on_where_it_was(site: MadeSite, web: StaticWeb, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    board = make(model=OLD)
    web.cuts = [40_000]
    assert killed(board, "step SELFTEST").returncode == -9
    assert web.sent == len(NEW)
    ends_right(board)
    # fetched whole before the self-test, it is not fetched again
    assert web.sent == len(NEW)


@pytest.mark.slow
@pytest.mark.parametrize("content", [NEW, FAULTY], ids=["good", "faulty"])
def test_update_killed_at_any_change_of_the_disk_is_made_good_by_the_next(
    site: MadeSite, make: Make, content: bytes
) -> None:
    """Each call that changes a name or flushes is a place to die before it, one after the other."""
    site.publish("stable/farm.onnx", content)
    whole = killed(make(model=OLD), "step none")
    assert whole.returncode == 0, whole.stderr
    calls, stage = whole.stdout.split(maxsplit=1)
    assert stage.strip() == ("confirmed" if content == NEW else "rolled back")
    assert int(calls) > 30
    for place in range(1, int(calls) + 1):
        board = make(model=OLD)
        assert killed(board, f"before {place}").returncode == -9, place
        sound(board)
        (ends_right if content == NEW else came_back)(board)
