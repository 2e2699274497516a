"""A whole job: from folders of pictures to a file of weights."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from edgevit.artifact.manifest import HeldOut, Preprocess
from edgevit.errors import CheckpointError, DataError, OptionError, OutputError, UnknownNameError
from edgevit.models import create_model
from edgevit.models.weights.checkpoint import read_state_dict
from edgevit.models.weights.resolve import build_with_weights, resolve_weights
from edgevit.models.weights.trained import TrainingFacts, read_training_facts
from edgevit.models.zoo.registry import get_spec
from edgevit.training.accuracy import Accuracy, measure_accuracy
from edgevit.training.folders import Samples
from edgevit.training.initialize import load_initial
from edgevit.training.job import Job, Watcher
from edgevit.training.recipe import Recipe
from edgevit.training.result import round_to_half, write_weights
from edgevit.training.run import run_job
from tests.made_photos import write_photos

NAME = "efficientvit_b0"
RECIPE = Recipe(sizes=((32, 8),), batch=8, warmup_epochs=1, ema_decay=0.9)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make two classes of 24 noisy pictures to train and 6 to validate, one of them broken."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for part, count in (("train", 24), ("val", 6)):
        write_photos(folder / part, count, rng=rng, suffix=".jpg")
    (folder / "train" / "red" / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, list[str]]:
    said: list[str] = []
    job = Job(NAME, data, tmp_path_factory.mktemp("runs") / "colors", RECIPE, crop_pct=0.9, command="edgevit train x")
    accuracy = run_job(job, Watcher(say=said.append))
    assert isinstance(accuracy, Accuracy)
    assert accuracy.top1 == 1.0
    return job, said


def test_the_file_alone_gives_back_the_accuracy(finished: tuple[Job, list[str]], data: Path) -> None:
    spec = get_spec(NAME)
    weights = resolve_weights(spec, str(finished[0].weights_file))
    assert weights.labels == ("blue", "red")
    assert weights.preprocess == Preprocess(size=(32, 32), crop_pct=0.9)
    model = build_with_weights(spec, weights)
    paths = tuple(sorted((data / "val").rglob("*.jpg")))
    val = Samples(paths, tuple(int(path.parent.name == "red") for path in paths), ("blue", "red"))
    accuracy = measure_accuracy(model, val, weights.preprocess)
    assert accuracy.top1 == accuracy.macro == 1.0
    assert accuracy.per_class == {"blue": 1.0, "red": 1.0}


def test_weights_are_stored_as_float16_and_statistics_as_float32(finished: tuple[Job, list[str]]) -> None:
    with safe_open(finished[0].weights_file, "pt") as file:
        kinds = {key: (tensor := file.get_tensor(key)).dtype for key in file.keys()}  # noqa: SIM118, no mapping
        dimensions = {key: file.get_tensor(key).ndim for key in kinds}
    assert all(kinds[key] == torch.float16 for key in kinds if dimensions[key] >= 2)
    assert all(kinds[key] == torch.float32 for key in kinds if key.endswith(("running_var", "bias")))
    assert tensor is not None


def test_a_broken_picture_is_skipped_and_said(finished: tuple[Job, list[str]]) -> None:
    job, said = finished
    assert any("skipped" in line and "broken.jpg" in line for line in said)
    assert "2 classes, 48 images to train, 12 held out" in said
    card = json.loads(job.weights_file.with_suffix(".json").read_text())
    assert card["images"] == {"train": {"blue": 24, "red": 24}, "val": {"blue": 6, "red": 6}, "unreadable": 1}
    assert card["validation"]["top1"] == 1.0
    assert card["command"] == "edgevit train x"
    assert card["recipe"]["seed"] == 0
    assert card["started_from"] == "random weights"


def test_a_finished_run_is_not_overwritten_and_resumes_to_the_same_file(finished: tuple[Job, list[str]]) -> None:
    job = finished[0]
    before = job.weights_file.read_bytes()
    with pytest.raises(CheckpointError, match="holds a run already; continue it with resume="):
        run_job(job, Watcher())
    again = Job(**{**job.__dict__, "resume": True})
    assert run_job(again, Watcher()) is not None
    assert job.weights_file.read_bytes() == before


def test_the_file_says_what_was_held_out(finished: tuple[Job, list[str]], data: Path) -> None:
    record = resolve_weights(get_spec(NAME), str(finished[0].weights_file)).held_out
    assert record is not None
    assert (record.split, record.images, record.trained) == ("folder", 12, 49)
    sizes = {path.stat().st_size for path in (data / "train").rglob("*.jpg")}
    assert len(record.sample) == 49
    assert {size for _, size in record.sample} <= sizes
    assert json.loads(finished[0].weights_file.with_suffix(".json").read_text())["held_out"]["split"] == "folder"


def test_a_class_without_readable_picture_is_refused(data: Path, tmp_path: Path) -> None:
    for part in ("train", "val"):
        for name in ("blue", "red"):
            (tmp_path / "data" / part / name).mkdir(parents=True)
            (tmp_path / "data" / part / name / "0.jpg").symlink_to(data / part / name / "0.jpg")
    (tmp_path / "data/train/red/0.jpg").unlink()
    (tmp_path / "data/train/red/0.jpg").write_bytes(b"junk")
    with pytest.raises(DataError, match="class red: none of its 1 images can be read"):
        run_job(Job(NAME, tmp_path / "data", tmp_path / "run", RECIPE), Watcher())


def test_a_class_of_which_nothing_is_held_out_is_said_and_has_no_accuracy(data: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    for part, names in (("train", ("blue", "green", "red")), ("val", ("blue", "red"))):
        for name in names:
            (few / part / name).mkdir(parents=True)
            for i in range(2):
                source = data / part / ("red" if name == "green" else name) / f"{i}.jpg"
                (few / part / name / f"{i}.jpg").symlink_to(source)
    said: list[str] = []
    found = run_job(
        Job(NAME, few, tmp_path / "run", Recipe(((32, 1),), 2, warmup_epochs=0.5)), Watcher(say=said.append)
    )
    assert isinstance(found, Accuracy)
    assert any(line.startswith("nothing of green is held out") for line in said)
    assert found.macro is None
    assert set(found.per_class) == {"blue", "red"}
    facts = read_training_facts(tmp_path / "run" / f"{NAME}.safetensors")
    assert facts is not None
    assert facts.accuracy["macro"] is None


def test_fine_tuning_keeps_a_classifier_for_the_same_classes(finished: tuple[Job, list[str]]) -> None:
    path = str(finished[0].weights_file)
    model = create_model(NAME, 2)
    assert load_initial(model, get_spec(NAME), path, ["blue", "red"]) == f"all weights of {NAME}.safetensors"
    stored = read_state_dict(Path(path))
    for key, value in model.state_dict().items():
        assert torch.equal(value, stored[key].to(value.dtype)), key


@pytest.mark.parametrize(
    ("classes", "reason"),
    [(["blue", "green", "red"], "2 classes there, 3 here"), (["cow", "pig"], "it is for other classes")],
)
def test_fine_tuning_for_other_classes_renews_the_classifier(
    finished: tuple[Job, list[str]], classes: list[str], reason: str
) -> None:
    spec, path = get_spec(NAME), finished[0].weights_file
    model = create_model(NAME, len(classes))
    fresh = {key: value.clone() for key, value in model.state_dict().items()}
    assert reason in load_initial(model, spec, str(path), classes)
    stored = read_state_dict(path)
    for key, value in model.state_dict().items():
        if key.rpartition(".")[0] == spec.family.head.rpartition(".")[0]:
            assert torch.equal(value, fresh[key]), key
        else:
            assert torch.equal(value, stored[key].to(value.dtype)), key


def test_weights_of_another_model_are_refused(finished: tuple[Job, list[str]]) -> None:
    with pytest.raises(CheckpointError, match="efficientvit_b0"):
        load_initial(create_model("efficientvit_b1", 2), get_spec("efficientvit_b1"), str(finished[0].weights_file), [])


def test_a_run_told_to_stop_continues_to_the_same_weights(finished: tuple[Job, list[str]], tmp_path: Path) -> None:
    whole = finished[0]
    steps = iter(range(100))
    job = Job(**{**whole.__dict__, "out": tmp_path / "run"})
    assert run_job(job, Watcher(should_stop=lambda: next(steps) == 10)) is None
    assert not job.weights_file.exists()
    assert run_job(Job(**{**job.__dict__, "resume": True}), Watcher()) is not None
    assert job.weights_file.read_bytes() == whole.weights_file.read_bytes()


def test_an_imbalance_is_pointed_out(data: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    for part in ("train", "val"):
        for name in ("blue", "red"):
            (few / part / name).mkdir(parents=True)
            for i in range(6 if name == "blue" or part == "val" else 1):
                (few / part / name / f"{i}.jpg").symlink_to(data / part / name / f"{i}.jpg")
    said: list[str] = []
    run_job(Job(NAME, few, tmp_path / "run", RECIPE), Watcher(say=said.append, should_stop=lambda: True))
    assert "blue has 6 images, red only 1; consider --balance" in said


def test_what_cannot_be_trained_is_refused_at_once(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean efficientvit_b0"):
        run_job(Job("eficientvit_b0", data, tmp_path, RECIPE), Watcher())
    with pytest.raises(OptionError, match=r"crop_pct=1\.5"):
        Job(NAME, data, tmp_path, RECIPE, crop_pct=1.5)
    with pytest.raises(OptionError, match="val_fraction=1"):
        Job(NAME, data, tmp_path, RECIPE, val_fraction=1)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        run_job(Job(NAME, data, tmp_path / "file", RECIPE), Watcher())


def test_a_value_too_large_for_float16_keeps_its_tensor_in_float32() -> None:
    layer = torch.nn.Linear(2, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 2.0], [1e6, 4.0]]))
    state = round_to_half(layer)
    assert state["weight"].dtype == torch.float32
    assert state["weight"][1, 0] == 1e6


def test_rounded_weights_are_what_the_model_then_computes_with() -> None:
    layer = torch.nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        layer.weight.fill_(1 / 3)
    stored = round_to_half(layer)["weight"]
    assert stored.dtype == torch.float16
    assert float(stored[0, 0]) == float(layer.weight.detach()[0, 0]) == 0.333251953125  # 1365 / 4096, by hand


def test_facts_survive_the_file(tmp_path: Path) -> None:
    facts = TrainingFacts(
        ("Kuh", "Schaf 🐑"), Preprocess(size=(96, 96), crop_pct=0.9), {"top1": 0.5, "macro": None, "images": 2}
    )
    facts = dataclasses.replace(facts, held_out=HeldOut("hash", 2, 9, 0.2, ("00ff",), (("0123", 7),)))
    path = tmp_path / "weights.safetensors"
    write_weights(path, {"x": torch.zeros(2, 2)}, facts, NAME)
    assert read_training_facts(path) == facts


def test_files_without_facts_say_nothing(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "plain.safetensors")
    torch.save({"x": torch.zeros(1)}, tmp_path / "plain.pt")
    (tmp_path / "empty.pt").touch()
    for path in tmp_path.iterdir():
        assert read_training_facts(path) is None


def test_damaged_facts_are_told(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    metadata = {"edgevit_labels": '["a"]', "edgevit_preprocess": '{"size": 3, "shape": 1}', "edgevit_accuracy": "{}"}
    save_file({"x": torch.zeros(1)}, tmp_path / "odd.safetensors", metadata)
    with pytest.raises(CheckpointError, match="labels or preprocessing cannot be read"):
        read_training_facts(tmp_path / "odd.safetensors")
