"""What a program pays before its first answer: nothing is imported, read or looked up that the answer does not need."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.artifact import files, manifest
from edgevit.device_profiles import detect
from edgevit.device_profiles.evidence import Evidence
from edgevit.errors import ModelFileError
from edgevit.runtime import loading
from edgevit.runtime.backends import threads
from edgevit.runtime.backends.session import open_exported
from tests.places import ROOT

MakeModel = Callable[..., Path]
SaveImage = Callable[[str, NDArray[np.uint8]], Path]

# Prints what edgevit imports beside what the packages that it stands on import themselves.
IMPORTS = """
import os, sys
import cv2, numpy, {runtime}
before = set(sys.modules)
sys.modules.update(dict.fromkeys(sys.argv[3:]))  # to import one of these now is an error
import edgevit
print(edgevit.load(sys.argv[1], threads={threads})(sys.argv[2]).top1)
print(*sorted(set(sys.modules) - before), sep="\\n")
"""
UNNEEDED = (
    *("ast", "bz2", "click", "difflib", "logging", "numpy.random", "threading", "tomllib", "zipfile"),
    *("edgevit.artifact.graph", "edgevit.artifact.reading", "edgevit.cli"),
    *("edgevit.device_profiles.detect", "edgevit.device_profiles.library", "edgevit.device_profiles.profile"),
    *("edgevit.runtime.backends.tflite_operators", "edgevit.runtime.detection", "edgevit.runtime.detector"),
    *("edgevit.runtime.foreign", "edgevit.runtime.images.boxes", "edgevit.runtime.images.jpeg"),
    *("edgevit.runtime.images.jpeg2000", "edgevit.runtime.images.tiff_tags"),
    *("edgevit.runtime.segmenter", "edgevit.runtime.selftest", "edgevit.runtime.stream"),
)
"""Modules that the first answer of a classifier needs no more than the packages above do, the picture being a PNG."""
DEAR = ("ipaddress", "pathlib", "urllib")
"""Modules of Python that take as long to import as all of edgevit.artifact; other packages may have them already."""
MOST_MODULES = 37
"""Modules of edgevit that a first answer imports at most: where none is compiled, each costs its share of the wait."""
OTHER_FORMAT = {
    "tflite": ("onnxruntime", "edgevit.artifact.onnx", "edgevit.runtime.backends.onnx"),
    "onnx": ("ai_edge_litert", "edgevit.artifact.tflite", "edgevit.runtime.backends.tflite"),
}
FOUR_ALIKE = Evidence("Raspberry Pi 4 Model B Rev 1.4", "aarch64", dict.fromkeys(range(4), "0x41:0xd08"), frozenset())
SLOW, FAST = "0x41:0xd05", "0x41:0xd0b"
FOUR_AND_FOUR = Evidence("Orange Pi 5", "aarch64", {core: SLOW if core < 4 else FAST for core in range(8)}, frozenset())
"""Cortex-A55 and Cortex-A76."""


@pytest.fixture
def red_picture(save_image: SaveImage, red_image: NDArray[np.uint8]) -> Path:
    return save_image("red.png", red_image)


@pytest.mark.parametrize(("kind", "runtime"), [("tflite", "ai_edge_litert.interpreter"), ("onnx", "onnxruntime")])
def test_no_module_is_imported_that_the_answer_does_not_need(
    kind: str, runtime: str, request: pytest.FixtureRequest, red_picture: Path
) -> None:
    model = request.getfixturevalue("make_tflite" if kind == "tflite" else "make_model")()
    command = [sys.executable, "-c", IMPORTS.format(runtime=runtime, threads=1), str(model), str(red_picture), *DEAR]
    clean = {name: value for name, value in os.environ.items() if name != "EDGEVIT_PROFILE"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=clean)
    assert done.returncode == 0, done.stderr
    answer, *imported = done.stdout.split()
    # an ONNX file's own reader names the values that a graph has
    unneeded = {*UNNEEDED, *OTHER_FORMAT[kind]} - ({"edgevit.artifact.graph"} if kind == "onnx" else set())
    assert answer == "red"
    assert "edgevit.runtime.classifier" in imported
    assert sorted(unneeded & set(imported)) == []
    own = [name for name in imported if name.split(".")[0] == "edgevit"]
    assert len(own) <= MOST_MODULES, sorted(own)


def test_profile_that_says_the_number_of_threads_is_read_with_as_little(
    make_tflite: MakeModel, red_picture: Path
) -> None:
    code = IMPORTS.format(runtime="ai_edge_litert.interpreter", threads=None)
    clean = {name: value for name, value in os.environ.items() if name not in threads.VARIABLES}
    done = subprocess.run(
        [sys.executable, "-c", code, str(make_tflite()), str(red_picture)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=clean | {"EDGEVIT_PROFILE": "rpi4"},
    )
    assert done.returncode == 0, done.stderr
    imported = set(done.stdout.split())
    own = {name for name in UNNEEDED if name.startswith("edgevit.device_profiles.")}
    assert "edgevit.device_profiles.library" in imported
    assert sorted({*UNNEEDED, "traceback"} & imported - own - {"tomllib"}) == []


def test_file_is_read_once_and_its_checksum_is_found_before_the_runtime_gets_it(
    make_tflite: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, told = make_tflite(), list[str]()

    class Counting(io.BufferedReader):
        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            told.extend([f"read {len(data)}"] if data else [])
            return data

    def open_counting(name: Any) -> Counting:
        return Counting(io.FileIO(name))

    def open_told(*arguments: Any) -> Any:
        told.append("opened")
        return open_exported(*arguments)

    monkeypatch.setattr(files, "open_regular", open_counting)
    monkeypatch.setattr(loading, "open_exported", open_told)
    loading.load(path, threads=1).close()
    assert told == [f"read {path.stat().st_size}", "opened"]


def test_runtime_is_not_given_a_damaged_file(make_tflite: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("the file was opened")

    monkeypatch.setattr(loading, "open_exported", refuse)
    path = make_tflite()
    data = bytearray(path.read_bytes())
    data[-30] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match="is damaged: its checksum is not the one written at export"):
        loading.load(path, threads=1)


@pytest.mark.parametrize(
    ("machine", "asked", "named", "read", "expected"),
    [
        (FOUR_ALIKE, 2, "", False, (2, ())),
        (FOUR_ALIKE, None, "", True, (3, ())),
        (FOUR_ALIKE, 2, "rpi4", True, (2, ())),
        (FOUR_AND_FOUR, 2, "", True, (2, (4, 5, 6, 7))),
        (FOUR_AND_FOUR, 6, "", True, (6, ())),
    ],
    ids=["given", "not given", "profile named", "given for fast cores", "given for all cores"],
)
def test_profiles_are_read_where_they_can_decide(
    machine: Evidence,
    asked: int | None,
    named: str,
    read: bool,
    expected: tuple[int, tuple[int, ...]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = list[Evidence]()

    def detect_told(evidence: Evidence) -> detect.Detection:
        calls.append(evidence)
        return found(evidence)

    found = detect.detect_profile
    for name in (*threads.VARIABLES, "EDGEVIT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EDGEVIT_PROFILE", named)
    monkeypatch.setattr(detect, "detect_profile", detect_told)
    monkeypatch.setattr(threads, "read_evidence", lambda: machine)
    monkeypatch.setattr(threads, "usable_cores", lambda: frozenset(machine.parts))
    plan = threads.plan_threads(asked)
    assert (plan.count, plan.cores) == expected
    assert calls == ([machine] if read else [])


def test_document_is_read_without_the_appended_files(
    make_tflite: MakeModel, make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_tflite(), make_model()
    monkeypatch.setitem(sys.modules, "zipfile", None)
    for path in made:
        found = manifest.read_manifest(path)
        assert found is not None
        assert found.labels == ("red", "green", "blue")
