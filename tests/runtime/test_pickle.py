"""An open model, and an error, sent to another process."""

import copy
import multiprocessing
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import edgevit
from edgevit import errors
from edgevit.artifact.manifest import Manifest
from edgevit.runtime.classifier import Classifier
from edgevit.runtime.results import Result
from tests.made_detector import scene
from tests.places import ROOT

MakeModel = Callable[..., Path]
SaveImage = Callable[[str, NDArray[np.uint8]], Path]

RED: NDArray[np.uint8] = np.full((48, 64, 3), (200, 50, 25), np.uint8)


def ask(model: Classifier, image: NDArray[np.uint8]) -> tuple[str, str, Result]:
    """Answer where this function runs; its process has another current folder than the test."""
    with model:
        return type(model).__name__, os.getcwd(), model(image)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessPoolExecutor]:
    """A fresh process, which has imported nothing and stands in another folder."""
    folder = tmp_path_factory.mktemp("elsewhere")
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, initializer=os.chdir, initargs=(folder,)) as pool:
        yield pool


def test_classifier_answers_the_same_in_another_process(
    tiny_model: Path, elsewhere: ProcessPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its path was a relative one here."""
    monkeypatch.chdir(tiny_model.parent)
    with edgevit.load(tiny_model.name, labels=("rot", "gruen", "blau")) as classifier:
        kind, folder, result = elsewhere.submit(ask, classifier, RED).result()
        assert (kind, result.top1) == ("Classifier", "rot")
        assert folder != os.getcwd()
        assert result.probs.tolist() == classifier(RED).probs.tolist()


def test_model_of_elsewhere_is_told_the_same_again(
    make_foreign: MakeModel, elsewhere: ProcessPoolExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mean and deviation turn levels 200, 50, 25 into logits of their own; the labels are a file's."""
    monkeypatch.chdir(tmp_path)
    Path("names.txt").write_text("rot\ngruen\nblau\n")
    told: dict[str, Any] = {"labels": "names.txt", "mean": (0.1, 0.2, 0.3), "std": (0.5, 0.5, 0.5)}
    with edgevit.load(make_foreign(), 1, **told) as classifier:
        _, _, result = elsewhere.submit(ask, classifier, RED).result()
        assert (result.names, result.top1) == (("rot", "gruen", "blau"), "rot")
        assert result.probs.tolist() == classifier(RED).probs.tolist()


def test_segmenter_answers_the_same_in_another_process(colours: Path, elsewhere: ProcessPoolExecutor) -> None:
    with edgevit.load(colours, task="segment") as segmenter:
        kind, _, result = elsewhere.submit(ask, segmenter, RED).result()
        assert isinstance(result, edgevit.Segmentation)
        assert (kind, result.areas) == ("Segmenter", {"red": 100.0})
        assert result.mask.tolist() == segmenter(RED).mask.tolist()


def test_detector_keeps_the_thresholds_that_it_was_told(tiny_detector: Path, elsewhere: ProcessPoolExecutor) -> None:
    """Two squares have a score of 0.998; the green one no longer counts."""
    picture = scene(("red", 0, 0), ("green", 1, 2))
    with edgevit.load(tiny_detector, task="detect") as detector:
        assert detector(picture).counts == {"red": 1, "green": 1}
        detector.set_thresholds(0.25, green=0.9999)
        kind, _, found = elsewhere.submit(ask, detector, picture).result()
        assert isinstance(found, edgevit.Detections)
        assert (kind, found.counts) == ("Detector", {"red": 1})
        assert found.boxes.tolist() == detector(picture).boxes.tolist()


def test_file_that_became_another_model_is_refused(make_model: MakeModel) -> None:
    with edgevit.load(make_model()) as classifier:
        sent = pickle.dumps(classifier)
    make_model(labels=("fox", "hen", "egg"))
    with pytest.raises(edgevit.ModelFileError, match="other classes than when it was pickled"):
        pickle.loads(sent)


def test_file_that_is_gone_is_named(tiny_model: Path) -> None:
    with edgevit.load(tiny_model) as classifier:
        sent = pickle.dumps(classifier)
    tiny_model.unlink()
    with pytest.raises(edgevit.ModelFileError, match=r"tiny\.onnx does not exist"):
        pickle.loads(sent)


def test_weights_do_not_travel(tiny_model: Path) -> None:
    with edgevit.load(tiny_model) as classifier:
        assert len(pickle.dumps(classifier)) < 1000 < tiny_model.stat().st_size


def test_model_that_no_file_holds_says_so(classifier: Classifier) -> None:
    made = Classifier(classifier._session, classifier.preprocess, classifier.names, None)
    with pytest.raises(edgevit.ModelFileError, match=r"only a model that edgevit\.load has opened"):
        pickle.dumps(made)


def test_copy_shares_the_open_model(classifier: Classifier) -> None:
    other = copy.copy(classifier)
    assert other._session is classifier._session
    assert isinstance(other.manifest, Manifest)


def test_joblib_takes_a_model(tiny_model: Path, save_image: SaveImage, monkeypatch: pytest.MonkeyPatch) -> None:
    joblib = pytest.importorskip("joblib")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *sys.path]))
    with edgevit.load(tiny_model, 1) as classifier:
        paths = [save_image(f"{name}.png", RED[:, :, order]) for name, order in (("a", [0, 1, 2]), ("b", [2, 1, 0]))]
        answers = joblib.Parallel(n_jobs=2)(joblib.delayed(classifier)(path) for path in paths)
        assert [answer.top1 for answer in answers] == ["red", "blue"]


KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.EdgevitError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_travels(kind: type[errors.EdgevitError]) -> None:
    """Also those that are made of other things than their text."""
    made = {
        "UnknownNameError": ("model", "farn", ["farm"]),
        "UnknownModelError": ("farn", "farm"),
        "MissingExtraError": ("onnx", "exporting", "export"),
        "ProcessLostError": (True,),
    }
    error = kind(*made.get(kind.__name__, ("--every is 3",)))
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (str(again), again.command_line_text) == (str(error), error.command_line_text)
    assert vars(again) == vars(error)
