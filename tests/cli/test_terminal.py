"""Whatever labels, names, keys and errors hold: what a command prints moves no cursor and forges no line."""

import ast
import csv
import json
import logging
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edgevit.cli.terminal import echo, echo_json, echo_over, echo_text, say
from edgevit.system.log import LogFormatter
from tests.conftest import MakeModel, Run, SaveImage
from tests.places import ROOT

ESCAPE = "\x1b]0;pwned\x07\x1b[2J"
LABELS = (f"{ESCAPE}cat", "a\nfile  x (checksum good)", "=cmd|' /C calc'!A0")
PRINTERS = {
    "edgevit/cli/terminal.py": "the module that all commands print with",
    "edgevit/system/log.py": "the log, by a formatter that makes its lines printable",
    "runtime/sinks/lines.py": "stdout of sinks: JSON in ASCII, or what they made printable",
    "runtime/sources/capture_child.py": "a process of our own, whose parent reads it as an error's text",
    "runtime/benchmark/first.py": "a process of our own, whose parent reads its JSON",
}
"""Modules that may write to the terminal themselves."""


def harmless(text: str) -> bool:
    return not {"Cc", "Zl", "Zp"} & {unicodedata.category(letter) for letter in text if letter != "\n"}


def bare_prints(path: Path) -> Iterator[str]:
    """Find calls that write to the terminal or set the log up, but for click.echo of what is `printable`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        first = ast.unparse(node.args[0]) if node.args else ""
        writes = name in ("print", "logging.basicConfig") or name.startswith(("sys.stdout.write", "sys.stderr.write"))
        if writes or (name in ("click.echo", "click.secho") and not first.startswith("printable(")):
            yield f"{path.relative_to(ROOT)}:{node.lineno}: {name}({first})"
        if name == "click.progressbar":
            label = next(ast.unparse(keyword.value) for keyword in node.keywords if keyword.arg == "label")
            if not label.startswith("printable("):
                yield f"{path.relative_to(ROOT)}:{node.lineno}: {name}(label={label})"


def test_nothing_prints_what_was_not_made_printable() -> None:
    files = [path for folder in ("edgevit", "runtime", "export") for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 200
    others = [path for path in files if str(path.relative_to(ROOT)) not in PRINTERS]
    assert [found for path in others for found in bare_prints(path)] == []


def test_a_line_is_one_line_and_a_text_keeps_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    echo("a\nb\x1b[2J", "c")
    echo_text("a\x07\nb")
    echo_json({"label": "\x9b\u202e\x7fé"})
    assert capsys.readouterr().out == 'a b [2J\nc\na \nb\n{"label":"\\u009b\\u202e\\u007f\\u00e9"}\n'
    say("no\nedgevit: all good")
    echo_over("50 %\x1b[A", 10, stays=False)
    assert capsys.readouterr().err == "edgevit: no edgevit: all good\n\r50 % [A   "


def test_a_record_of_the_log_is_one_line_above_its_traceback() -> None:
    try:
        raise ValueError("\x1b[2J")
    except ValueError as error:
        told = (type(error), error, error.__traceback__)
        record = logging.LogRecord("a", logging.WARNING, "a.py", 1, "lost %s", ("pen\nedgevit: all good\x1b[A",), told)
    lines = LogFormatter().format(record).split("\n")
    assert lines[0] == "lost pen edgevit: all good [A"
    assert lines[1].startswith("Traceback")
    assert harmless("\n".join(lines))


@pytest.fixture
def hostile(make_model: MakeModel) -> Path:
    return make_model(
        f"{ESCAPE}m.onnx", labels=LABELS, notes=("\x1b[1A\x1b[2Kall good\nself-test  999 pictures",), model="\x1b[31mx"
    )


def test_labels_and_notes_are_harmless_in_info(run: Run, hostile: Path) -> None:
    code, out, err = run("info", hostile)
    assert code == 0
    assert harmless(out + err)
    assert not any(line.startswith(("self-test  999", "file  x")) for line in out.splitlines())
    code, out, _ = run("info", hostile, "--json")
    assert json.loads(out)["labels"] == list(LABELS)
    assert out.isascii()
    assert harmless(out)


@pytest.mark.parametrize("form", [(), ("--json",), ("--csv",)], ids=str)
def test_labels_and_file_names_are_harmless_in_run(
    run: Run, hostile: Path, tmp_path: Path, red_image: NDArray[np.uint8], form: tuple[str, ...]
) -> None:
    picture = tmp_path / f"{ESCAPE}a\nb.png"
    picture.write_bytes(cv2.imencode(".png", red_image[:, :, ::-1])[1].tobytes())
    broken = tmp_path / "x\n\x1b[2Kedgevit: all good.png"
    broken.write_bytes(b"no picture")
    code, out, err = run("run", hostile, picture, broken, "-v", *form)
    assert code == 1
    assert harmless(out + err)
    assert len(out.splitlines()) == 1 + (form == ("--csv",))
    assert len([line for line in err.splitlines() if "all good" in line]) == 1


def test_a_cell_that_a_spreadsheet_would_compute_is_text(
    run: Run, make_model: MakeModel, save_image: SaveImage
) -> None:
    labels = ("=1+1", "\t@SUM(A1)", "-5")
    picture = save_image("red.png", np.full((24, 32, 3), (255, 0, 0), np.uint8))
    _, out, _ = run("run", make_model(labels=labels), picture, "--csv", "--top-k", "3")
    row = next(csv.DictReader(out.splitlines()))
    assert {row[f"label{rank}"] for rank in (1, 2, 3)} == {"'=1+1", "' @SUM(A1)", "'-5"}
    assert float(row["conf1"]) > 0.9


def test_class_names_are_harmless_in_validate(
    run: Run, make_model: MakeModel, tmp_path: Path, red_image: NDArray[np.uint8]
) -> None:
    labels = ("red\x1b[2J", "green\nedgevit", "blue\x9b")
    for label in labels:
        (tmp_path / "data" / label).mkdir(parents=True)
        name = tmp_path / "data" / label / "a\x1b[A.png"
        name.write_bytes(cv2.imencode(".png", red_image[:, :, ::-1])[1].tobytes())
    one, two = make_model("a\x1b[2J.onnx", labels=labels), make_model("b\x1b[2J.onnx", labels=labels)
    code, out, err = run("validate", one, two, "--data", tmp_path / "data")
    assert code == 0
    assert harmless(out + err)
    assert not any(line.startswith("edgevit") for line in out.splitlines())


def test_keys_of_a_checkpoint_are_harmless_in_an_export(run: Run, tmp_path: Path) -> None:
    path = tmp_path / f"{ESCAPE}.pt"
    torch.save({ESCAPE: 1, "b\nedgevit: exported": 2}, path)
    code, out, err = run("export", "sbcformer_xs", "--weights", path, "-o", tmp_path / "a.onnx")
    assert (code, out) == (1, "")
    assert harmless(err)
    assert len(err.splitlines()) == 1


def test_class_names_and_folders_are_harmless_in_train(run: Run, tmp_path: Path) -> None:
    data = tmp_path / "data\x1b[A"
    for name in ("hen\x1b[2J", "fox\nwrote all"):
        (data / name).mkdir(parents=True)
        for number in range(6):
            content = cv2.imencode(".png", np.full((32, 32, 3), 40 * number, np.uint8))[1].tobytes()
            (data / name / f"{number}\x07.png").write_bytes(content)
    options = ("--sizes", "32*1", "--batch", 4, "--bn-batches", 1, "-o", tmp_path / "run\x1b[B")
    code, out, err = run("train", "efficientvit_b0", "--data", data, *options)
    assert code == 0
    assert harmless(out + err)
    assert not any(line.startswith("wrote all") for line in out.splitlines())


def test_metadata_of_a_foreign_model_is_harmless(run: Run, make_foreign: MakeModel) -> None:
    path = make_foreign("foreign\x1b[2J.onnx", metadata={f"{ESCAPE}author": "me\nfile  checksum good"})
    code, out, err = run("info", path)
    assert code == 0
    assert harmless(out + err)
    assert not any(line.startswith("file") for line in out.splitlines())


@pytest.mark.parametrize("command", ["models", "train", "export", "selftest", "doctor", "profiles", "benchmark"])
def test_a_name_that_is_wrong_is_told_in_one_harmless_line(run: Run, command: str) -> None:
    options = ("--data", "/nowhere") if command == "train" else ()
    code, _, err = run(command, f"{ESCAPE}no\nedgevit: all good", *options)
    assert code != 0
    assert harmless(err)
    assert len(err.splitlines()) <= 1
