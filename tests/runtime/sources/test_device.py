"""A real /dev/video0: the Linux kernel's vivid test driver, on an emulated board; opt-in, see CONTRIBUTING.md."""

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.places import ROOT

BOARD = os.environ.get("EDGEVIT_BOARD_VM")
"""A command that runs `COMMAND JOB.py SHARE` on the board, where SHARE is /work."""

JOB = """
import faulthandler, json, subprocess, sys
faulthandler.dump_traceback_later(3000)
sys.path.insert(0, "/work")
import edgevit
events = []
with edgevit.load("/work/tiny.onnx", threads=1) as classifier:
    options = {"stall_timeout": "900s", "on_event": lambda event: events.append(event.to_dict())}
    live = [result.to_dict() for result in classifier.stream("/dev/video0", max_frames=3, **options)]
    sized = [result.to_dict() for result in classifier.stream("camera:0", every="1s", max_frames=2, **options)]
print("ANSWER", json.dumps({"live": live, "sized": sized, "events": events}))
"""


@pytest.mark.skipif(BOARD is None, reason="EDGEVIT_BOARD_VM names no command that runs a job on an emulated board")
def test_camera_of_an_emulated_board_is_read_and_classified(tiny_model: Path, tmp_path: Path) -> None:
    share = tmp_path / "share"
    not_on_a_board = shutil.ignore_patterns("__pycache__", "export", "training", "models")
    shutil.copytree(ROOT / "edgevit", share / "edgevit", ignore=not_on_a_board)
    shutil.copy(tiny_model, share / "tiny.onnx")
    (share / "job.py").write_text(JOB)
    done = subprocess.run(
        [*shlex.split(BOARD or ""), share / "job.py", share], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("ANSWER "))[7:])
    assert answer["events"] == []
    assert len(answer["live"]) == 3
    assert len(answer["sized"]) == 2
    for line in answer["live"] + answer["sized"]:
        assert line["top1"] in ("red", "green", "blue")
        assert line["age_ms"] >= 0
    assert len({line["frame"] for line in answer["live"]}) == 3
