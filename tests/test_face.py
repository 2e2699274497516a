"""What `import edgevit` offers: every name, typed, checked, and at no cost until it is used."""

import ast
import importlib
import inspect
import subprocess
import sys
import typing
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import edgevit
from edgevit import errors
from edgevit.runtime.foreign import UserMetadata
from edgevit.runtime.loading import LoadOptions
from edgevit.runtime.stream.options import StreamKeywords, StreamOptions
from tests.places import ROOT

MakeModel = Callable[..., Path]
SaveImage = Callable[[str, NDArray[np.uint8]], Path]

SCRIPT = """
import edgevit

segmenter = edgevit.load("m.onnx", task="segment")
width: int = segmenter("a.jpg").mask.shape[1]
shares: dict[str, float] = segmenter(["a.jpg"])[0].areas
for answer in segmenter.stream("camera:0", every="5s", stable="3/5"):
    print(answer.overlay().shape)
classifier = edgevit.load("m.onnx")
label: str = classifier("a.jpg").top1
rules = edgevit.LabelRules(stable=(3, 5), threshold=0.6)
summary = edgevit.run(edgevit.RunOptions(model="m.onnx", sources=["camera:0"], every="5s"))
counts = edgevit.validate("m.onnx", "farm/", task="detect", threshold={"hen": 0.4}).models[0].counts
wrong_by: float = counts.total.error if counts is not None else 0.0
print(wrong_by, width, shares, label, rules, summary.results, edgevit.UNKNOWN)
"""
WRONG = """
import edgevit

edgevit.validate("m.onnx", "farm/", task="segment").models[0].counts

edgevit.load("m.onnx")("a.jpg").mask
edgevit.load("m.onnx").stream("camera:0", evry="5s")
edgevit.load("m.onnx", task="sort")
"""


def check_types(code: str, folder: Path) -> str:
    """Return what mypy --strict says of a script."""
    script = folder / "script.py"
    script.write_text(code)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--ignore-missing-imports", str(script)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300).stdout


@pytest.mark.slow
def test_script_with_a_typed_choice_passes_a_strict_type_check(tmp_path: Path) -> None:
    assert check_types(SCRIPT, tmp_path) == "Success: no issues found in 1 source file\n"
    said = check_types(WRONG, tmp_path)
    assert '"Result" has no attribute "mask"' in said
    assert '"SegmentationQuality" has no attribute "counts"' in said
    assert 'Unexpected keyword argument "evry"' in said
    assert 'No overload variant of "load"' in said


def test_every_name_is_there_and_listed() -> None:
    assert set(dir(edgevit)) == set(edgevit.__all__)
    for name in edgevit.__all__:
        assert getattr(edgevit, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        importlib.import_module("edgevit").nothing  # noqa: B018


@pytest.mark.parametrize("name", ["edgevit.export", "edgevit.training"])
def test_rooms_of_the_face_list_what_they_offer_and_no_more(name: str) -> None:
    room = importlib.import_module(name)
    assert dir(room) == sorted(room.__all__)


def test_names_for_type_checkers_are_those_at_run_time() -> None:
    tree = ast.parse((ROOT / "edgevit" / "__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    typed = {
        (node.module, alias.name) for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    homes = typing.cast(dict[str, tuple[str, ...]], vars(edgevit)["_HOMES"])
    assert typed == {(module, name) for module, names in homes.items() for name in names}


def test_every_kind_of_error_is_in_the_face() -> None:
    kinds = [name for name, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]
    assert [name for name in kinds if name not in edgevit.__all__] == []


def test_public_names_have_docstrings() -> None:
    values = {name: getattr(edgevit, name) for name in edgevit.__all__}
    assert [name for name, value in values.items() if callable(value) and not inspect.getdoc(value)] == []


def test_keywords_for_type_checkers_are_the_options_there_are() -> None:
    assert sorted(LoadOptions.__annotations__) == sorted(inspect.signature(UserMetadata).parameters)
    assert sorted(StreamKeywords.__annotations__) == sorted(inspect.signature(StreamOptions).parameters)


def test_repr_says_what_a_model_is(make_model: MakeModel, make_foreign: MakeModel) -> None:
    assert repr(edgevit.load(make_model())) == "Classifier('tiny', fp32, 3 classes, 24x32, onnxruntime)"
    foreign = edgevit.load(make_foreign(), labels=["a", "b", "c"], mean=(0.5,) * 3, std=(0.25,) * 3)
    assert repr(foreign) == "Classifier(3 classes, 24x32, onnxruntime)"


def test_task_that_is_asked_for_is_checked(tiny_model: Path) -> None:
    assert edgevit.load(tiny_model, task="classify").task == "classify"
    with pytest.raises(edgevit.OptionError, match="is a model for the task 'classify', not 'segment'"):
        edgevit.load(tiny_model, task="segment")
    with pytest.raises(edgevit.OptionError, match="task= is 'pose', expected one of classify, segment, detect"):
        edgevit.load(tiny_model, task="pose")  # type: ignore[call-overload]


def test_closed_model_is_an_error_of_its_own(tiny_model: Path, red_image: NDArray[np.uint8]) -> None:
    model = edgevit.load(tiny_model)
    model.close()
    with pytest.raises(edgevit.ClosedError, match="was closed; load it again"):
        model(red_image)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"evry": "5s"}, r"there is no option evry=; did you mean every=\?"),
        ({"every": True}, "every= is True, expected text or a finite number"),
        ({"fps": "2"}, "fps= is '2', expected a finite number"),
        ({"rotate": 45}, "rotate= is 45, expected one of 0, 90, 180, 270"),
        ({"threshold": {"pink": 0.5}}, "the model has no class 'pink'; it has red, green, blue"),
    ],
)
def test_wrong_option_of_a_stream_is_told_at_once(tiny_model: Path, options: dict[str, object], message: str) -> None:
    with edgevit.load(tiny_model) as model, pytest.raises(edgevit.OptionError, match=message):
        model.stream("clip.mp4", **options)  # type: ignore[arg-type]


def test_misspelt_option_is_told_with_the_nearest_that_there_is() -> None:
    from edgevit import export, training

    calls: list[tuple[Callable[..., object], dict[str, object], str]] = [
        (edgevit.RunOptions, {"model": "m.onnx", "sources": ["camera:0"], "evry": "5s"}, "evry=; did you mean every="),
        (edgevit.CollectOptions, {"evry": "5s"}, "evry=; did you mean every="),
        (edgevit.LabelRules, {"stble": (3, 5)}, "stble=; did you mean stable="),
        (edgevit.HealthRules, {"drk": (0.1, 0.2)}, "drk=; did you mean dark="),
        (edgevit.validate, {"models": "m.onnx", "data": "photos", "limt": 3}, "limt=; did you mean limit="),
        (export.Recipe, {"model": "sbcformer_xs", "prcision": "int8"}, "prcision=; did you mean precision="),
        (training.Recipe, {"sizes": [(96, 1)], "bach": 8}, "bach=; did you mean batch="),
        (training.train, {"model": "sbcformer_xs", "data": "photos", "epohcs": 3}, "epohcs=; did you mean epochs="),
    ]
    for call, options, message in calls:
        with pytest.raises(edgevit.OptionError, match=rf"there is no option {message}\?"):
            call(**options)


@pytest.mark.parametrize("threads", [0, "4", True])
def test_number_of_threads_is_checked(tiny_model: Path, threads: object) -> None:
    with pytest.raises(edgevit.OptionError, match=f"threads= is {threads!r}, expected a whole number"):
        edgevit.load(tiny_model, threads=threads)  # type: ignore[call-overload]


def test_events_of_labels_are_told_after_their_answer(tiny_model: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for color in [(200, 50, 25), (200, 50, 25), (25, 50, 200), (200, 50, 25)]:
        writer.write(np.full((48, 64, 3), color[::-1], np.uint8))
    writer.release()
    told: list[str] = []

    def hear(event: edgevit.Event) -> None:
        told.append(event.facts["label"])

    with edgevit.load(tiny_model) as model:
        results = model.stream(clip, stable="1/1", threshold=0.6, on_event=hear)
        assert [(result.top1, len(told)) for result in results] == [("red", 0), ("red", 1), ("blue", 1), ("red", 2)]
        assert told == ["red", "blue", "red"]
        told.clear()
        # a threshold alone says what is believed, too: the colours have 0.9 and more
        for threshold, labels in ((0.6, ["red", "blue", "red"]), (1.0, ["unknown"])):
            for _ in model.stream(clip, threshold=threshold, on_event=hear):
                pass
            assert told == labels
            told.clear()
        # the flash of blue is one frame of three
        for _ in model.stream(clip, stable="2/3", on_event=hear):
            pass
        assert told == ["red"]


def test_validate_takes_files_and_open_models(tiny_model: Path, save_image: SaveImage, tmp_path: Path) -> None:
    for name, color in {"red": (200, 50, 25), "blue": (25, 50, 200)}.items():
        save_image(f"photos/{name}/a.png", np.full((24, 32, 3), color, np.uint8))
    with edgevit.load(tiny_model) as model:
        found = edgevit.validate([tiny_model, model], tmp_path / "photos", task="classify")
    assert [quality.model for quality in found.models] == [str(tiny_model), repr(model)]
    assert found.models[0].accuracy is not None
    with pytest.raises(edgevit.OptionError, match="there is no model to judge"):
        edgevit.validate([], tmp_path / "photos")
