"""`train(...)` from Python: the command's options as keywords, checked, and imported only when asked for."""

import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import edgevit.training
from edgevit.cli.train import command
from edgevit.errors import EdgevitError, OptionError
from edgevit.models.zoo.registry import get_spec
from edgevit.training import Recipe, TrainingResult, Watcher, train
from edgevit.training.keywords import start_of
from tests.made_photos import write_photos
from tests.places import ROOT

NAME = "efficientvit_b0"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make two classes of 20 noisy pictures."""
    return write_photos(tmp_path_factory.mktemp("data"), 20)


def test_a_run_from_python_gives_weights_and_accuracy(data: Path, tmp_path: Path) -> None:
    said: list[str] = []
    small: Any = {"sizes": [(32, 1)], "batch": 8, "bn_batches": 1}
    result = train(NAME, str(data), tmp_path / "run", init="random", **small, watcher=Watcher(said.append))
    assert isinstance(result, TrainingResult)
    assert result.finished
    assert result.weights == tmp_path / "run" / f"{NAME}.safetensors"
    assert result.weights.is_file()
    assert result.accuracy is not None
    assert set(result.accuracy.figures) == {"top1", "macro"}
    start = "starting from random weights; published ImageNet weights (Apache-2.0) are --init imagenet, and mostly a"
    assert any(line.startswith(start) for line in said)
    # an epoch of 32 pixels, a tenth of it warm-up, at the rate for random weights
    assert (result.recipe.sizes, result.recipe.warmup_epochs, result.recipe.learning_rate) == (((32, 1.0),), 0.1, 0.002)


def test_who_names_no_start_gets_the_bundled_weights_made_for_it(data: Path, tmp_path: Path) -> None:
    said: list[str] = []
    stop = Watcher(said.append, should_stop=lambda: True)
    result = train(NAME, data, tmp_path / "run", batch=8, watcher=stop)
    start = (
        "starting from all weights of efficientvit_b0/pretrained but the classifier, which starts anew (200 classes "
        "there, 2 here); published ImageNet weights (Apache-2.0) are --init imagenet, and mostly a better start"
    )
    assert start in said
    assert result.recipe.sizes == ((224, 45.0),)


@pytest.mark.parametrize(
    ("model", "start"),
    [
        ("efficientvit_b0_det", "aquarium"),
        ("sbcformer_xs_det", "pretrained"),
        ("efficientvit_b1_det", "imagenet_r224"),
        ("yolox_nano", "coco"),
    ],
)
def test_a_detector_starts_from_its_own_weights_or_its_backbones_made_for_it(model: str, start: str) -> None:
    assert start_of(get_spec(model), None, freeze=False) == start
    assert start_of(get_spec(model), "random", freeze=False) is None


def test_a_stopped_run_has_no_accuracy_yet(data: Path, tmp_path: Path) -> None:
    stop = Watcher(should_stop=lambda: True)
    result = train(NAME, data, tmp_path / "run", sizes="32*2", batch=8, watcher=stop)
    assert not result.finished
    assert not result.weights.exists()
    assert (tmp_path / "run" / "last.pt").is_file()


def test_keywords_and_defaults_are_those_of_the_command_line() -> None:
    keywords = {name: p.default for name, p in inspect.signature(train).parameters.items()}
    typed = command.make_context("train", [NAME, "--data", "photos"]).params
    assert set(keywords) - {"model", "command", "watcher"} == set(typed) - {"name"}
    assert {name: keywords[name] for name in typed if name not in ("name", "data")} == {
        name: default for name, default in typed.items() if name not in ("name", "data")
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"batch": 1}, "batch= is 1, expected a whole number, 2 or more"),
        ({"batch": "many"}, "batch= is 'many', expected a whole number"),
        ({"seed": 1.5}, "seed= is 1.5, expected a whole number"),
        ({"epochs": "3"}, "epochs= is '3', expected a finite number"),
        ({"epochs": 0}, "0 epochs at"),
        ({"imgsz": 0}, "image size 0 is not possible; expected a multiple of 32"),
        ({"imgsz": 224.5}, "imgsz= is 224.5, expected a whole number"),
        ({"sizes": "96*1", "epochs": 3}, "sizes= says both sizes and epochs; leave out imgsz= and epochs="),
        ({"sizes": 96}, "sizes= is 96, expected text or a list"),
        ({"augmentation": "wild"}, "augmentation= is 'wild', expected one of strong, moderate, light"),
        ({"balance": "yes"}, "balance= is 'yes', expected true or false"),
        ({"device": "tpu"}, "device= is 'tpu', expected one of auto, cpu, cuda"),
        ({"threads": 0}, "threads= is 0, expected a whole number from 1 to 1024"),
        ({"threads": 9999}, "threads= is 9999, expected a whole number from 1 to 1024"),
        ({"workers": 9999}, "workers= is 9999, expected a whole number from 1 to 1024"),
        ({"bfloat16": 1}, "bfloat16= is 1, expected true or false"),
        ({"workers": 0}, "workers= is 0, expected a whole number from 1 to 1024"),
        ({"data": 3}, "data= is 3, expected a path"),
        ({"init": 3}, "init= is 3, expected text"),
        ({"learning_rate": 0}, "learning_rate=0 is not possible; expected more than 0"),
        ({"ema_decay": 1}, "ema_decay=1 is not possible; expected from 0 to below 1"),
        ({"crop_pct": 0}, "crop_pct=0 is not possible"),
        ({"val_fraction": 1}, "val_fraction=1 is not possible"),
    ],
)
def test_a_wrong_option_is_one_line_that_names_the_keyword(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as raised:
        train(NAME, **{"data": tmp_path, **given})
    assert message in str(raised.value)
    assert "--" not in str(raised.value)


def test_the_command_line_names_its_options() -> None:
    with pytest.raises(EdgevitError) as raised:
        Recipe(sizes=((32, 1.0),), batch=1)
    assert raised.value.command_line_text == "--batch is 1, expected a whole number, 2 or more"


def test_the_face_lists_its_names_and_loads_nothing_before_it_is_asked() -> None:
    assert {"Accuracy", "Recipe", "TrainingResult", "Watcher", "train"} <= set(dir(edgevit.training))
    for name in edgevit.training.__all__:
        assert getattr(edgevit.training, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = edgevit.training.trian


def test_a_board_is_told_what_to_install() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import edgevit.training\n"
        "try:\n    from edgevit.training import train\n"
        "except ImportError as error:\n    print(error)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], check=True, text=True, capture_output=True, env=environment)
    assert done.stdout.strip() == "torch is not installed, and training needs it; run: pip install 'edgevit[train]'"
