"""Going on with a run: what is kept, what is refused before a picture is read, and more epochs than were planned."""

import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from edgevit.errors import CheckpointError
from edgevit.export.checkpoint import load_checkpoint
from edgevit.models import create_model
from edgevit.models.zoo.registry import get_spec
from edgevit.training import TrainingResult, Watcher, train
from edgevit.training.data import Listing, list_data
from edgevit.training.initialize import load_initial
from edgevit.training.kinds import KINDS
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
        ({"val_fraction": 0.4}, "was trained on other images"),
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
