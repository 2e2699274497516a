"""A whole job for boxes: from a folder of labelled pictures to weights, their facts and the run's page."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.drawn_scenes import write_dataset
from edgevit.artifact.manifest import Preprocess
from edgevit.errors import DataError, OptionError
from edgevit.export.data.scenes import CLASSES
from edgevit.models.weights.resolve import build_with_weights, resolve_weights
from edgevit.models.weights.trained import read_training_facts
from edgevit.models.zoo.registry import get_spec
from edgevit.training import BoxAccuracy, Watcher, train
from edgevit.training.detection.samples import drop_unreadable_boxed
from edgevit.training.job import Job
from edgevit.training.keywords import TrainingResult
from edgevit.training.recipe import Recipe
from edgevit.training.run import run_job

NAME = "efficientvit_b0_det"
OPTIONS: dict[str, Any] = {"imgsz": (64, 96), "epochs": 2, "batch": 4, "seed": 1, "device": "cpu"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Draw twelve scenes to train on and four to judge by."""
    folder = tmp_path_factory.mktemp("scenes")
    write_dataset(folder, train=12, val=4)
    return folder


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainingResult, list[str]]:
    said: list[str] = []
    out = tmp_path_factory.mktemp("runs") / "boxes"
    return train(NAME, data, out, **OPTIONS, watcher=Watcher(said.append)), said


def test_a_detector_starts_from_its_bundled_weights(finished: tuple[TrainingResult, list[str]]) -> None:
    assert "starting from all weights of efficientvit_b0_det/aquarium but the classifier" in " ".join(finished[1])
    assert "3 classes, 12 images to train, 4 held out" in finished[1]
    assert any(line.startswith("boxes to train: ellipse ") for line in finished[1])
    assert not any("--balance" in line for line in finished[1])
    assert any(line.startswith("held out: ") and "; keeping " in line for line in finished[1])


def test_the_weights_say_what_the_export_needs(finished: tuple[TrainingResult, list[str]], data: Path) -> None:
    result = finished[0]
    assert isinstance(result.accuracy, BoxAccuracy)
    facts = read_training_facts(result.weights)
    assert facts is not None
    assert facts.labels == CLASSES
    assert facts.preprocess == Preprocess((64, 96), "bilinear", 1.0, "letterbox")
    assert facts.threshold == result.accuracy.threshold
    assert facts.accuracy == {
        "ap": pytest.approx(result.accuracy.ap, abs=1e-4),
        "ap50": pytest.approx(result.accuracy.ap50, abs=1e-4),
        "images": 4,
    }
    assert facts.held_out is not None
    assert (facts.held_out.split, facts.held_out.images, facts.held_out.trained) == ("folder", 4, 12)
    card = json.loads(result.weights.with_suffix(".json").read_text())
    assert sum(card["images"]["train"].values()) == _boxes_of(data / "train")
    assert card["validation"]["ap50"] == result.accuracy.ap50


def _boxes_of(part: Path) -> int:
    return sum(len(path.read_text().splitlines()) for path in (part / "labels").iterdir())


def test_the_file_alone_gives_back_the_figures(finished: tuple[TrainingResult, list[str]], data: Path) -> None:
    result, spec = finished[0], get_spec(NAME)
    assert isinstance(result.accuracy, BoxAccuracy)
    weights = resolve_weights(spec, str(result.weights))
    assert weights.threshold == result.accuracy.threshold >= 0.1
    model = build_with_weights(spec, weights)
    job = Job(NAME, data, result.weights.parent, result.recipe)
    from edgevit.training.data import list_data

    val, _ = drop_unreadable_boxed(list_data(job.kind, data, 0.1).val)  # type: ignore[arg-type]
    found = job.measure(model, val, weights.preprocess)
    assert found.figures == pytest.approx(result.accuracy.figures, abs=1e-6)


def test_the_page_shows_curves_and_boxes(finished: tuple[TrainingResult, list[str]]) -> None:
    page = finished[0].page.read_text()
    assert "AP50 " in page
    assert "Average precision, held out, after each epoch" in page
    assert "Boxes in held-out photos" in page
    assert page.count('<image href="data:image/jpeg;base64,') == 4
    assert 'class="box missed-box"' in page or 'class="box right-box"' in page


def test_a_stopped_run_goes_on_to_the_same_weights(
    finished: tuple[TrainingResult, list[str]], data: Path, tmp_path: Path
) -> None:
    steps = iter(range(100))
    stop = Watcher(should_stop=lambda: next(steps) == 3)  # in the second epoch: the best so far is in the state
    assert not train(NAME, data, tmp_path / "run", **OPTIONS, watcher=stop).finished
    again = train(NAME, data, tmp_path / "run", **OPTIONS, resume=True)
    assert again.weights.read_bytes() == finished[0].weights.read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"freeze": True}, "freeze= is for models that classify"),
        ({"balance": True}, "balance= weighs images or pixels"),
        ({"crop_pct": 0.9}, "crop_pct= leaves out borders"),
    ],
)
def test_what_makes_no_sense_for_boxes_is_refused(
    options: dict[str, Any], message: str, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match=message):
        train(NAME, data, tmp_path / "run", **options)


def test_pictures_without_any_label_are_refused(data: Path, tmp_path: Path) -> None:
    for path in (data / "train" / "images").iterdir():
        (tmp_path / path.name).symlink_to(path)
    with pytest.raises(DataError):
        train(NAME, tmp_path, tmp_path / "run", **OPTIONS)


def test_retinanet_trains_by_its_own_assignment(data: Path, tmp_path: Path) -> None:
    recipe = Recipe((((64, 96), 0.5),), 4, 2e-4, warmup_epochs=0.1, bfloat16=False)
    losses: list[float] = []
    watcher = Watcher(report=lambda record: losses.append(record["loss"]))
    found = run_job(Job("sbcformer_xs_retinanet", data, tmp_path / "run", recipe, bn_batches=0), watcher)
    assert isinstance(found, BoxAccuracy)
    assert len(losses) == 2
    assert all(0 < loss < 100 for loss in losses)
