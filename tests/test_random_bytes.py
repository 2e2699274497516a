"""Random byte strings to each parser of what comes from outside: an answer, or a refusal of one line."""

import contextlib
import dataclasses
import os
import random
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.artifact.manifest import Manifest, read_manifest
from edgevit.artifact.onnx import read_metadata as read_onnx_metadata
from edgevit.artifact.tflite import read_metadata as read_tflite_metadata
from edgevit.errors import EdgevitError
from edgevit.runtime.delivery.spool import Spool
from tests.places import ROOT
from tests.random_inputs import PARSERS, Parser, as_text, in_a_file, material, of_bytes, of_text, refusal

ROUNDS = 2_000
Make = Callable[..., Path]


@pytest.mark.parametrize("name", PARSERS)
def test_whatever_comes_is_understood_or_refused_in_one_line(tmp_path: Path, name: str) -> None:
    parser, draw = PARSERS[name], random.Random(name)
    for sound in parser.sound:
        parser.parse(tmp_path, sound)
    for _ in range(ROUNDS):
        data = material(draw, parser)
        assert len(refusal(partial(parser.parse, tmp_path, data)).splitlines()) <= 1


def test_models_of_others_are_understood_or_refused(
    make_foreign: Make, make_foreign_tflite: Make, tmp_path: Path
) -> None:
    """What test_artifact and test_tflite_metadata do to our own files, for those with metadata of other tools."""
    names = {"names": "{0: 'red', 1: 'green', 2: 'blue'}"}
    formats = (
        (make_foreign(metadata=names), read_onnx_metadata),
        (make_foreign_tflite(files={"metadata.json": '{"task":"classify"}'}), read_tflite_metadata),
    )
    for path, read in formats:
        draw, sound = random.Random(path.suffix), Parser(in_a_file(read, f"random{path.suffix}"), (path.read_bytes(),))
        for _ in range(ROUNDS // 2):
            data = material(draw, sound)
            assert len(refusal(partial(sound.parse, tmp_path, data)).splitlines()) <= 1


def test_documents_of_models_are_understood_or_refused(tiny_model: Path) -> None:
    manifest = read_manifest(tiny_model)
    assert manifest is not None
    text = dataclasses.replace(manifest, selftest=None).to_json().encode()
    pieces = (b"{", b"}", b"[", b"]", b'"schema":1', b",", b"null", b"-1", b"1e999", b'"\\ud800"')
    draw, parser = random.Random(3), Parser(of_text(Manifest.from_json), (text,), pieces)
    for _ in range(ROUNDS):
        data = material(draw, parser)
        assert len(refusal(partial(Manifest.from_json, as_text(data))).splitlines()) <= 1


def test_list_of_files_on_stdin_is_read_whatever_their_names(tiny_model: Path, red_image: NDArray[np.uint8]) -> None:
    """A file's name is any bytes but line ends and zeros; each that leads nowhere is a line, others are answered."""
    draw = random.Random(6)
    red = tiny_model.with_name(os.fsdecode(b"r\xe9d.png"))
    red.write_bytes(cv2.imencode(".png", red_image[:, :, ::-1])[1].tobytes())
    names = [draw.randbytes(draw.randrange(1, 30)).translate(None, b"\r\n\0") for _ in range(ROUNDS)]
    lines = [b"photos/" + name for name in names] + [os.fsencode(red)]
    environment = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    command = [sys.executable, "-m", "edgevit", "run", str(tiny_model), "-"]
    done = subprocess.run(command, input=b"\n".join(lines), capture_output=True, env=environment, cwd=ROOT)
    assert done.returncode == 1
    told = done.stderr.decode().split("\n")[:-1]
    assert len(told) == ROUNDS
    assert [line for line in told if not line.startswith("edgevit: photos")] == []
    assert done.stdout.decode().split(": ")[1].startswith("red ")


def test_spool_gives_back_any_record_as_it_was_put(tmp_path: Path) -> None:
    draw, spool = random.Random(5), Spool(tmp_path / "a.sqlite", 50_000_000)
    put = []
    for _ in range(ROUNDS):
        channel = draw.randbytes(draw.randrange(20)).decode("utf-8", "replace")
        put.append((draw.randbytes(16).hex(), channel, draw.randbytes(draw.randrange(60))))
        assert spool.put(*put[-1])
    stored = spool.oldest(ROUNDS)
    assert [(record.id, record.channel, record.body) for record in stored] == put
    spool.close()


@pytest.mark.parametrize("seed", range(4))
def test_spool_whose_file_is_rubbish_still_takes_records(tmp_path: Path, seed: int) -> None:
    """A database of a few records, in which bytes are changed, or which is cut; or rubbish from the first byte on."""
    sound = Spool(tmp_path / "sound.sqlite", 1_000_000)
    for number in range(20):
        sound.put(str(number), "label", bytes(100))
    sound.close()
    draw, parser = random.Random(seed), Parser(of_bytes(len), ((tmp_path / "sound.sqlite").read_bytes(),))
    for trial in range(25):
        path = tmp_path / f"{trial}.sqlite"
        path.write_bytes(material(draw, parser))
        with contextlib.suppress(EdgevitError):
            spool = Spool(path, 1_000_000)
            taken = [spool.put(f"new {number}", "label", b"body") for number in range(3)]
            # damage may show only when it is met; from then on the file is a new one
            assert taken[-1] or not taken[0]
            spool.close()
