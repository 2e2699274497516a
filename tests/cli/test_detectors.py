"""The commands that open any model know detectors too."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from edgevit.artifact.manifest import Parity, read_manifest
from edgevit.cli.info import describe
from tests.conftest import Run, SaveImage
from tests.made_detector import scene
from tests.made_foreign_detectors import CELLS, ULTRALYTICS, write_onnx


def test_info_tells_how_boxes_are_read(tiny_detector: Path, run: Run) -> None:
    code, out, _ = run("info", tiny_detector)
    assert code == 0
    assert "squares, detect, fp32" in out
    assert "crop letterbox" in out
    assert "yolox, strides 8, 16, 32; told from 0.25 on, overlapping by at most 0.5" in out


@pytest.mark.parametrize(("task", "what"), [("detect", "boxes"), ("segment", "pixels"), ("classify", "top-1")])
def test_info_names_what_agrees_with_pytorch(tiny_detector: Path, task: str, what: str) -> None:
    manifest = read_manifest(tiny_detector)
    assert manifest is not None
    known = dataclasses.replace(manifest, task=task, parity=(Parity("int8", 0.1, 0.99, 0.982, 64),))
    assert ("parity", f"int8: {what} 98.2%, cosine 0.990000, max 0.1 on 64 images") in describe(known)


def test_info_tells_how_a_foreign_detector_is_taken(tmp_path: Path, run: Run) -> None:
    path = write_onnx(tmp_path / "yolov8n.onnx", np.zeros((1, 7, CELLS), np.float32), metadata=ULTRALYTICS)
    code, out, err = run("info", path)
    assert code == 0
    assert "boxes: centre and sides in pixels, and 3 classes" in out
    assert "mean 0,0,0 std 1,1,1, as is usual for such models" in out
    assert f"next: edgevit run {path} PHOTO" in err
    code, out, _ = run("info", path, "--json")
    plan = json.loads(out)["plan"]
    assert (plan["task"], plan["classes"], plan["missing"]) == ("detect", 3, [])


def test_info_says_what_a_foreign_detector_must_be_told(tmp_path: Path, run: Run) -> None:
    path = write_onnx(tmp_path / "yolox.onnx", np.zeros((1, CELLS, 8), np.float32))
    code, out, _ = run("info", path)
    assert code == 0
    assert "cannot run it as it is" in out
    assert "give labels" in out


def test_run_answers_for_a_picture(tiny_detector: Path, save_image: SaveImage, run: Run) -> None:
    picture = save_image("pen.png", scene(("red", 0, 1), ("blue", 1, 2), ("blue", 1, 0)))
    code, out, _ = run("run", tiny_detector, picture)
    assert (code, out) == (0, "blue 2, red 1\n")
    code, out, _ = run("run", tiny_detector, picture, "--to", "json")
    record = json.loads(out)
    assert (record["task"], record["size"], record["counts"]) == ("detect", [128, 192], {"blue": 2, "red": 1})
    assert {tuple(found["box"]) for found in record["detections"]} == {
        (64, 0, 128, 64), (128, 64, 192, 128), (0, 64, 64, 128)
    }  # fmt: skip


def test_benchmark_times_a_detector(tiny_detector: Path, run: Run) -> None:
    code, out, _ = run("benchmark", tiny_detector, "--rounds", "2", "--starts", "0", "--json")
    report = json.loads(out)["runs"][0]
    assert code == 0
    assert report["inference"]["p50_ms"] > 0
    assert report["postprocess"]["p50_ms"] > 0


@pytest.mark.slow
def test_doctor_runs_the_self_test(tiny_detector: Path, run: Run) -> None:
    _, out, _ = run("doctor", tiny_detector)
    assert "self-test passed, 3 pictures" in out
    assert "30 of 30 boxes found again" in out
