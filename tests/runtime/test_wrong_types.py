"""A value of a wrong type given in Python is an OptionError of one line, and no error from within."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgevit
from edgevit.errors import ImageError, OptionError
from edgevit.runtime.events.counts import CountRule
from edgevit.runtime.images.read import read_image
from edgevit.runtime.images.regions import Region
from edgevit.runtime.results import Result
from edgevit.runtime.segmentation import Segmentation
from edgevit.runtime.sources.stop import check_stop
from edgevit.runtime.tracking.lines import Line

RESULT = Result(np.array([0.75, 0.25], np.float32), ("hen", "fox"))
SEGMENTATION = Segmentation(
    RESULT.probs, RESULT.names, mask=np.zeros((4, 4), np.uint8), palette=((0, 0, 0), (255, 255, 255))
)
TEXT: Any = "0.5"
"""What is given where a number is expected."""
NUMBER: Any = 5
NOTHING: Any = None
SHARES = "shares of the picture go from 0 to 1"
UNITS = f"{SHARES}, and pixels are whole numbers"
SHARE = "is '0.5', expected a finite number"
TASKS = "expected one of classify, segment, detect"
MODELS = "expected a file, an open model, or a list of those"
ADDRESS = "expected an address and a port such as 127.0.0.1:8080"
RUN = edgevit.RunOptions(model="m.onnx", sources=["camera:0"])
COLLECT = edgevit.CollectOptions(source="camera:0", labels=["hen"], to="photos")
RULES, COUNT = edgevit.LabelRules(), CountRule("hen", ">=", 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: edgevit.load(NOTHING), "the model is None, expected text or a path"),
        (lambda: edgevit.load(NUMBER), "the model is 5, expected text or a path"),
        (lambda: edgevit.run(NUMBER), "options= is 5, expected an edgevit.RunOptions"),
        (lambda: check_stop(NUMBER), "stop= is 5, expected an edgevit.Stop"),
        (lambda: edgevit.load(""), "the model is '', expected text or a path"),
        (lambda: edgevit.load("m.onnx", task=["detect"]), f"task= is ['detect'], {TASKS}"),  # type: ignore[call-overload]
        (lambda: edgevit.collect(NUMBER), "options= is 5, expected an edgevit.CollectOptions"),
        (lambda: edgevit.validate(NUMBER, "photos"), f"models= is 5, {MODELS}"),
        (lambda: edgevit.run(RUN, on_event=NUMBER), "on_event= is 5, expected a function"),
        (lambda: edgevit.collect(COLLECT, on_page=TEXT), "on_page= is '0.5', expected a function"),
        (lambda: edgevit.Watch(NUMBER), "labels= is 5, expected LabelRules"),
        (lambda: edgevit.Watch(RULES, NUMBER), "health= is 5, expected HealthRules"),
        (lambda: edgevit.Watch(RULES, counts=[COUNT]), f"counts= is [{COUNT!r}], expected CountRules"),  # type: ignore[arg-type]
        (lambda: edgevit.Watch(RULES).see([RESULT]), "the answer is a list, expected a Result; of a list give each"),  # type: ignore[arg-type]
        (lambda: read_image(np.zeros((2, 2, 3), np.uint8), bgr=TEXT), "bgr= is '0.5', expected true or false"),
        (lambda: edgevit.RunOptions(model="m", sources=["camera:0"], serve="80a"), f"serve= is '80a', {ADDRESS}"),
        (
            lambda: edgevit.CollectOptions(source="camera:0", labels=["hen"], to="photos", serve="80a"),
            f"serve= is '80a', {ADDRESS}",
        ),
        (lambda: Region("gate", TEXT, 0, 1, 1), "roi= gate[0] is '0.5', expected a finite number"),
        (lambda: Region("gate", 0, 0, 1, float("inf")), "roi= gate[3] is inf, expected a finite number"),
        (lambda: Region(NUMBER, 0, 0, 1, 1), "roi= name is 5, expected text"),
        (lambda: Region("g", 0.1, 0.1, 0.5, 1.2), f"roi= g is 0.1,0.1,0.5,1.2; {UNITS}"),
        (lambda: Region("g", 0, 0, 1, 2), f"roi= g is 0,0,1,2; {SHARES}, and w and h in pixels from 2"),
        (lambda: Line("g", 0.5, 0, 0.5, 1.2), f"line= g is 0.5,0,0.5,1.2; {UNITS}"),
        (lambda: Line("gate", 0, TEXT, 1, 1), "line= gate[1] is '0.5', expected a finite number"),
        (lambda: CountRule("hen", ">=", TEXT), "limit= is '0.5', expected a whole number"),
        (lambda: RESULT.top(TEXT), "k= is '0.5', expected a whole number"),
        (lambda: RESULT.top(-1), "k= is -1, expected a whole number, 0 or more"),
        (lambda: RESULT.top(2, TEXT), f"threshold= {SHARE}"),
        (lambda: RESULT.top(2, 50), "threshold= is 50, expected a number from 0 to 1"),
        (lambda: RESULT.to_dict(threshold=TEXT), f"threshold= {SHARE}"),
        (lambda: RESULT.to_json(threshold=TEXT), f"threshold= {SHARE}"),
        (lambda: SEGMENTATION.segments(TEXT), f"threshold= {SHARE}"),
        (lambda: SEGMENTATION.overlay(TEXT), f"alpha= {SHARE}"),
    ],
)
def test_wrong_type_is_one_line(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        call()
    assert str(caught.value) == message


def test_numbers_of_numpy_are_numbers() -> None:
    best: Any = (np.int64(2), np.float32(0.5))
    assert RESULT.top(*best) == (("hen", 0.75),)
    values: Any = (np.float32(0.5), 0, np.float32(0.5), np.int64(1))
    assert Region("gate", *values).in_shares


def test_labels_given_in_python_are_names_of_one_line_as_those_in_a_file(tiny_model: Path) -> None:
    for name in ("", " ", "a\nb"):
        with pytest.raises(OptionError) as caught:
            edgevit.load(tiny_model, labels=["red", name, "blue"])
        assert str(caught.value) == f"labels= has {name!r} for class 1, expected a name on one line"


def test_an_address_is_no_picture_and_its_password_is_not_told(tiny_model: Path) -> None:
    with edgevit.load(tiny_model) as model:
        for given in ("http://me:secret@pen/1.jpg", Path("rtsp://me:secret@pen/1.jpg")):
            with pytest.raises(ImageError) as caught:
                model(given)
            assert "://... is an address, not a file; `stream` reads it" in str(caught.value)
            assert "secret" not in str(caught.value)
        with pytest.raises(ImageError, match="^the path of the picture is empty"):
            model("")


def test_what_is_told_of_a_stream_is_a_function_before_it_begins(tiny_model: Path) -> None:
    with edgevit.load(tiny_model) as model:
        for name in ("on_event", "on_error", "on_picture", "on_black"):
            with pytest.raises(OptionError, match=f"^{name}= is 5, expected a function$"):
                model.stream("sample", **{name: NUMBER})


def test_watch_looks_at_whatever_a_model_may_be_called_with() -> None:
    moment = edgevit.Moment("pen", sequence=1, monotonic_s=0.0, wall_s=0.0)
    later = edgevit.Moment("pen", sequence=2, monotonic_s=9.0, wall_s=9.0)
    for dark in (np.zeros((24, 32), np.uint8), np.zeros((24, 32, 4), np.uint8), np.zeros((24, 32, 3), np.uint8)):
        watch = edgevit.Watch(RULES, edgevit.HealthRules())
        assert watch.look(dark, moment) == ()
        assert [event.kind for event in watch.look(dark, later)] == ["too_dark"]
    with pytest.raises(ImageError, match="^an array of shape .* and type float64 is not an image"):
        watch.look(np.zeros((24, 32, 3)), edgevit.Moment("coop", 1, 0.0, 0.0))  # type: ignore[arg-type]


def test_stop_of_a_wrong_type_is_told_before_the_stream_begins(tiny_model: Path) -> None:
    with edgevit.load(tiny_model) as model, pytest.raises(OptionError, match="^stop= is 5, expected an edgevit.Stop$"):
        model.stream("sample", stop=NUMBER)
