"""`edgevit validate` as a user calls it: tables, JSON, exit codes, one line for each mistake."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.places import DOCS

MakeModel = Callable[..., Path]
SaveImage = Callable[[str, NDArray[np.uint8]], Path]
Run = Callable[..., tuple[int, str, str]]

PLAIN, ORANGE, SKY = (204, 51, 51), (255, 204, 51), (51, 51, 204)
"""Red with 0.9999, red with 0.9608 before green, and blue; with green's logit doubled orange is green with 0.8320."""


@pytest.fixture
def data(save_image: SaveImage, tmp_path: Path) -> Path:
    for name, color in {"red/a": PLAIN, "red/b": ORANGE, "green/c": ORANGE, "blue/d": SKY}.items():
        save_image(f"data/{name}.png", np.full((40, 50, 3), color, np.uint8))
    return tmp_path / "data"


@pytest.fixture
def greener(make_model: MakeModel, make_graph: Callable[..., Any]) -> Path:
    return make_model("greener.onnx", graph=make_graph(weights=np.diag([4.0, 8.0, 4.0]).astype(np.float32)))


def test_people_get_tables(run: Run, tiny_model: Path, greener: Path, data: Path) -> None:
    code, out, err = run("validate", tiny_model, greener, "--data", data)
    assert code == 0
    warned = [
        f"edgevit: warning: {model} does not say which pictures it was trained on" for model in (tiny_model, greener)
    ]
    assert [line.partition(": if it")[0] for line in err.splitlines()[:2]] == warned
    assert err.splitlines()[2:] == ["edgevit: judged on 4 pictures that may have been trained on"]
    lines = [line.split() for line in out.splitlines()]
    assert out.startswith(f"{data}: 4 pictures that may have been trained on, 3 classes\n")
    # Wilson's interval of 3 of 4: (0.75 + 1.9207 / 4) / 1.9604 = 0.6275, plus or minus 0.3269
    assert ["1", str(tiny_model), "3", "of", "4", "75.00%", "30%", "to", "95%"] in lines
    assert ["1", str(tiny_model), "0.9803", "0.2303"] in lines
    assert ["2", str(greener), "0.9160", "0.1660"] in lines
    assert ["2", str(greener), "50.00%", "2", "-0.0644", "5.9", "dB", "0.9453"] in lines
    assert ["green", "1", "0.0%", "100.0%"] in lines
    assert "1 tiny.onnx, most frequent mistakes\n      1  green taken for red\n" in out
    assert "2 greener.onnx, 2 other answers than 1 (1 right before, 1 right now), the surest first\n" in out
    assert f"  {data}/red/b.png: red 0.96 -> green 0.83  (is red)\n" in out
    assert f"1 tiny.onnx, 1 wrong answer, the surest first\n  {data}/green/c.png: red 0.96  (is green)\n" in out
    assert "top-5" not in out
    order = ["top-1", "taken for", "wrong answer,", "other answers than 1", "calibration error", "drift"]
    assert sorted(order, key=out.index) == order


def test_report_page_has_the_matrix_and_the_photographs_and_only_text_of_files(
    run: Run, make_model: MakeModel, save_image: SaveImage, tmp_path: Path
) -> None:
    names = ("<b>red", "green", "blue")
    model = make_model(labels=names)
    for folder, color in (("<b>red/a", PLAIN), ("green/c", ORANGE)):
        save_image(f"data/{folder}.png", np.full((40, 50, 3), color, np.uint8))
    page = tmp_path / "page.html"
    assert run("validate", model, "--data", tmp_path / "data", "--report", page)[0] == 0
    text = page.read_text()
    assert "<title>1 of 1 green taken for &lt;b&gt;red</title>" in text
    assert text.count("data:image/jpeg;base64,") == 1
    assert "<b>red" not in text.replace("<b>&lt;b&gt;red", "")
    assert "http://" not in text
    assert "https://" not in text


def test_report_of_a_segmentation_model_or_at_no_page_is_refused_before_the_work(
    run: Run, tiny_model: Path, colours: Path, tmp_path: Path
) -> None:
    code, _, err = run("validate", colours, "--data", tmp_path / "none", "--report", tmp_path / "page.html")
    assert (code, "segments; leave it out" in err) == (2, True)
    code, _, err = run("validate", tiny_model, "--data", tmp_path / "none", "--report", tmp_path / "page.pdf")
    assert (code, err.count("\n")) == (2, 1)
    assert "does not end in .html" in err


def test_unlabelled_images_are_judged_by_agreement(run: Run, tiny_model: Path, greener: Path, data: Path) -> None:
    code, out, _ = run("validate", tiny_model, greener, "--data", data, "--unlabelled", "--flips", 1)
    assert code == 0
    assert "4 pictures that may have been trained on, classes not known" in out
    assert "top-1" not in out
    assert "2 other answers than 1, the 1 surest\n" in out
    assert out.count(" -> ") == 1


def test_many_classes_are_cut_to_the_worst(
    run: Run, make_model: MakeModel, make_graph: Callable[..., Any], save_image: SaveImage, tmp_path: Path
) -> None:
    """Logit k is k times that of red, so that of 26 classes every red picture is the last."""
    names = tuple(f"c{k:02}" for k in range(26))
    weights = np.outer(np.arange(26), [1, 0, 0]).astype(np.float32)
    model = make_model(labels=names, graph=make_graph(weights=weights))
    for name in names[1:]:
        save_image(f"many/{name}/a.png", np.full((40, 50, 3), PLAIN, np.uint8))
    out = run("validate", model, "--data", tmp_path / "many")[1]
    assert "worst 20 of 25 classes" in out
    assert "(1 without images)" in out
    # the last class of 25 is top-1, the last five are top-5; Wilson's interval of 1 of 25: 0.1013 plus or minus 0.0942
    row = next(line.split() for line in out.splitlines() if "1 of 25" in line)
    assert row[-6:] == ["25", "4.00%", "1%", "to", "20%", "20.00%"]


def test_json_holds_everything(run: Run, tiny_model: Path, greener: Path, data: Path) -> None:
    code, out, _ = run("validate", tiny_model, greener, "--data", data, "--json")
    assert (code, out.count("\n")) == (0, 1)
    found = json.loads(out)
    assert set(found) == {"schema", "data", "labelled", "images", "judged", "unreadable", "labels", "models"}
    assert found["judged"] == {"text": "4 pictures that may have been trained on", "of": 4, "trained_on": None}
    assert (found["schema"], found["labels"], found["images"]) == (1, ["red", "green", "blue"], 4)
    first, second = found["models"]
    assert set(first) == {"model", "mean_confidence", "answers", "accuracy", "agreement"}
    assert set(first["accuracy"]) == {"top1", "macro", "top5", "ece", "per_class", "confusion", "mistakes"}
    (mistake,) = first["accuracy"]["mistakes"]
    assert (mistake["source"], mistake["label"], mistake["answer"]) == (f"{data}/green/c.png", "green", "red")
    assert mistake["conf"] == pytest.approx(0.9608, abs=5e-5)
    assert first["accuracy"]["confusion"] == [[2, 0, 0], [1, 0, 0], [0, 0, 1]]
    assert first["agreement"] is None
    assert set(second["agreement"]) == {
        "top1", "confidence_drift", "logit_sqnr_db", "logit_cosine", "flips", "lost", "gained", "flipped"
    }  # fmt: skip
    assert set(second["agreement"]["flipped"][0]) == {
        "source", "label", "before", "before_conf", "after", "after_conf"
    }  # fmt: skip


def test_every_key_is_documented(run: Run, tiny_model: Path, greener: Path, data: Path) -> None:
    text = (DOCS / "validation.md").read_text()

    def keys(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set(value).union(*(keys(inner) for inner in value.values()))
        return set().union(*(keys(inner) for inner in value)) if isinstance(value, list) else set()

    found = json.loads(run("validate", tiny_model, greener, "--data", data, "--json")[1])
    assert [key for key in sorted(keys(found)) if f"`{key}`" not in text] == []


def test_unreadable_image_is_named_and_the_exit_code_is_1(run: Run, tiny_model: Path, data: Path) -> None:
    (data / "red" / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    code, out, err = run("validate", tiny_model, "--data", data)
    assert code == 1
    assert ": 4 pictures" in out
    assert f"edgevit: {data}/red/broken.jpg is a truncated JPEG" in err
    assert err.endswith("edgevit: 1 of 5 images could not be read\n")


def test_what_was_left_out_is_said(run: Run, tiny_model: Path, data: Path, save_image: SaveImage) -> None:
    save_image("data/val/red/a.png", np.full((40, 50, 3), PLAIN, np.uint8))
    save_image("data/val/loose.png", np.full((40, 50, 3), PLAIN, np.uint8))
    code, _, err = run("validate", tiny_model, "--data", data)
    assert code == 0
    assert f"edgevit: images of {data}/val\n" in err
    assert f"edgevit: 1 images beside the class folders of {data}/val have no class" in err


def test_foreign_model_takes_its_options_beside_an_exported_one(
    run: Run, tiny_model: Path, make_foreign: MakeModel, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "labels.txt").write_text("red\ngreen\nblue\n")
    told = ("--labels", tmp_path / "labels.txt", "--mean", "0.5,0.5,0.5", "--std", "0.25,0.25,0.25", "--imgsz", "32,48")
    foreign = make_foreign(shape=(1, 3, "H", "W"))
    code, out, _ = run("validate", tiny_model, foreign, "--data", data, *told)
    assert code == 0
    assert "100.00%" in out


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--data", "none"), 1, "none is not a folder; give one that holds images"),
        (("--data", "data", "--arch", "sbcformer_xs"), 2, "--arch is for checkpoints (.pt .pth .tar .safetensors)"),
        (("--data", "data", "--limit", "0"), 2, "0 is not in the range x>=1"),
        (("--data", "data", "--flips", "-1"), 2, "-1 is not in the range x>=0"),
        (("--data", "data", "--mean", "1,2"), 2, "--mean is '1,2', expected three numbers"),
        (("--data", "data", "--threads", "0"), 2, "--threads is 0, expected a whole number from 1 to 1024"),
        ((), 2, "Missing option '--data'"),
    ],
)
def test_wrong_option_is_one_line(
    run: Run,
    tiny_model: Path,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(data.parent)
    found, out, err = run("validate", tiny_model, *options)
    assert (found, out) == (code, "")
    assert message in err
    assert err.startswith("edgevit: ")
    assert err.count("\n") == 1


def test_folders_that_are_no_classes_are_one_line(run: Run, tiny_model: Path, data: Path) -> None:
    (data / "green").rename(data / "lime")
    code, out, err = run("validate", tiny_model, "--data", data)
    assert (code, out) == (1, "")
    assert "lime (1 of 3 folders) is no class of the model, whose labels are red, green, blue" in err


@pytest.mark.parametrize("name", ["none.onnx", "none.pt"])
def test_missing_model_is_one_line(run: Run, data: Path, tmp_path: Path, name: str) -> None:
    code, out, err = run("validate", tmp_path / name, "--data", data)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert f"edgevit: {tmp_path}/{name} does not exist" in err


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """The head's bias decides: whatever the picture, its second class is the first."""
    torch = pytest.importorskip("torch")
    from edgevit.models import create_model

    torch.manual_seed(0)
    model = create_model("efficientvit_b0", 3)
    state = model.state_dict()
    head = [key for key in state if key.startswith("head.")]
    state[head[-1]][:] = torch.tensor([0.0, 1e3, 0.0])
    torch.save({"state_dict": state}, tmp_path / "own.pth")
    return tmp_path / "own.pth"


def test_checkpoint_is_known_by_its_layers(run: Run, checkpoint: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("red\ngreen\nblue\n")
    options = ("--data", data, "--imgsz", 64, "--labels", tmp_path / "labels.txt", "--threads", 1, "--json")
    code, out, _ = run("validate", checkpoint, *options)
    assert code == 0
    assert json.loads(out)["models"][0]["answers"] == [0, 4, 0]
    assert json.loads(run("validate", checkpoint, *options, "--arch", "efficientvit_b0")[1]) == json.loads(out)


def test_checkpoint_without_labels_numbers_its_classes(run: Run, checkpoint: Path, data: Path) -> None:
    out = run("validate", checkpoint, "--data", data, "--imgsz", 64, "--unlabelled", "--json")[1]
    assert json.loads(out)["labels"] == ["class 0", "class 1", "class 2"]


def test_checkpoint_mistakes_are_one_line(run: Run, checkpoint: Path, data: Path, tmp_path: Path) -> None:
    import torch

    code, _, err = run("validate", checkpoint, "--data", data, "--arch", "sbcformer_xs")
    assert (code, err.count("\n")) == (1, 1)
    assert "its layers are those of efficientvit_b0" in err
    assert "--imgsz 32" in run("validate", checkpoint, "--data", data, "--imgsz", 33)[2]
    torch.save({"layer.weight": torch.zeros(2, 2)}, tmp_path / "other.pt")
    code, _, err = run("validate", tmp_path / "other.pt", "--data", data)
    assert (code, err.count("\n")) == (1, 1)
    assert "other.pt has layers of no model of the zoo; say which it is with --arch (" in err
    (tmp_path / "two.txt").write_text("a\nb\n")
    err = run("validate", checkpoint, "--data", data, "--imgsz", 64, "--labels", tmp_path / "two.txt")[2]
    assert "2 labels were given, but" in err
