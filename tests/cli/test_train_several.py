"""`torchrun --nproc-per-node 2 -m edgevit train`: one voice, one set of files, and one end for both processes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.drawn_scenes import write_dataset
from edgevit.models.weights.checkpoint import read_state_dict
from tests.made_photos import write_photos
from tests.places import ROOT
from tests.training.made_teacher import write_teacher

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the test looks for processes in Linux' /proc"),
]

NAME = "efficientvit_b0"
ENDLESS = ("--sizes", "32*500", "--batch", "8")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Make two classes of 24 noisy pictures to train with, and of 4 to judge by."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 24), ("val", 4)):
        write_photos(tmp_path / "data" / part, count, rng=rng)
    return tmp_path / "data"


def start(*words: object) -> "subprocess.Popen[str]":
    """Start two processes with torchrun."""
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )


def start_training(data: Path, out: Path, *options: object) -> "subprocess.Popen[str]":
    return start("-m", "edgevit", "train", NAME, "--data", data, "-o", out, *options)


def read_until(process: "subprocess.Popen[str]", beginning: str) -> list[str]:
    """Return what is printed up to a line with this beginning."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(beginning):
            return lines
    pytest.fail("".join(lines))


def process_of(torchrun: "subprocess.Popen[str]", rank: int) -> int:
    """Return the number of the process of a rank."""
    children = Path(f"/proc/{torchrun.pid}/task/{torchrun.pid}/children").read_text().split()
    wanted = f"RANK={rank}".encode()
    return next(int(child) for child in children if wanted in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"))


def told(lines: list[str]) -> list[str]:
    """Return the lines that say why edgevit ends."""
    return [line.rstrip() for line in lines if line.startswith("edgevit: ")]


@pytest.mark.parametrize("target", ["one process", "torchrun"])
def test_an_interrupt_ends_both_processes_with_a_checkpoint(data: Path, tmp_path: Path, target: str) -> None:
    out = tmp_path / "run"
    with start_training(data, out, *ENDLESS) as process:
        lines = read_until(process, "step 1/")
        os.kill(process.pid if target == "torchrun" else process_of(process, 1), signal.SIGINT)
        assert process.stdout is not None
        lines += process.stdout
    assert process.returncode != 0
    going_on = "stopped and saved; continue with: torchrun --nproc-per-node 2 -m edgevit train "
    assert [line for line in lines if line.startswith("stopped")] == [line for line in lines if going_on in line]
    (line,) = (line for line in lines if going_on in line)
    assert line.endswith("--resume\n")
    assert told(lines) == []
    assert sum(line.startswith("step 1/") for line in lines) == 1, "one of the two speaks"
    state = torch.load(out / "last.pt", weights_only=True)
    assert state["step"] >= 1
    assert not any(key.startswith("module.") for key in state["model"])
    assert not list(out.glob("*.safetensors"))


def test_a_process_that_is_killed_ends_the_other_with_a_line(data: Path, tmp_path: Path) -> None:
    with start_training(data, tmp_path / "run", *ENDLESS) as process:
        lines = read_until(process, "epoch 1 ")
        os.kill(process_of(process, 1), signal.SIGKILL)
        assert process.stdout is not None
        lines += process.stdout
    assert process.returncode != 0
    assert told(lines) == [
        "edgevit: another process of this run has ended without a word; perhaps memory was used up; continue from its "
        "last checkpoint with --resume"
    ]
    assert torch.load(tmp_path / "run" / "last.pt", weights_only=True)["step"] >= 6


def test_a_process_that_fails_says_why_and_ends_the_other(data: Path, tmp_path: Path) -> None:
    with start_training(data, tmp_path / "run", *ENDLESS) as process:
        lines = read_until(process, "step 1/")
        (data / "train" / "red" / "3.png").unlink()
        assert process.stdout is not None
        lines += process.stdout
    assert process.returncode != 0
    (line,) = told(lines)
    assert "red/3.png" in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--batch", "9"), "--batch 9 cannot be shared out evenly to 2 processes, at least 2 images to each; give --"),
        (("--data", "nowhere"), "nowhere is not a folder"),
        (("--learning", "3"), "no option --learning"),
    ],
)
def test_a_mistake_is_told_once(data: Path, tmp_path: Path, options: tuple[str, str], message: str) -> None:
    with start_training(data, tmp_path / "run", *options) as process:
        assert process.stdout is not None
        lines = list(process.stdout)
    assert process.returncode != 0
    (line,) = told(lines)
    assert message in line
    assert not any("checking" in line for line in lines), "refused before the pictures are read"


JOBS = """
import json, sys
from edgevit.training import Watcher, train
from edgevit.training.ranks import find_ranks

for words in json.loads(sys.argv[1]):
    said = []
    result = train(**words, device="cpu", bfloat16=False, watcher=Watcher(said.append))
    with open(f"{words['out']}-{find_ranks().rank}.json", "w") as file:
        json.dump({"said": said, "figures": result.accuracy.figures, "finished": result.finished}, file)
"""


def test_jobs_of_all_kinds_are_done_by_two_processes(data: Path, tmp_path: Path) -> None:
    """With a teacher, of the last layer alone, and for boxes, one after the other in the same processes."""
    write_dataset(tmp_path / "scenes", train=10, val=2)
    teacher = str(write_teacher(tmp_path / "colours.onnx"))
    common: dict[str, Any] = {"model": NAME, "data": str(data), "batch": 8}
    whole = common | {"bn_batches": 1}
    told = {"teacher": teacher, "teacher_mean": (0, 0, 0), "teacher_std": (1, 1, 1)}
    jobs = {
        "taught": whole | told | {"sizes": "32*2", "balance": True},
        "frozen": common | {"imgsz": 32, "epochs": 2, "freeze": True, "batch": 7},
        "boxes": common
        | {"model": f"{NAME}_det", "data": str(tmp_path / "scenes"), "sizes": "64x96*1", "batch": 4, "bn_batches": 1},
    }
    (tmp_path / "jobs.py").write_text(JOBS)
    words = [job | {"out": str(tmp_path / name)} for name, job in jobs.items()]
    with start(tmp_path / "jobs.py", json.dumps(words)) as process:
        assert process.stdout is not None
        lines = list(process.stdout)
    assert process.returncode == 0, "".join(lines)
    for name, job in jobs.items():
        model, out = job["model"], tmp_path / name
        first, second = (json.loads((tmp_path / f"{name}-{rank}.json").read_text()) for rank in range(2))
        assert first["finished"]
        assert first["figures"] == second["figures"]
        assert any(line.startswith("measuring accuracy on ") for line in first["said"])
        assert second["said"] == []
        assert json.loads((out / f"{model}.json").read_text())["processes"] == 2
        weights = read_state_dict(out / f"{model}.safetensors")
        assert not any(key.startswith(("module.", "student.")) for key in weights)
        assert (out / f"{model}.html").is_file()
    assert (tmp_path / "taught" / "teacher.f16").stat().st_size == 48 * 8 * 2  # pictures, classes, bytes
    assert len((tmp_path / "taught" / "log.jsonl").read_text().splitlines()) == 2
