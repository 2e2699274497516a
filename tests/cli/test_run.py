"""The board's commands: run, info and selftest, as a user calls them."""

import csv
import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.artifact.manifest import Calibration, Quantization, read_manifest
from edgevit.runtime.sinks.rotating import RotatingFile
from tests.places import ROOT

MakeModel = Callable[..., Path]
SaveImage = Callable[[str, NDArray[np.uint8]], Path]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(save_image: SaveImage, tmp_path: Path) -> Path:
    """A folder of a red, a green and a blue picture, and one that cannot be read."""
    for name, color in {"a": (200, 50, 25), "b": (25, 200, 50), "deep/c": (50, 25, 200)}.items():
        save_image(f"photos/{name}.png", np.full((40, 50, 3), color, np.uint8))
    (tmp_path / "photos/broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    return tmp_path / "photos"


def test_one_file_is_answered_without_its_name(run: Run, tiny_model: Path, folder: Path) -> None:
    """Logits 4.549, -4.863 and -6.431: red has 99.99 %, and the others would read 0.00."""
    assert run("run", tiny_model, folder / "a.png") == (0, "red 1.00\n", "")


@pytest.mark.parametrize(
    "place",
    ["--to=FILE/a.jsonl", "--to=FILE/a.csv", "--to=FILE/folder/", "--to=FILE/a.avi", "--to=hard:FILE/hard"]
    + ["--to=hard:FILE", "--status=FILE/status.json"],
)
def test_place_below_a_file_names_the_file(
    run: Run, tiny_model: Path, folder: Path, tmp_path: Path, place: str
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a folder")
    code, out, err = run("run", tiny_model, folder / "a.png", *place.replace("FILE", str(file)).split())
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert f": {file} is no folder; choose " in err
    assert file.read_text() == "not a folder"


def test_folder_goes_on_past_what_cannot_be_read(run: Run, tiny_model: Path, folder: Path) -> None:
    code, out, err = run("run", tiny_model, folder)
    assert code == 1
    assert out == f"{folder}/a.png: red 1.00\n{folder}/b.png: green 1.00\n{folder}/deep/c.png: blue 1.00\n"
    assert err == (
        f"edgevit: {folder}/broken.jpg is a truncated JPEG; copy or record it again\n"
        "edgevit: 3 frames, 0 events; 3 lines on stdout\n"
    )


def test_unreadable_images_are_one_line_each(tiny_model: Path, folder: Path) -> None:
    """The promise holds for the whole process: what OpenCV's C code would print goes past Python's stderr."""
    for path in (folder / "a.png", folder / "b.png"):
        whole = path.read_bytes()
        (folder / f"cut-{path.name}").write_bytes(whole[: len(whole) // 2])
    (folder / "page.png").write_text("<html>")
    (folder / "cut.bmp").write_bytes(b"BM" + bytes(60))
    (folder / "cut.tif").write_bytes(b"II*\x00\x08\x00\x00\x00\x01")
    (folder / "empty.jpg").write_bytes(b"")
    command = [sys.executable, "-m", "edgevit", "run", str(tiny_model), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 1
    assert done.stdout.count("\n") == 3
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["edgevit"] * 8


def test_pattern_and_list_on_stdin(run: Run, tiny_model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    assert run("run", tiny_model, f"{folder}/*.png")[1].count("\n") == 2
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{folder}/b.png\n{folder}/none.png\n"))
    code, out, err = run("run", tiny_model, "-")
    assert (code, out) == (1, f"{folder}/b.png: green 1.00\n")
    assert err == f"edgevit: {folder}/none.png does not exist\n"


def test_classes_are_limited_by_number_and_confidence(run: Run, tiny_model: Path, save_image: SaveImage) -> None:
    """Levels 128, 118, 108 give logits 0.031, -0.596, -1.224: shares 0.550, 0.294, 0.157."""
    path = save_image("grey.png", np.full((40, 50, 3), (128, 118, 108), np.uint8))
    assert run("run", tiny_model, path)[1] == "red 0.55  green 0.29  blue 0.16\n"
    assert run("run", tiny_model, path, "--top-k", 2)[1] == "red 0.55  green 0.29\n"
    assert run("run", tiny_model, path, "--threshold", 0.5)[1] == "red 0.55\n"
    assert run("run", tiny_model, path, "--threshold", 0.6)[1] == "unknown (best: red 0.55)\n"


def test_threshold_of_a_single_class_holds_for_text_json_and_tables(
    run: Run, tiny_model: Path, save_image: SaveImage, tmp_path: Path
) -> None:
    """Levels 128, 118, 108 give shares 0.550, 0.294, 0.157."""
    path = save_image("grey.png", np.full((40, 50, 3), (128, 118, 108), np.uint8))
    places = [f"{tmp_path}/{name}?send=results" for name in ("a.txt", "a.jsonl", "a.csv")]

    def answers(*thresholds: str) -> tuple[str, list[str], list[str]]:
        for place in tmp_path.glob("a.*"):
            place.unlink()
        options = [text for one in thresholds for text in ("--threshold", one)]
        run("run", tiny_model, path, *options, *[text for place in places for text in ("--to", place)])
        told = (tmp_path / "a.txt").read_text().split("  ", 1)[1]
        shown = json.loads((tmp_path / "a.jsonl").read_text())["top"]
        row = (tmp_path / "a.csv").read_text().splitlines()[1]
        return told, [each["label"] for each in shown], row.split(",")[1:7:2]

    assert answers("green=0.3") == ("red 0.55  blue 0.16\n", ["red", "blue"], ["red", "", "blue"])
    assert (
        answers("0.2", "blue=0.1")
        == answers()
        == ("red 0.55  green 0.29  blue 0.16\n", ["red", "green", "blue"], ["red", "green", "blue"])
    )
    # as for events, what comes behind a best class that is not believed is no answer
    assert answers("red=0.6") == ("unknown (best: red 0.55)\n", ["green", "blue"], ["", "green", "blue"])


def test_json_is_one_object_a_line(run: Run, tiny_model: Path, folder: Path) -> None:
    _, out, _ = run("run", tiny_model, folder, "--json", "--top-k", 1)
    answers = [json.loads(line) for line in out.splitlines()]
    assert [answer["top1"] for answer in answers] == ["red", "green", "blue"]
    assert answers[0]["source"] == f"{folder}/a.png"
    assert [len(answer["top"]) for answer in answers] == [1, 1, 1]
    assert set(answers[0]) == {
        "source", "top1", "top1_conf", "top1_index", "top", "preprocess_ms", "inference_ms", "postprocess_ms",
        "time", "frame", "id",
    }  # fmt: skip


def test_picture_that_cannot_be_read_has_a_row_where_json_goes(
    run: Run, tiny_model: Path, folder: Path, tmp_path: Path
) -> None:
    """A table has no column for it; neither have events."""
    table, events = tmp_path / "a.csv", tmp_path / "events.jsonl"
    more = ("--to", table, "--to", f"{events}?send=events", "--stable", "1/1")
    code, out, err = run("run", tiny_model, folder, "--json", "--errors", "row", *more)
    answers = [row for row in map(json.loads, out.splitlines()) if "event" not in row]
    assert code == 1
    assert [row.get("error_kind") for row in answers] == [None, None, "unreadable", None]
    broken = answers[2]
    assert set(broken) == {"id", "time", "frame", "source", "error", "error_kind"}
    assert (broken["source"], broken["frame"]) == (f"{folder}/broken.jpg", 2)
    assert f"edgevit: {broken['error']}\n" in err
    assert len(table.read_text().splitlines()) == 1 + 3
    assert all("event" in json.loads(line) for line in events.read_text().splitlines())


def test_rows_of_errors_need_json(run: Run, tiny_model: Path, folder: Path, tmp_path: Path) -> None:
    for to in ((), ("--csv",), ("--to", f"{tmp_path}/a.jsonl?send=events")):
        code, _, err = run("run", tiny_model, folder, "--errors", "row", *to)
        assert (code, err) == (
            2, "edgevit: --errors row is for rows of JSON; add --json, or --to NAME.jsonl\n"
        )  # fmt: skip


def test_a_run_that_lost_answers_does_not_end_as_if_all_was_well(
    run: Run, tiny_model: Path, save_image: SaveImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_line(file: RotatingFile, line: str, wall_s: float) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    pictures = [save_image(name, np.full((24, 32, 3), 200, np.uint8)) for name in ("a.png", "b.png")]
    assert run("run", tiny_model, *pictures, "--to", tmp_path / "a.jsonl")[0] == 0
    monkeypatch.setattr(RotatingFile, "write_line", write_line)
    code, _, err = run("run", tiny_model, *pictures, "--to", tmp_path / "a.jsonl")
    assert code == 1
    assert err.endswith("2 frames, 0 events; 0 lines in " + str(tmp_path / "a.jsonl") + ", 2 records lost\n")


def test_stdout_is_of_one_form(run: Run, tiny_model: Path, folder: Path) -> None:
    code, out, err = run("run", tiny_model, folder, "--json", "--csv")
    assert (code, out, err) == (2, "", "edgevit: --to names stdout twice; leave one of them out\n")


def test_csv_has_a_header_and_as_many_cells_in_each_row(run: Run, tiny_model: Path, folder: Path) -> None:
    _, out, _ = run("run", tiny_model, folder, "--csv", "--top-k", 2, "--threshold", 0.5)
    rows = list(csv.reader(out.splitlines()))
    assert rows[0][:5] == ["source", "label1", "conf1", "label2", "conf2"]
    assert rows[1][:5] == [f"{folder}/a.png", "red", "0.9999", "", ""]
    assert {len(row) for row in rows} == {len(rows[0])}


@pytest.mark.parametrize("suffix", [b".onnx", b".tflite"])
def test_model_whose_file_name_is_no_text_is_opened(
    run: Run, make_model: MakeModel, make_tflite: MakeModel, folder: Path, suffix: bytes
) -> None:
    """As "mödel" is where the names of files are in Latin-1."""
    model = make_model() if suffix == b".onnx" else make_tflite()
    other = model.rename(Path(os.fsdecode(os.fsencode(model.parent / "m") + b"\xf6del" + suffix)))
    assert run("run", other, folder / "a.png") == (0, "red 1.00\n", "")


def test_file_name_that_is_not_text_does_not_stop_the_run(run: Run, tiny_model: Path, folder: Path) -> None:
    odd = Path(str(folder).encode().decode() + "/caf\udce9.png")
    odd.write_bytes((folder / "a.png").read_bytes())
    code, out, _ = run("run", tiny_model, folder)
    assert (code, out.count("\n")) == (1, 4)
    assert "/caf\ufffd.png: red 1.00\n" in out


def test_foreign_model_runs_with_its_options(run: Run, make_foreign: MakeModel, folder: Path, tmp_path: Path) -> None:
    model = make_foreign(shape=(1, 3, "H", "W"))
    labels = tmp_path / "labels.txt"
    labels.write_text("rot\ngruen\nblau\n")
    options = ("--labels", labels, "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25", "--imgsz", "32,48")
    assert run("run", model, folder / "a.png", *options) == (0, "rot 1.00\n", "")


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--mean", "0.5,1"), 2, "--mean is '0.5,1', expected three numbers such as 0.485,0.456,0.406"),
        (("--std", "a,b,c"), 2, "--std is 'a,b,c', expected three numbers"),
        (("--imgsz", "big"), 2, "--imgsz is 'big', expected pixels such as 224"),
        (("--mean", "0,0,0"), 2, "carries its own preprocessing; leave out mean"),
        (("--threads", "0"), 2, "--threads is 0, expected a whole number from 1 to 1024"),
        (("--labels", "none.txt"), 2, "labels file none.txt does not exist"),
        (("--top-k", "0"), 2, "--top-k is 0, expected a whole number, 1 or more"),
        (("--threshold", "2"), 2, "--threshold is '2', expected a number from 0 to 1"),
        (("imgsz=224",), 2, "did you mean --imgsz 224?"),
    ],
)
def test_wrong_option_is_one_line(
    run: Run, tiny_model: Path, folder: Path, options: tuple[str, ...], code: int, message: str
) -> None:
    found, out, err = run("run", tiny_model, folder / "a.png", *options)
    assert (found, out) == (code, "")
    assert message in err
    assert err.startswith("edgevit: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["run", "info", "selftest"])
def test_file_that_is_no_model_is_one_line(run: Run, tmp_path: Path, command: str) -> None:
    (tmp_path / "page.onnx").write_text("<html>")
    source = ["cat.jpg"] if command == "run" else []
    code, out, err = run(command, tmp_path / "page.onnx", *source)
    assert (code, out) == (1, "")
    assert "page.onnx is not an ONNX model, or is truncated" in err
    assert run(command, tmp_path / "none.onnx", *source)[2].startswith(f"edgevit: {tmp_path}/none.onnx does not exist")


def test_missing_source_is_one_line(run: Run, tiny_model: Path, tmp_path: Path) -> None:
    code, _, err = run("run", tiny_model, tmp_path / "cat.jpg")
    assert code == 1
    assert (
        err
        == f"edgevit: {tmp_path}/cat.jpg does not exist; give a file, a folder, a pattern in quotes, or - for a list\n"
    )


def test_info_tells_people_what_the_file_says(run: Run, make_model: MakeModel) -> None:
    calibration = Calibration("folder", 256, "minmax", 0, skipped=2)
    quantization = Quantization("U8S8", 0.934, ("head",), calibration)
    path = make_model(precision="int8", quantization=quantization, notes=("bias table resized to 8x8",))
    code, out, err = run("info", path)
    assert code == 0
    for text in (
        "tiny, classify, int8, target generic",
        "image 1x3x24x32 float32 NCHW RGB",
        "bicubic, crop center 0.875, to 24x32 (height x width)",
        "mean 0.5,0.5,0.5 std 0.25,0.25,0.25",
        "3: red, green, blue",
        "U8S8, 93.4% of multiply-accumulates",
        "256 images (folder), minmax, 2 unreadable files skipped",
        "bias table resized to 8x8",
        "checksum good",
    ):
        assert text in out
    assert err == f"next: edgevit run {path} IMAGE, or edgevit selftest {path}\n"


def test_info_json_is_the_whole_document(run: Run, tiny_model: Path) -> None:
    manifest = read_manifest(tiny_model)
    assert manifest is not None
    assert run("info", tiny_model, "--json")[1] == manifest.to_json() + "\n"


def test_selftest_passes_on_a_sound_file(run: Run, tiny_model: Path) -> None:
    code, out, err = run("selftest", tiny_model)
    assert code == 0
    assert out.startswith(f"{tiny_model}: self-test passed, 3 pictures; input within ")
    assert err == f"next: edgevit run {tiny_model} IMAGE\n"


def test_selftest_fails_with_exit_code_3(run: Run, tiny_model: Path, make_model: MakeModel) -> None:
    manifest = read_manifest(tiny_model)
    assert manifest is not None
    path = make_model(selftest=manifest.selftest, weights=manifest.weights, precision="fp32")
    assert run("selftest", path)[0] == 0
    from dataclasses import replace

    other = make_model(selftest=manifest.selftest, preprocess=replace(manifest.preprocess, interpolation="bilinear"))
    code, out, err = run("selftest", other)
    assert (code, out) == (3, "")
    assert err.startswith("edgevit: self-test failed, case 1 of 3: preprocessing gives ")
    assert err.count("\n") == 1


def test_closed_stderr_makes_no_failure_of_what_was_done(tiny_model: Path) -> None:
    code = "import os, sys; os.close(2); os.execv(sys.executable, sys.argv[1:])"
    command = [sys.executable, "-m", "edgevit", "info", str(tiny_model)]
    assert subprocess.run([sys.executable, "-c", code, *command], capture_output=True, cwd=ROOT).returncode == 0


@pytest.mark.parametrize("command", [("run", "--json"), ("run", "--to", "csv"), ("models",)])
def test_stdout_on_a_full_disk_is_one_line(tiny_model: Path, folder: Path, command: tuple[str, ...]) -> None:
    given = [command[0], str(tiny_model), str(folder / "a.png"), *command[1:]] if command[0] == "run" else command
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "edgevit", *given], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "stdout cannot be written: No space left on device; " in line


@pytest.mark.parametrize("closed", [False, True], ids=["full disk", "closed"])
@pytest.mark.parametrize("command", [("--version",), ("--help",), ("models", "--help"), ("profiles",)])
def test_stdout_that_takes_nothing_is_one_line(command: tuple[str, ...], closed: bool) -> None:
    to = ">&-" if closed else "> /dev/full"
    shell = ["sh", "-c", f'"$0" -m edgevit "$@" {to}', sys.executable, *command]
    done = subprocess.run(shell, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert done.returncode == 1
    reason = "Bad file descriptor" if closed else "No space left on device"
    assert done.stderr == f"edgevit: stdout cannot be written: {reason}; free some space, or send it elsewhere\n"


@pytest.mark.parametrize("command", [(), ("fleet",)])
def test_without_a_command_there_is_help_of_several_lines_on_stderr(run: Run, command: tuple[str, ...]) -> None:
    code, out, err = run(*command)
    assert (code, out) == (2, "")
    assert err == run(*command, "--help")[1]
    assert err.count("\n") > 10


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_stream_that_is_closed_is_no_traceback_and_no_file_takes_its_number(
    tiny_model: Path, save_image: SaveImage, tmp_path: Path, closed: tuple[int, ...]
) -> None:
    random = np.random.default_rng(1)
    path = save_image("noise.jpg", random.integers(0, 256, (96, 96, 3), np.uint8))
    data = bytearray(path.read_bytes())
    # libjpeg says on stderr what is wrong with it
    data[-400:-200] = random.integers(0, 255, 200, np.uint8).tobytes()
    path.write_bytes(data)
    code = "import os, sys; [os.close(int(number)) for number in sys.argv[1]]; os.execv(sys.executable, sys.argv[2:])"
    places = [*([] if 1 in closed else ["--to", "json"]), "--to", f"{tmp_path}/all.jsonl", "--errors", "row"]
    command = [sys.executable, "-m", "edgevit", "run", str(tiny_model), str(path), *places]
    numbers = "".join(map(str, closed))
    done = subprocess.run([sys.executable, "-c", code, numbers, *command], capture_output=True, text=True, cwd=ROOT)
    assert "Traceback" not in done.stderr
    assert ("noise.jpg" in done.stdout) == (1 not in closed)
    (line,) = (tmp_path / "all.jsonl").read_text().splitlines()
    assert json.loads(line)["source"] == str(path)


def test_reader_that_leaves_early_is_no_traceback(tiny_model: Path, folder: Path) -> None:
    """As in `edgevit run MODEL - | head -1`: the process ends quietly when nobody reads any more."""
    command = [sys.executable, "-m", "edgevit", "run", str(tiny_model), "-", "--json"]
    paths = f"{folder}/a.png\n" * 500
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(paths.encode())
    process.stdin.close()
    assert json.loads(process.stdout.readline())["top1"] == "red"
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 1
    process.stderr.close()
