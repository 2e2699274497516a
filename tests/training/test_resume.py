"""Going on with a run: what is kept, what is refused before a picture is read, and more epochs than were planned."""

import json
import shlex
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from edgevit.errors import CheckpointError
from edgevit.export.checkpoint import load_checkpoint
from edgevit.models import create_model
from edgevit.models.zoo.registry import get_spec
from edgevit.schema import option_name
from edgevit.training import Recipe, TrainingResult, Watcher, train
from edgevit.training.data import Listing, list_data
from edgevit.training.initialize import load_initial
from edgevit.training.kinds import KINDS
from edgevit.training.lessons import Lessons
from tests.made_photos import write_photos

NAME = "efficientvit_b0"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make two classes of 12 noisy pictures."""
    return write_photos(tmp_path_factory.mktemp("data"), 12)


@pytest.fixture(scope="module")
def stopped(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stop a run of two epochs after its first step."""
    out = tmp_path_factory.mktemp("runs") / "run"
    stop = Watcher(should_stop=lambda: True)
    assert not train(NAME, data, out, sizes="32*1,64*1", learning_rate=0.001, watcher=stop).finished
    return out


def go_on(data: Path, out: Path, **options: Any) -> tuple[TrainingResult, list[str]]:
    said: list[str] = []
    return train(NAME, data, out, resume=True, watcher=Watcher(said.append), **options), said


def test_options_that_are_left_out_are_those_of_the_run(data: Path, stopped: Path, tmp_path: Path) -> None:
    shutil.copytree(stopped, tmp_path / "run")
    result, said = go_on(data, tmp_path / "run")
    assert result.finished
    assert (result.recipe.sizes, result.recipe.learning_rate) == (((32, 1.0), (64, 1.0)), 0.001)
    assert not any(line.startswith("for ") for line in said)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 0.5}, r"other options \(learning_rate was 0.001, now 0.5\)"),
        ({"seed": 3}, r"other options \(seed was 0, now 3\)"),
        ({"weight_decay": 0.01}, r"other options \(weight_decay was 0.05, now 0.01\)"),
        ({"val_fraction": 0.4}, r"other options \(val_fraction was 0.1, now 0.4\)"),
        ({"crop_pct": 0.5}, r"other options \(crop_pct was 1.0, now 0.5\)"),
        ({"bn_batches": 7}, r"other options \(bn_batches was 50, now 7\)"),
        ({"init": "random"}, r"other options \(init was pretrained, now random\)"),
        ({"sizes": "64*1"}, "other options"),
    ],
)
def test_what_differs_is_refused_before_a_picture_is_read(
    data: Path, stopped: Path, options: dict[str, Any], message: str
) -> None:
    said: list[str] = []
    with pytest.raises(CheckpointError, match=message):
        train(NAME, data, stopped, resume=True, watcher=Watcher(said.append), **options)
    assert not any("checking" in line for line in said)


def test_what_decides_the_result_is_as_the_run_began(data: Path, tmp_path: Path) -> None:
    start, out = tmp_path / "start.pt", tmp_path / "run"
    torch.save(create_model(NAME, 2).state_dict(), start)
    given: dict[str, Any] = {"weight_decay": 0.1, "seed": 2, "vertical_flip": True, "balance": True, "bfloat16": True}
    conditions: dict[str, Any] = {"init": start, "crop_pct": 0.9, "val_fraction": 0.3, "bn_batches": 3}
    stop = Watcher(should_stop=lambda: True)
    train(NAME, data, out, sizes="32*1", **given, **conditions, watcher=stop)
    start.unlink()  # its weights are in last.pt
    result, said = go_on(data, out)
    assert {name: getattr(result.recipe, name) for name in given} == given
    card = json.loads(result.weights.with_suffix(".json").read_text())
    assert card["started_from"] == "all weights of start.pt"
    assert (card["bn_batches"], card["preprocess"]["crop_pct"]) == (3, 0.9)
    assert sum(card["images"]["val"].values()) > 4  # about a third of 24
    assert "starting from all weights of start.pt" in said


def test_how_much_a_teacher_counts_is_as_the_run_began() -> None:
    recipe = Recipe(((32, 1.0),), teacher="its fingerprint", teacher_weight=0.3, temperature=4.0)
    told = Lessons(Path("teacher.onnx"), temperature=3.0).continuing(recipe)
    assert (told.teacher_weight, told.temperature) == (0.3, 3.0)
    assert Lessons().continuing(recipe) == Lessons()  # it has to be given again


def test_a_start_is_the_same_by_whatever_path(
    data: Path, stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(create_model(NAME, 2).state_dict(), tmp_path / "start.pt")
    stop = Watcher(should_stop=lambda: True)
    train(NAME, data, tmp_path / "run", sizes="32*1", init=tmp_path / "start.pt", watcher=stop)
    monkeypatch.chdir(tmp_path)
    assert go_on(data, tmp_path / "run", init="start.pt")[0].finished


def test_a_run_of_an_older_version_goes_on(data: Path, stopped: Path, tmp_path: Path) -> None:
    shutil.copytree(stopped, tmp_path / "run")
    document = torch.load(stopped / "last.pt", weights_only=True)
    del document["conditions"]
    torch.save(document, tmp_path / "run" / "last.pt")
    assert go_on(data, tmp_path / "run", crop_pct=0.9)[0].finished  # what it was is not known


def test_the_command_for_more_epochs_repeats_what_was_given(data: Path, stopped: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {"batch": 6, "augmentation": "light", "weight_decay": 0.1, "seed": 2, "crop_pct": 0.9}
    out, stop = tmp_path / "run", Watcher(should_stop=lambda: True)
    train(NAME, data, out, sizes="32*1", balance=True, vertical_flip=True, **given, watcher=stop)
    with pytest.raises(CheckpointError) as told:
        go_on(data, out, epochs=3)
    words = shlex.split(str(told.value).split("`")[1])
    pairs = dict(pairwise(words))
    assert {name: pairs[option_name(name)] for name in given} == {name: str(value) for name, value in given.items()}
    assert {"--balance", "--vertical-flip"} < {*words}
    # what was not given is left to what is usual
    assert not {"--learning-rate", "--warmup-epochs", "--ema-decay", "--bn-batches", "--val-fraction"} & {*words}
    with pytest.raises(CheckpointError) as told:
        go_on(data, stopped, epochs=5)
    assert len([word for word in shlex.split(str(told.value).split("`")[1]) if word.startswith("--")]) == 4


def test_for_more_epochs_the_command_is_given(data: Path, stopped: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="was planned for 2 epochs, at whose end its") as told:
        go_on(data, stopped, epochs=5)
    # a step of 8 of the 22 or so pictures is done
    words = shlex.split(str(told.value).split("`")[1])
    assert words[:4] == ["edgevit", "train", NAME, "--data"]
    phase = words[words.index("--sizes") + 1]
    size, epochs = phase.split("*")
    assert size == "64x64"
    assert 4.5 < float(epochs) < 4.8
    assert words[words.index("--init") + 1] == str(stopped / "last.pt")
    # the command works: its start and sizes are taken
    result = train(NAME, data, tmp_path / "longer", init=stopped / "last.pt", sizes="64x64*0.5")
    assert result.recipe.sizes == ((64, 0.5),)
    assert result.finished


def test_a_finished_folder_is_not_overwritten(data: Path, stopped: Path) -> None:
    with pytest.raises(CheckpointError, match="holds a run already; continue it with resume="):
        train(NAME, data, stopped)


def started(data: Path, start: Path) -> Listing:
    return list_data(KINDS["classify"], data, 0.5, (start,))


def test_a_start_from_last_pt_holds_out_nothing_that_its_run_was_trained_on(data: Path, stopped: Path) -> None:
    first, alone = list_data(KINDS["classify"], data, 0.1), list_data(KINDS["classify"], data, 0.5)
    assert set(alone.val.paths) & set(first.train.paths), "so would a start that says nothing"
    second = started(data, stopped / "last.pt")
    assert second.val.paths == first.val.paths
    assert len(second.notes) == 1
    assert "as --val-fraction says" in second.notes[0]


def test_a_start_from_last_pt_has_a_new_classifier_for_other_classes(stopped: Path) -> None:
    def loaded(*classes: str) -> str:
        return load_initial(create_model(NAME, 2), get_spec(NAME), str(stopped / "last.pt"), classes)

    assert loaded("blue", "red") == "all weights of last.pt:state_dict_ema"
    assert loaded("cat", "dog").endswith("but the classifier, which starts anew (it is for other classes)")


def test_last_pt_brings_its_model_classes_and_size(stopped: Path) -> None:
    classifier = load_checkpoint(stopped / "last.pt")
    assert (classifier.names, classifier.preprocess.size) == (("blue", "red"), (64, 64))


def test_last_pt_of_an_older_version_resumes_and_warns_as_a_start(data: Path, stopped: Path, tmp_path: Path) -> None:
    shutil.copytree(stopped, tmp_path / "run")
    state = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    del state["edgevit"]
    torch.save(state, tmp_path / "run" / "last.pt")
    (note,) = started(data, tmp_path / "run" / "last.pt").notes
    assert note.startswith(f"warning: {tmp_path / 'run' / 'last.pt'} does not say which images it was trained on")
    assert go_on(data, tmp_path / "run")[0].finished
    assert "--val-fraction" in started(data, tmp_path / "run" / "last.pt").notes[0]
