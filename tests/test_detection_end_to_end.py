"""From a folder of labelled pictures to a count in a broker: trained and exported on a PC, run on a board's install."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from benchmarks.drawn_scenes import CLASSES, draw_scene, write_scenes
from edgevit.artifact.manifest import read_manifest
from edgevit.cli import main
from tests.environments import install_board
from tests.made_broker import Mosquitto, Subscriber, needs_broker

SCENES = range(24)
"""Seeds of the scenes that are learnt by heart; those judged by are some of them."""
EMPTY, SHOWN = 4, 12
"""Frames of the video: first grey ground, then one of the scenes."""


@pytest.fixture
def farm(tmp_path: Path) -> Path:
    """Draw scenes with labels in YOLO's form."""
    write_scenes(tmp_path / "farm/train", SCENES)
    write_scenes(tmp_path / "farm/val", range(8))
    (tmp_path / "farm/data.yaml").write_text(f"names: [{', '.join(CLASSES)}]\n")
    return tmp_path / "farm"


def shown_scene() -> tuple[np.ndarray, str, int]:
    """Return the scene with the most objects of one class, the class, and how many."""
    counts = {(seed, label): 0 for seed in SCENES for label in CLASSES}
    for seed in SCENES:
        for index in draw_scene(seed)[1].classes:
            counts[seed, CLASSES[index]] += 1
    (seed, label), count = max(counts.items(), key=lambda item: item[1])
    return draw_scene(seed)[0], label, count


def film(path: Path, scene: np.ndarray) -> None:
    """Write a video of ten frames a second."""
    height, width = scene.shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (width, height))
    for frame in [np.full_like(scene, 120)] * EMPTY + [scene] * SHOWN:
        writer.write(frame[:, :, ::-1])
    writer.release()


@pytest.mark.slow
@needs_broker
def test_labelled_pictures_become_a_count_in_a_broker(farm: Path, tmp_path: Path) -> None:
    name, run, model = "efficientvit_b0_det", tmp_path / "run", tmp_path / "hens.onnx"
    scene, label, count = shown_scene()
    torch.manual_seed(0)
    pc: list[list[Any]] = [
        ["data", farm],
        ["train", name, "--data", farm, "--imgsz", "128x160", "--epochs", 30, "--batch", 8, "-o", run]
        + ["--augmentation", "light", "--learning-rate", 0.005],
        ["export", name, "--weights", run / f"{name}.safetensors", "--imgsz", "128x160", "--int8", "--data", farm]
        + ["-o", model],
        ["validate", model, "--data", farm],
    ]
    for words in pc:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        assert ended.value.code == 0, words
    manifest = read_manifest(model)
    assert manifest is not None
    assert (manifest.task, manifest.precision, manifest.labels) == ("detect", "int8", CLASSES)

    film(tmp_path / "clip.avi", scene)
    board = install_board(tmp_path / "board", ["paho-mqtt"])
    broker = Mosquitto(tmp_path / "broker")
    listener = Subscriber(broker.port)
    rule = f"{label}>={count}"
    words = ["run", model, tmp_path / "clip.avi", "--count", rule, "--stable", "2/3", "--every", "100ms"]
    place = f"mqtt://127.0.0.1:{broker.port}/farm/yard"
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    try:
        for command in (["selftest", model], [*words, "--to", place, "--spool", tmp_path / "spool"]):
            done = subprocess.run(
                [board / "edgevit", *map(str, command)], capture_output=True, text=True, cwd=tmp_path, env=clean
            )
            assert done.returncode == 0, done.stderr
        (event,) = map(json.loads, listener.on("farm/yard/count"))
        states = [json.loads(state)["counts"] for state in listener.on("farm/yard/counts")]
    finally:
        listener.close()
        broker.stop()
    assert (event["rule"], event["label"], event["count"], event["active"]) == (rule, label, count, True)
    # the rule needs two frames of the scene, which begins at 0.4 seconds
    assert event["frame"] == EMPTY + 2
    assert states[0] == {}
    assert states[1][label] == 0
