"""`edgevit models` lists the zoo on any machine."""

import json
import subprocess
import sys

import pytest

from edgevit.cli import main
from edgevit.cli.board_times import own_ms
from edgevit.cli.models import published, row
from edgevit.models import list_models
from edgevit.models.zoo.latency import find_latency
from edgevit.models.zoo.registry import get_spec
from tests.places import ROOT


def test_every_model_has_a_line_with_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["models", "--all"])
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line]
    assert [words[0] for words in lines if words[0] != "MODEL"] == list_models()
    rows = {words[0]: words[1:] for words in lines}
    assert rows["sbcformer_xs"] == ["5.6M", "~54", "7.3", "75.8", "%", "cifar10"]
    assert rows["sbcformer_s"][-1] == "-"
    assert rows["efficientvit_b0"][-2:] == ["cifar10", "imagenet"]
    assert rows["efficientvit_l2"][-2:] == ["%", "imagenet"]
    assert rows["sbcformer_b"][-2:] == ["imagenet", "(?)"]
    assert rows["faster_vit_0_224"][-2:] == ["imagenet", "(NC)"]
    assert rows["yolox_nano"][-3:] == ["25.8", "%", "coco"]
    assert rows["sbcformer_xs_retinanet"][-2:] == ["-", "(slow)"]
    assert rows["efficientvit_seg_b0_cityscapes"][-4:] == ["75.7", "%", "cityscapes", "(?)"]


@pytest.mark.parametrize("options", [(), ("--all",), ("--sort", "time"), ("--all", "--sort", "accuracy")])
def test_list_fits_80_columns(capsys: pytest.CaptureFixture[str], options: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["models", *options])
    found = capsys.readouterr()
    assert [line for line in (found.out + found.err).splitlines() if len(line) > 80] == []


def test_small_boards_come_first_with_a_start(capsys: pytest.CaptureFixture[str]) -> None:
    """Eight pictures a second on a Raspberry Pi 4: these, and what is quickest with ImageNet's classes."""
    with pytest.raises(SystemExit, match="0"):
        main(["models"])
    found = capsys.readouterr()
    names = [line.split()[0] for line in found.out.splitlines() if line]
    assert names == [
        "MODEL",
        "sbcformer_xs",
        "sbcformer_s",
        "sbcformer_b",
        "efficientvit_b0",
        "efficientvit_b1",
        "deit_tiny_patch16_224",
        "MODEL",
        "efficientvit_b0_det",
    ]
    assert "Start here: edgevit export efficientvit_b0 --weights imagenet --int8 --data DIR\n" in found.err
    assert "Starts for training (--init pretrained): sbcformer_xs, efficientvit_b0\n" in found.err
    assert "edgevit models --all" in found.err


def test_list_of_small_boards_is_sorted_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["models", "--sort", "time"])
    assert capsys.readouterr().out.splitlines()[1].startswith("efficientvit_b0 ")


def test_one_model_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["models", "efficientvit_b0"])
    text = capsys.readouterr().out
    for part in ("3,410,008", "100,233,216", "crop_pct 0.95", "10 classes, CIFAR-10, not ImageNet", "https://"):
        assert part in text


def test_a_detector_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["models", "yolox_tiny"])
    text = capsys.readouterr().out
    for part in ("32.8 % AP on COCO at 416x416", "AP 32.8 %", "letterbox", "BGR, levels 0 to 255", "Apache-2.0"):
        assert part in text
    with pytest.raises(SystemExit, match="0"):
        main(["models", "sbcformer_b_retinanet"])
    assert "slow: nearly all of its work is in the head" in capsys.readouterr().out


def test_json_has_all_models_or_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["models", "--json"])
    every = json.loads(capsys.readouterr().out)
    assert [model["name"] for model in every] == list_models()
    with pytest.raises(SystemExit, match="0"):
        main(["models", "efficientvit_b1", "--json"])
    one = json.loads(capsys.readouterr().out)
    assert one == every[list_models().index("efficientvit_b1")]
    assert one["macs"] == 519_214_592
    assert one["weights"][2]["preprocess"]["size"] == [288, 288]


def test_time_is_told_beside_the_operations(capsys: pytest.CaptureFixture[str]) -> None:
    latency = find_latency("faster_vit_0_224")
    assert latency is not None
    with pytest.raises(SystemExit, match="0"):
        main(["models", "faster_vit_0_224"])
    described = capsys.readouterr().out
    assert f"int8 {latency.x86_int8_ms:.0f} ms, float {latency.x86_fp32_ms:.0f} ms" in described
    board = own_ms("faster_vit_0_224")
    assert board is not None
    assert f"{board:.1f} ms" in described
    with pytest.raises(SystemExit, match="0"):
        main(["models", "--all"])
    table = capsys.readouterr()
    (line,) = (line for line in table.out.splitlines() if line.startswith("faster_vit_0_224 "))
    assert line.split()[2:4] == [f"~{board:.0f}", f"{latency.x86_int8_ms:.0f}"]
    assert "PI4: estimated for 3 threads at 1.8 GHz, never measured" in table.err


def test_every_pair_and_every_small_model_has_its_time() -> None:
    small = [name for name in list_models() if get_spec(name).macs <= 10e9]
    assert [name for name in small if find_latency(name) is None or own_ms(name) is None] == []
    assert all(find_latency(name) for name in ("faster_vit_0_224", "efficientvit_b1", "efficientvit_b2", "sbcformer_b"))
    assert find_latency("faster_vit_6_any_res") is None


def test_models_can_be_listed_by_time_and_by_accuracy(capsys: pytest.CaptureFixture[str]) -> None:
    def order(by: str) -> list[str]:
        with pytest.raises(SystemExit, match="0"):
            main(["models", "--sort", by, "--json"])
        return [model["name"] for model in json.loads(capsys.readouterr().out)]

    times = [ms for name in order("time") if (ms := own_ms(name))]
    assert times == sorted(times)
    assert own_ms(order("time")[-1]) is None
    accuracies = [get_spec(name).accuracy or 0 for name in order("accuracy")]
    assert accuracies == sorted(accuracies, reverse=True)


def test_unknown_model_exits_2_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["models", "sbcfromer_xs"])
    assert "did you mean sbcformer_xs" in capsys.readouterr().err


def test_table_needs_neither_torch_nor_onnx() -> None:
    blocked = "import sys; sys.modules.update(torch=None, onnx=None, PIL=None, safetensors=None, gdown=None)"
    code = f"{blocked}; from edgevit.cli import main; main(['models'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "sbcformer_xs" in done.stdout


@pytest.mark.parametrize("name", list_models())
def test_documented_table_is_that_of_the_registry(name: str) -> None:
    spec = get_spec(name)
    weights = ", ".join(entry.name + (" (bundled)" if entry.bundled else "") for entry in spec.weights) or "-"
    latency = find_latency(name)
    times = [f"{row(spec)[3]} ms", f"{row(spec)[2]} ms"] if latency else ["-", "-"]
    figures = " | ".join([f"{spec.parameters / 1e6:.2f} M", f"{spec.macs / 1e9:.2f} G", *times, published(spec)])
    assert f"| {name} | {figures} | {weights} |" in (ROOT / "docs" / "models.md").read_text().splitlines()
