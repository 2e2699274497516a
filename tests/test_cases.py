"""The small inputs that once failed, through the command line: each gives what their README calls right.

Most have their test where the fault was, and are not asked again here:

- pictures: tests/runtime/images/test_decode.py; vfr.mkv and av1.mp4: tests/runtime/sources/test_video_times.py.
- t_sig1, sig1, sig3, logit1 and softmax_int8.onnx: tests/runtime/backends/test_meaning.py.
- st_empty, st_loose and ext_in.onnx: tests/artifact/test_bounds.py; loop.onnx: tests/runtime/run/test_ending.py.
- stuck.sqlite: tests/runtime/delivery/test_spool_model.py.
- endless JPEG headers: tests/runtime/sources/test_mjpeg.py; cameras that dribble:
  tests/runtime/sources/test_http_cameras.py; addresses: tests/runtime/addresses/test_address.py; names of regions:
  tests/runtime/delivery/test_mqtt_settings.py.
"""

import csv
import dataclasses
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from tests.conftest import TINY
from tests.places import SHARED

CASES = SHARED / "cases"
PLAIN = ("--mean", "0.5,0.5,0.5", "--std", "0.5,0.5,0.5", "--crop-pct", "1")
"""Black is -1, white is 1."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula."""
Run = Callable[..., tuple[int, str, str]]
SaveImage = Callable[[str, NDArray[np.uint8]], Path]

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not beside this checkout")


def is_harmless(text: str) -> bool:
    """Return whether a text holds no control but its line ends, and nothing that turns the order of letters."""
    return all(line.isprintable() for line in text.split("\n"))


def grey(level: int, size: tuple[int, int] = (64, 64)) -> NDArray[np.uint8]:
    return np.full((*size, 3), level, np.uint8)


def test_each_case_has_a_test() -> None:
    tests = "".join(path.read_text() for path in Path(__file__).parent.rglob("test_*.py"))
    cases = [path for path in CASES.glob("*/*") if path.is_file()]
    assert len(cases) > 28
    assert [path.name for path in cases if path.name not in tests and f'"{path.stem}"' not in tests] == []


@pytest.mark.parametrize("command", ["run", "info", "selftest"])
@pytest.mark.parametrize("name", ["labels.onnx", "info.onnx"])
def test_texts_of_a_model_are_harmless_on_the_terminal(
    run: Run, save_image: SaveImage, name: str, command: str
) -> None:
    pictures = (save_image(f"{level}.png", grey(level)) for level in (0, 128, 255))
    code, out, err = run(command, CASES / "models" / name, *(pictures if command == "run" else ()))
    assert code == 0
    assert is_harmless(out + err)


def test_texts_of_a_model_forge_no_line(run: Run) -> None:
    """The model's notes and licence hold line ends, then lines such as our own."""
    code, out, _ = run("info", CASES / "models/info.onnx")
    assert code == 0
    assert not [line for line in out.splitlines() if line.startswith(("all good", "self-test  999", "note  audited"))]
    code, out, _ = run("info", CASES / "models/labels.onnx")
    assert [line for line in out.splitlines() if line.startswith("file ")] == out.splitlines()[:1]


def test_labels_of_a_model_are_no_formulas_in_a_table(run: Run, save_image: SaveImage) -> None:
    pictures = [save_image(f"{level}.png", grey(level)) for level in (0, 128, 255)]
    code, out, _ = run("run", CASES / "models/labels.onnx", *pictures, "--csv", "--top-k", "10")
    rows = list(csv.reader(io.StringIO(out)))
    assert (code, len(rows)) == (0, 4)
    cells = [cell for row in rows for cell in row]
    assert any(cell.endswith("=cmd|' /C calc'!A0") for cell in cells)  # shown, and defused
    assert [cell for cell in cells if cell.startswith(FORMULA)] == []
    assert is_harmless(out.replace("\r\n", "\n"))


def test_labels_of_a_model_name_no_place_outside_a_folder(run: Run, save_image: SaveImage, tmp_path: Path) -> None:
    pictures = [save_image(f"{level}.png", grey(level)) for level in (0, 128, 255)]
    code, _, _ = run("run", CASES / "models/labels.onnx", *pictures, "--to", f"{tmp_path / 'in'}/")
    assert code == 0
    written = {path.resolve() for path in tmp_path.rglob("*") if path.is_file()} - set(pictures)
    assert written
    assert all(path.is_relative_to(tmp_path / "in") for path in written)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("selfref.pt", "holds no weights, only: state_dict; expected a state dict of named tensors"),
        ("deep_small.safetensors", "recursion limit exceeded"),
        ("esc.pt", "holds no weights, only: "),
    ],
)
def test_checkpoint_is_refused_in_one_harmless_line(run: Run, tmp_path: Path, name: str, reason: str) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    code, out, err = run(
        "export", "efficientvit_b0", "--weights", CASES / "checkpoints" / name, "--output", tmp_path / "x.onnx"
    )
    assert (code, out) == (1, "")
    assert reason in err
    assert err.count("\n") == 1
    assert is_harmless(err)


def test_output_of_classes_alone_is_taken(run: Run, save_image: SaveImage, tmp_path: Path) -> None:
    model = CASES / "models" / "t_rank1.onnx"
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\n")
    picture = save_image("200.png", grey(200))
    code, out, _ = run("run", model, picture, "--labels", tmp_path / "labels.txt", *PLAIN, "--json")
    assert code == 0
    session = onnxruntime.InferenceSession(model)
    (logits,) = session.run(None, {"x": np.full((1, 3, 64, 64), 200 / 127.5 - 1, np.float32)})
    assert logits.shape == (4,)
    expected = np.exp(logits) / np.exp(logits).sum()
    found = {entry["label"]: entry["conf"] for entry in json.loads(out)["top"]}
    np.testing.assert_allclose([found[label] for label in "abcd"], expected, atol=1e-4)


def test_folder_with_a_heic_and_a_jfif_reads_one_and_names_the_other_once(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("plain.heic", "plain.jfif"):
        shutil.copy(CASES / "pictures" / name, tmp_path)
    code, out, err = run("run", CASES / "models/info.onnx", tmp_path, "--json")
    assert code == 0
    assert [json.loads(line)["source"] for line in out.splitlines()] == [str(tmp_path / "plain.jfif")]
    told = [line for line in (*caplog.messages, *err.splitlines()) if "heic" in line]
    assert told == [f"{tmp_path}: 1 file left out: 1 .heic; convert the photos among them to JPEG or PNG"]


def test_levels_of_an_artifact_are_shown_and_make_a_picture_of_a_camera_readable(
    run: Run, make_model: Callable[..., Path]
) -> None:
    picture = CASES / "pictures" / "lepton14.tiff"
    code, _, err = run("run", make_model(), picture)
    assert code == 1
    assert "uses only levels 7500 to 8265 of 0 to 65535; give --levels LOW,HIGH" in err
    steps = dataclasses.replace(TINY.preprocess, levels=(7500.0, 8265.0))
    model = make_model("levels.onnx", preprocess=steps)
    assert "levels 7500 (black) to 8265 (white)" in run("info", model)[1]
    code, out, _ = run("run", model, picture)
    assert code == 0
    assert "red 0.33" in out  # grey: all three channels are alike
