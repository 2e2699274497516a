"""The work at a desk, from photographs to a model's answers, on Linux, macOS and Windows alike."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.system.platforms import SYSTEM
from tests.made_photos import write_photos
from tests.places import ROOT

MakeModel = Callable[..., Path]
Run = Callable[..., tuple[int, str, str]]
SaveImage = Callable[[str, NDArray[np.uint8]], Path]

NAME = "sbcformer_xs"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Make two classes of twelve noisy pictures each."""
    return write_photos(tmp_path / "photos", 12)


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEVIT_HOME", str(tmp_path / "cache"))


def answers(run: Run, *arguments: object) -> dict[str, str]:
    """Return the best class of each picture, by the name of its file."""
    code, out, err = run("run", *arguments, "--json")
    assert code == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    return {Path(line["source"]).name: line["top1"] for line in lines}


def test_model_answers_for_files_folders_and_patterns(
    tiny_model: Path, run: Run, save_image: SaveImage, red_image: NDArray[np.uint8]
) -> None:
    for name in ("a.png", "b.png"):
        save_image(f"pictures/{name}", red_image)
    both = {"a.png": "red", "b.png": "red"}
    assert answers(run, tiny_model, "pictures") == both
    assert answers(run, tiny_model, Path("pictures", "a.png"), Path("pictures", "b.png")) == both
    assert answers(run, tiny_model, "**/*.png") == both
    assert run("selftest", tiny_model)[0] == 0
    code, out, err = run("run", tiny_model, "pictures", "--to", "answers.csv", "--to", "drawn/")
    assert (code, out) == (0, ""), err
    assert len(Path("answers.csv").read_bytes().splitlines()) == 3
    assert len(list(Path("drawn").glob("*.jpg"))) == 2


def test_list_of_paths_comes_from_a_pipe(
    tiny_model: Path, save_image: SaveImage, red_image: NDArray[np.uint8], tmp_path: Path
) -> None:
    listed = "".join(f"{save_image(name, red_image)}\n" for name in ("a.png", "b.png"))
    code = "import tests.other_systems; from edgevit.cli import main; main()"
    command = [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"]
    done = subprocess.run([*command, "run", str(tiny_model), "-"], input=listed, capture_output=True, text=True)
    assert [line.split()[1] for line in done.stdout.splitlines()] == ["red", "red"], done.stderr


def test_letters_that_a_code_page_lacks_come_out_as_utf8(
    make_model: Callable[..., Path],
    save_image: SaveImage,
    red_image: NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if SYSTEM == "win32":
        monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    model = make_model(labels=("Hühner 鶏", "green", "blue"))
    code = "import tests.other_systems; from edgevit.cli import main; main()"
    command = [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}"]
    picture = save_image("a.png", red_image)
    done = subprocess.run([*command, "run", str(model), str(picture), "--json"], capture_output=True)
    assert json.loads(done.stdout.decode("utf-8"))["top1"] == "Hühner 鶏", done.stderr


def test_export_and_validate_need_nothing_of_one_system(photos: Path, run: Run) -> None:
    Path("labels.txt").write_text("blue\nred\n", encoding="utf-8")
    random = ("--weights", "random", "--num-classes", 2, "--labels", "labels.txt", "--imgsz", 64)
    code, out, err = run("export", NAME, *random, "-o", "m.onnx")
    assert (code, out) == (0, "m.onnx\n"), err
    code, out, err = run("validate", "m.onnx", "--data", photos, "--json")
    assert code == 0, err
    assert json.loads(out)["images"] == 24


def test_model_is_timed_and_described(tiny_model: Path, run: Run) -> None:
    code, out, err = run("benchmark", tiny_model, "--rounds", 2, "--json")
    assert code == 0, err
    assert json.loads(out)["machine"]["cores"] >= 1
    for command in (["info", tiny_model], ["profiles"], ["models"], ["--help"]):
        assert run(*command)[0] == 0


@pytest.mark.slow
def test_photos_become_a_model_that_knows_them(photos: Path, run: Run) -> None:
    # from trained weights: a model that is sure of its answers keeps them in int8
    options = ("--init", "cifar10", "--sizes", "64*6", "--batch", 6, "--seed", 1, "-o", "trained")
    code, _, err = run("train", NAME, "--data", photos, *options)
    assert code == 0, err
    assert len(Path("trained", "log.jsonl").read_bytes().splitlines()) >= 6
    code, _, err = run(
        *("export", NAME, "--weights", Path("trained", f"{NAME}.safetensors"), "--imgsz", 64),
        *("--int8", "--data", photos, "--report", "page.html", "-o", "m.onnx"),
    )
    assert code == 0, err
    assert Path("page.html").is_file()
    assert run("validate", "m.onnx", "--data", photos, "--all")[0] == 0
    found = answers(run, "m.onnx", photos / "red")
    assert len(found) == 12
    assert list(found.values()).count("red") > 6


@pytest.mark.skipif(SYSTEM == "linux", reason="Linux has all of it")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "MODEL", "camera:0"], "the source is camera:0; a camera or stream needs Linux, and this is "),
        (["run", "MODEL", "rtsp://192.168.1.20/a", "camera:1"], "a camera or stream needs Linux"),
        (["run", "MODEL", "a.png", "--to", "mqtt://127.0.0.1/farm"], "through a spool, which needs Linux"),
        (["service", "print", "MODEL", "camera:0"], "a service is run by systemd, which needs Linux"),
        (["doctor"], "`edgevit doctor` knows the troubles of boards and needs Linux"),
    ],
)
def test_what_only_linux_has_is_refused_in_one_line(
    arguments: list[str], message: str, tiny_model: Path, run: Run, save_image: SaveImage, red_image: NDArray[np.uint8]
) -> None:
    save_image("a.png", red_image)
    code, out, err = run(*(str(tiny_model) if word == "MODEL" else word for word in arguments))
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
