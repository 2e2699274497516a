"""From a folder of labelled pictures to a count in a broker: trained and exported on a PC, run on a board's install."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.drawn_scenes import write_scenes
from edgevit.artifact.manifest import read_manifest
from edgevit.cli import main
from edgevit.export.data.scenes import CLASSES, draw_scene
from edgevit.runtime.images.resample import RGBImage
from tests.environments import install_board
from tests.made_broker import Mosquitto, Subscriber, needs_broker
from tests.waiting import wait_for

SCENES = (0, 1, 2, 3, 5, 6, 8, 9)
"""Seeds of scenes with three objects or more, which are learnt by heart."""
COPIES = 3
"""So often each scene is there, as int8 is calibrated on twenty pictures at least."""
EMPTY, SHOWN = 4, 12
"""Frames of the video: first grey ground, then one of the scenes."""


@pytest.fixture
def farm(tmp_path: Path) -> Path:
    """Write scenes with labels in YOLO's form; those to judge by are the same ones."""
    folder = tmp_path / "farm"
    for seed in SCENES:
        for part in ("train", "val"):
            write_scenes(folder / part, range(seed, seed + 1))
    for path in sorted(folder.glob("train/*/*")):
        for number in range(1, COPIES):
            shutil.copy(path, path.with_stem(f"{path.stem}-{number}"))
    (folder / "data.yaml").write_text(f"names: [{', '.join(CLASSES)}]\n")
    return folder


def most_of_one_class() -> tuple[RGBImage, str, int]:
    """Return the scene with the most objects of one class, the class, and how many there are."""
    counts = {
        (seed, label): int((draw_scene(seed)[1].classes == index).sum())
        for seed in SCENES
        for index, label in enumerate(CLASSES)
    }
    (seed, label), count = max(counts.items(), key=lambda item: item[1])
    return draw_scene(seed)[0], label, count


def film(path: Path, scene: RGBImage) -> None:
    """Write a video of ten frames a second."""
    height, width = scene.shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (width, height))
    for frame in [np.full_like(scene, 120)] * EMPTY + [scene] * SHOWN:
        writer.write(frame[:, :, ::-1])
    writer.release()


def count_on_a_board(model: Path, rule: str, folder: Path) -> tuple[dict[str, Any], list[dict[str, int]]]:
    """Run the film in a board's install; return the event of the rule and the counts that the broker was told."""
    board = install_board(folder / "board", ["paho-mqtt"])
    broker = Mosquitto(folder / "broker")
    listener = Subscriber(broker.port)
    place = f"mqtt://127.0.0.1:{broker.port}/farm/yard"
    run = ["run", model, "clip.avi", "--every", "100ms", "--count", rule, "--stable", "2/3", "--to", place]
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    try:
        for words in (["selftest", model], [*run, "--spool", "spool"]):
            command = [str(board / "edgevit"), *map(str, words)]
            done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=clean)
            assert done.returncode == 0, done.stderr
        wait_for(lambda: bool(listener.on("farm/yard/count")))
        (event,) = map(json.loads, listener.on("farm/yard/count"))
        return event, [json.loads(state)["counts"] for state in listener.on("farm/yard/counts")]
    finally:
        listener.close()
        broker.stop()


@pytest.mark.slow
@needs_broker
def test_labelled_pictures_become_a_count_in_a_broker(farm: Path, tmp_path: Path) -> None:
    name, run, model = "efficientvit_b0_det", tmp_path / "run", tmp_path / "hens.onnx"
    scene, label, count = most_of_one_class()
    rule = f"{label}>={(count + 1) // 2}"
    pc: list[list[Any]] = [
        ["data", farm],
        ["train", name, "--data", farm, "--imgsz", "128x160", "--epochs", 36, "--batch", 8, "-o", run]
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
    event, states = count_on_a_board(model, rule, tmp_path)
    assert (event["rule"], event["label"], event["active"]) == (rule, label, True)
    assert event["count"] == pytest.approx(count, abs=1)
    # the second frame of the scene, counted from 0
    assert event["frame"] == EMPTY + 1
    assert states[0] == {}
    assert states[1][label] == 0
