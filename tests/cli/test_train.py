"""`edgevit train` from the shell: what it prints, refuses, and does when stopped."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgevit.cli import main
from edgevit.cli.train import describe
from tests.made_photos import write_photos
from tests.places import ROOT
from tests.training.made_teacher import write_teacher

NAME = "efficientvit_b0"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make two classes of 40 noisy pictures."""
    return write_photos(tmp_path_factory.mktemp("data"), 40)


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as exit_:
        main(["train", *map(str, arguments)])
    return int(exit_.value.code or 0)


def test_a_run_prints_accuracies_and_the_next_command(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    options = ("--sizes", "32*8", "--batch", 8, "--ema-decay", 0.9, "--bn-batches", 4, "--seed", 3, "--init", "random")
    assert run(NAME, "--data", data, *options, "-o", out) == 0
    printed = capsys.readouterr()
    card = json.loads((out / f"{NAME}.json").read_text())
    found = card["validation"]["per_class"] | {"all": card["validation"]["top1"]}
    lines = printed.out.splitlines()
    figures = lines[: len(found) + 1]
    assert [line.split()[:2] for line in figures[:-1]] == [[k, f"{v:.2%}"] for k, v in found.items()]
    assert figures[-1].startswith("mean of classes ")
    held_out = card["held_out"]["images"]
    assert held_out + card["held_out"]["trained"] == 80
    assert all(line.endswith(f"of {held_out} images that were not trained on") for line in figures[-2:])
    wrong = sum(sum(row) - row[i] for i, row in enumerate(card["validation"]["confusion"]))
    assert lines[len(figures)].startswith(f"{held_out} images: {1 - wrong / held_out:.0%} plus or minus ")
    assert all("taken for" in line for line in lines[len(figures) + 1 :])
    assert f"wrote {out}/{NAME}.html" in printed.err
    assert "images to train: blue " in printed.err
    assert "an epoch: --learning-rate 0.002 --warmup-epochs 0.8 --augmentation strong\n" in printed.err
    assert found["all"] > 0.8, "red and blue squares are told apart"
    assert "starting from random weights" in printed.err
    assert f"edgevit export {NAME} --weights {out}/{NAME}.safetensors --int8 --data {data}" in printed.err
    assert card["command"] == (
        f"edgevit train {NAME} --data {data} --init random --out {out} --sizes '32*8' --batch 8 --ema-decay 0.9 "
        "--bn-batches 4 --seed 3"
    )
    assert card["recipe"]["seed"] == 3
    assert card["recipe"]["warmup_epochs"] == pytest.approx(0.8)  # a tenth of the epochs


def test_a_checkpoint_of_a_run_is_fine_tuned_at_a_low_rate(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert run(NAME, "--data", data, "--sizes", "32*0.5", "--batch", 8, "-o", first) == 0
    options = ("--epochs", 0.5, "--imgsz", 64, "--batch", 8, "--init", first / "last.pt")
    assert run(NAME, "--data", data, *options, "-o", second) == 0
    assert "starting from all weights of last.pt" in capsys.readouterr().err
    recipe = json.loads((second / f"{NAME}.json").read_text())["recipe"]
    assert recipe["sizes"] == [[64, 0.5]]
    assert recipe["learning_rate"] == 1e-3, "twice the rate, as there are two or three steps"


def test_a_teacher_is_asked_and_named(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, file = tmp_path / "run", write_teacher(tmp_path / "colours.onnx")
    options = ("--sizes", "32*0.5", "--batch", 8, "--bn-batches", 1, "--temperature", 3)
    told = ("--teacher", file, "--teacher-mean", "0,0,0", "--teacher-std", "1,1,1")
    assert run(NAME, "--data", data, *options, *told, "-o", out) == 0
    said = capsys.readouterr().err
    assert "asking colours.onnx, 8 classes, about " in said
    assert "16 px" in said, "how far the teacher is"
    card = json.loads((out / f"{NAME}.json").read_text())
    assert (card["recipe"]["temperature"], card["teacher"]["file"]) == (3.0, "colours.onnx")
    assert f"--teacher {file} " in card["command"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_says_how_to_continue(data: Path, tmp_path: Path, number: int) -> None:
    out = tmp_path / "run"
    words = ["train", NAME, "--data", str(data), "--sizes", "32*500", "--batch", "8", "--threads", "1", "-o", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-m", "edgevit", *words],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("step 1/"):
            break
    process.send_signal(number)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert "stopped and saved; continue with: edgevit train" in errors
    assert errors.rstrip().endswith("--resume")
    assert (out / "last.pt").is_file()
    assert not list(out.glob("*.safetensors"))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((NAME, "--imgsz", "96,100"), 2, "image size 96x100 is not possible; expected a multiple of 32"),
        ((NAME, "--freeze", "--epochs", "2", "--learning-rate", "1"), 2, "--freeze has no use for --learning-rate"),
        (("sbcformer_x",), 2, "did you mean sbcformer_xs"),
        ((NAME, "--sizes", "96"), 2, "expected SIZE*EPOCHS"),
        ((NAME, "--sizes", "64*1", "--epochs", "3"), 2, "leave out --imgsz and --epochs"),
        ((NAME, "--imgsz", "100"), 2, "multiple of 32"),
        ((NAME, "--epochs", "-1"), 2, "--epochs"),
        ((NAME, "--epochs", "0"), 2, "--epochs"),
        ((NAME, "--learning-rate", "0"), 2, "--learning-rate 0"),
        ((NAME, "--crop-pct", "0"), 2, "--crop-pct 0"),
        ((NAME, "--init", "nowhere.pt"), 1, "nowhere.pt does not exist"),
        ((NAME, "--init", "coco"), 2, "no weights for efficientvit_b0 named 'coco'"),
        (("efficientvit_b1.r288_in1k",), 2, "run: `edgevit train efficientvit_b1 --init imagenet_r288 --data DIR`"),
        ((NAME, "--teacher", "nothing.onnx"), 1, "nothing.onnx does not exist"),
        ((NAME, "--temperature", "2"), 2, "--temperature is about a teacher, and there is none; give --teacher FILE"),
        ((NAME, "--resume"), 1, "last.pt does not exist; run without --resume to start"),
        ((NAME, "--workers", "0"), 2, "--workers"),
        ((NAME, "batch=4"), 2, "did you mean --batch 4?"),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    assert run(*arguments, "--data", data, "-o", tmp_path / "run") == code
    said = capsys.readouterr().err.splitlines()
    lines = [line for line in said if line.startswith("edgevit: ")]
    assert len(lines) == 1
    assert not any("checking" in line for line in said), "refused before the pictures are read"
    assert message in lines[0]


@pytest.mark.parametrize("there", [False, True], ids=["no run", "a run"])
def test_a_missing_folder_is_told(there: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if there:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "last.pt").touch()
    assert run(NAME, "--data", tmp_path / "nothing", "-o", tmp_path / "run") == 1
    said = capsys.readouterr().err
    assert "is not a folder; give one that holds images, at best one sub-folder" in said
    assert "holds a run" not in said
    assert (tmp_path / "run").exists() is there


def test_a_gpu_that_is_not_there_is_told(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    assert run(NAME, "--data", data, "--device", "cuda", "-o", tmp_path / "run") == 2
    assert "--device cuda: PyTorch sees no GPU" in capsys.readouterr().err


def test_bfloat16_is_used_where_the_processor_multiplies_it(tmp_path: Path) -> None:
    from edgevit.training.hardware import bfloat16_helps

    for text, helps in (
        ("processor\t: 0\nflags\t\t: fpu avx512_bf16 avx512_vnni\n", True),
        ("processor\t: 0\nflags\t\t: fpu amx_bf16\n", True),
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512bw\n", False),
        ("processor\t: 0\nFeatures\t: fp asimd bf16\n", True),
        ("processor\t: 0\nFeatures\t: fp asimd\n", False),
        ("", False),
    ):
        (tmp_path / "proc").mkdir(exist_ok=True)
        (tmp_path / "proc" / "cpuinfo").write_text(text)
        assert bfloat16_helps("cpu", tmp_path) is helps
    assert bfloat16_helps("cpu", tmp_path / "missing") is False


def test_too_little_memory_is_a_memory_error() -> None:
    import torch

    from edgevit.training.hardware import plain_memory_error

    with pytest.raises(MemoryError, match="allocate"), plain_memory_error():
        torch.empty(2**58)
    with pytest.raises(RuntimeError, match="shape"), plain_memory_error():
        torch.zeros(2).reshape(3)


def test_a_step_is_described_in_one_line() -> None:
    record = {"step": 374, "of": 748, "size": 64, "loss": 1.5}
    assert describe(record, 600.0) == "step 374/748  64 px  loss 1.500  10 min left"
    assert describe({"step": 1, "of": 2, "size": [96, 160]}, None) == "step 1/2  96x160 px"
    assert describe({**record, "epoch": 1.0, "top1": 0.5}, None) == (
        "epoch 1  step 374/748  64 px  loss 1.500  held out 50.00%"
    )
