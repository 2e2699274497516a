"""`edgevit run` as a call from Python, and its options as one checked value."""

import contextlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import edgevit
from edgevit.cli.run import command
from edgevit.cli.run_options import read_run_options
from edgevit.runtime.images.regions import Region
from edgevit.runtime.moment import Moment
from edgevit.runtime.run.options import RunOptions
from edgevit.runtime.run.output import open_output
from edgevit.runtime.sources.frames import Frame, Picture
from edgevit.runtime.stream.loop import StreamCallbacks
from edgevit.runtime.stream.watched import watched_stream
from tests.runtime.run.test_result_writer import Kept

SaveImage = Callable[[str, NDArray[np.uint8]], Path]
RED, BLUE = (200, 50, 25), (25, 50, 200)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Ten red frames, then ten blue ones."""
    return write_clip(tmp_path / "clip.avi", [RED] * 10 + [BLUE] * 10)


def write_clip(path: Path, colors: Sequence[tuple[int, int, int]]) -> Path:
    """Write a video of ten frames a second, each of one colour."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for color in colors:
        writer.write(np.full((48, 64, 3), color[::-1], np.uint8))
    writer.release()
    return path


def test_run_writes_answers_and_events_and_counts_them(tiny_model: Path, clip: Path, tmp_path: Path) -> None:
    events: list[edgevit.Event] = []
    options = edgevit.RunOptions(
        model=tiny_model, sources=[clip, tmp_path / "missing.jpg"], stable="2/3", to=[f"{tmp_path}/all.jsonl"]
    )
    errors: list[edgevit.EdgevitError] = []
    done = edgevit.run(options, on_event=events.append, on_error=errors.append)
    assert (done.results, done.unreadable, done.live) == (20, 1, False)
    assert ["missing.jpg does not exist" in str(error) for error in errors] == [True]
    assert [(event.kind, event.facts["label"], event.moment.sequence) for event in events] == [
        ("label", "red", 1),
        ("label", "blue", 11),
    ]
    lines = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert sum("event" in line for line in lines) == 2
    # an event follows the answer that it came from
    assert [line["frame"] for line in lines[:4]] == [0, 1, 1, 2]


@pytest.mark.parametrize("asked", [{}, {"stable": "2/3"}])
def test_the_page_changes_nothing_in_what_the_places_get(
    tiny_model: Path, clip: Path, tmp_path: Path, asked: dict[str, Any]
) -> None:
    def rows(name: str, **page: Any) -> tuple[list[tuple[Any, ...]], int, int]:
        told: list[edgevit.Event] = []
        options = edgevit.RunOptions(model=tiny_model, sources=[clip], to=[f"{tmp_path}/{name}"], **asked, **page)
        done = edgevit.run(options, on_event=told.append)
        lines = [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        return [(line["frame"], line.get("event"), line.get("top")) for line in lines], done.events, len(told)

    assert rows("page.jsonl", serve="127.0.0.1:0") == (plain := rows("plain.jsonl"))
    assert plain[1:] == (2 * bool(asked), 2 * bool(asked))


@pytest.mark.parametrize("source", ["photos", "photos/%02d.png"])
def test_pictures_that_nothing_smooths_are_named_by_their_own_answer_and_that_is_said(
    tiny_model: Path, save_image: SaveImage, tmp_path: Path, source: str, caplog: pytest.LogCaptureFixture
) -> None:
    for number, color in enumerate([(200, 50, 25), (25, 50, 200)]):
        save_image(f"photos/{number:02d}.png", np.full((48, 64, 3), color, np.uint8))
    options = edgevit.RunOptions(
        model=tiny_model, sources=[tmp_path / source], stable="2/3", threshold=0.5, to=[f"{tmp_path}/kept/"]
    )
    assert edgevit.run(options).events == 0
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["00000000-red.jpg", "00000001-blue.jpg"]
    (said,) = caplog.messages
    assert said.startswith(
        f"--stable 2/3 has nothing to smooth in {tmp_path / source}: each picture is a source of its own"
    )


def test_smoothing_of_a_video_says_nothing(
    tiny_model: Path, clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    edgevit.run(edgevit.RunOptions(model=tiny_model, sources=[clip], stable="2/3", to=[f"{tmp_path}/a.jsonl"]))
    assert all("--stable" not in text for text in caplog.messages)


@pytest.mark.parametrize("asked", [{}, {"rotate": 90}])
@pytest.mark.parametrize("beside", [{"to": "pictures/"}, {"serve": "127.0.0.1:0"}])
def test_a_files_answer_is_the_same_whichever_places_are_open(
    tiny_model: Path, tmp_path: Path, asked: dict[str, Any], beside: dict[str, str]
) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (300, 400, 3)).astype(np.uint8)
    assert cv2.imwrite(str(tmp_path / "noise.jpg"), noise)
    assert cv2.imwrite(str(tmp_path / "noise.png"), noise)
    sources = [tmp_path / "noise.jpg", tmp_path / "noise.png"]

    def answers(name: str, *, to: str | None = None, **page: Any) -> list[Any]:
        places = [f"{tmp_path}/{place}" for place in (name, to) if place is not None]
        edgevit.run(edgevit.RunOptions(model=tiny_model, sources=sources, to=places, **asked, **page))
        return [json.loads(line)["top"] for line in (tmp_path / name).read_text().splitlines()]

    assert answers("beside.jsonl", **beside) == answers("alone.jsonl")


def test_what_the_page_alone_asks_for_goes_to_the_page_alone(tiny_model: Path, clip: Path, tmp_path: Path) -> None:
    page = Kept()
    options = edgevit.RunOptions(model=tiny_model, sources=[clip], to=[f"{tmp_path}/all.jsonl"])
    output = open_output(options, "classify", ("red", "green", "blue"), monitoring=[page], page=True)
    with edgevit.load(tiny_model) as classifier, contextlib.closing(output.sinks):
        callbacks = StreamCallbacks(event=output.writer.event)
        for result in watched_stream(classifier, options.plan, callbacks, output.watch, found=output.found):
            output.writer.result(result)
    assert [record.moment.sequence for record in page.records if record.kind == "label"] == [0, 10]
    assert len(page.records) == 22
    assert len((tmp_path / "all.jsonl").read_text().splitlines()) == 20


@pytest.mark.parametrize(("cooldown", "frames"), [("1.5s", [0, 5, 20, 25]), ("800ms", [0, 5, 10, 15, 20, 25])])
def test_cooldown_of_a_video_counts_its_own_time_however_fast_it_is_read(
    tiny_model: Path, tmp_path: Path, cooldown: str, frames: list[int]
) -> None:
    """Half a second of red and half a second of blue, in turns: each comes back after one second, and after two."""
    path = write_clip(tmp_path / "turns.avi", 3 * ([RED] * 5 + [BLUE] * 5))
    options = edgevit.RunOptions(model=tiny_model, sources=[path, path], cooldown=cooldown, to=[f"{tmp_path}/a.jsonl"])
    told: list[int] = []
    edgevit.run(options, on_event=lambda event: told.append(event.moment.sequence))
    # whoever reads it again begins anew
    assert told == frames * 2


def test_a_file_that_is_given_twice_is_two_frames(
    tiny_model: Path, save_image: SaveImage, red_image: NDArray[np.uint8], tmp_path: Path
) -> None:
    path = save_image("red.png", red_image)
    options = edgevit.RunOptions(model=tiny_model, sources=[path, path], to=[f"{tmp_path}/frames/"], roi=["a=0,0,1,1"])
    done = edgevit.run(options)
    assert (done.frames, done.results) == (2, 2)
    assert len(list((tmp_path / "frames").iterdir())) == 2


def test_each_damaged_picture_of_a_camera_is_counted_and_has_a_row_and_why_is_told_once(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures: list[Picture] = [b"rubbish", b"rubbish", b"rubbish", np.full((48, 64, 3), RED, np.uint8)]
    frames = [
        Frame(picture, Moment("http://pen", number, float(number), 1e9 + number), dropped=0)
        for number, picture in enumerate(pictures)
    ]
    monkeypatch.setattr("edgevit.runtime.stream.loop.open_all", lambda *given: (each for each in frames))
    options = edgevit.RunOptions(model=tiny_model, sources=["http://pen"], errors="row", to=[f"{tmp_path}/all.jsonl"])
    errors: list[edgevit.EdgevitError] = []
    done = edgevit.run(options, on_error=errors.append)
    assert (done.results, done.unreadable, len(errors)) == (1, 3, 1)
    rows = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [row["frame"] for row in rows if "error" in row] == [0, 1, 2]
    assert rows[0]["error"].startswith("http://pen: the image is not an image")


def test_program_without_stdout_is_told_to_name_a_place(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    with pytest.raises(edgevit.OutputError, match="^stdout is closed, .* name a place"):
        edgevit.run(RunOptions(model=tiny_model, sources=["sample"]))


def test_stop_ends_a_run_after_the_frame_in_hand(tiny_model: Path, clip: Path, tmp_path: Path) -> None:
    stop = edgevit.Stop()
    options = edgevit.RunOptions(model=tiny_model, sources=[clip], stable="1/1", to=[f"{tmp_path}/a.jsonl"])
    assert edgevit.run(options, on_event=lambda event: stop.ask(), stop=stop).results == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sources": "camera:0"}, r"the sources are 'camera:0', expected a list, such as \['camera:0'\]"),
        ({"sources": []}, "there is no source"),
        ({"model": 3}, "model= is 3, expected text or a path"),
        ({"every": "soon"}, "every= is 'soon', expected a time such as 5s, 500ms or 2m"),
        ({"top_k": 0}, "top_k= is 0, expected a whole number, 1 or more"),
        ({"stable": (4, 3)}, "stable= is 4/3, expected k/n"),
        ({"threshold": "much"}, "threshold='much' is no|threshold= is 'much', expected a number from 0 to 1"),
        ({"to": "a.jsonl"}, "to= is 'a.jsonl', expected a list"),
        ({"to": ["nowhere"]}, "to='nowhere' is no place for results"),
        ({"raw": "640x480"}, "raw= describes frames on stdin, tcp:// or picam"),
        ({"serve_anyone": True}, "serve_anyone= says who may see the page; add serve=0.0.0.0:8080"),
        ({"spool": "spool", "to": ["a.jsonl"]}, "spool= is for what waits for a network; leave it out, or add to="),
        ({"threshold": [0.4, 0.5]}, "threshold= stands twice for all classes; leave one of them out"),
        ({"once": True, "max_frames": 2}, "once= means max_frames=1; give one of them"),
    ],
)
def test_options_are_checked_on_construction(given: dict[str, Any], message: str) -> None:
    with pytest.raises(edgevit.OptionError, match=message):
        RunOptions(**{"model": "m.onnx", "sources": ["a.jpg"], **given})


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({"sources": ["clip.avi"], "to": ["clip.avi"]}, "to='clip.avi'"),
        ({"sources": ["link.avi"], "to": ["./clip.avi"]}, r"to='\./clip.avi'"),
        ({"sources": ["ds"], "to": ["overlays:ds"]}, "to='overlays:ds'"),
        ({"sources": ["ds/a.jpg"], "to": ["overlays:ds/"]}, "to='overlays:ds/'"),
        ({"sources": ["ds/*.png"], "to": ["masks:ds"]}, "to='masks:ds'"),
        ({"sources": ["ds/%04d.JPG"], "to": ["overlays:ds"]}, "to='overlays:ds'"),
        ({"sources": ["ds"], "to": ["ds/?quota=1MB"]}, r"to='ds/\?quota=1MB'"),
        ({"labels": "names.txt", "to": ["names.txt"]}, "to='names.txt'"),
        ({"status": "m.onnx"}, "status='m.onnx'"),
    ],
)
def test_what_is_read_is_never_written(
    given: dict[str, Any], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ds").mkdir()
    Path("link.avi").symlink_to("clip.avi")
    with pytest.raises(edgevit.OptionError, match=f"^{place} would (over)?write .*; choose another (place|file)$"):
        RunOptions(**{"model": "m.onnx", "sources": ["camera:0"], **given})
    # beside pictures of other kinds, and as labels, there is nothing to overwrite
    RunOptions(model="m.onnx", sources=["ds/a.png"], to=["overlays:ds", "labels:ds", "ds/all.jsonl"])


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"sources": ["camera:0", "rtsp://10.0.0.7/yard"], "every": "5s", "wait": False, "stall_timeout": 20},
        {"roi": ["a=0,0,0.5,1", "b=0.5,0,0.5,1"], "rotate": 90, "max_frames": 3, "top_k": 2},
        {"to": ["mqtt://host/a"], "spool": "spool"},
        {"threshold": ["0.6", "fox=0.8"], "stable": "3/5", "hysteresis": 0.1, "cooldown": "10m"},
        {"count": ["hen>=10", "fox>=1@coop"], "roi": ["coop=0,0,0.5,1"], "stable": "3/5"},
        {"sources": ["photos"], "to": ["a.jsonl"], "jobs": 2, "resume": True, "errors": "row"},
        {"to": ["json", "hard:hard/?quota=1MB"], "serve": "127.0.0.1:8080", "labels": Path("names.txt"), "threads": 2},
        {"sources": ["-x.jpg", "--json"], "top_k": 2},
        {"sources": ["-"], "top_k": 2},
        {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25), "imgsz": (224, 320)},
        {"bgr": True, "squash": True},
        {"bgr": False, "squash": False},
    ],
)
def test_command_line_of_options_says_the_same(given: dict[str, Any]) -> None:
    options = RunOptions(**{"model": "m.onnx", "sources": ["clip.mp4"], **given})
    read = read_run_options(command.make_context("run", list(options.arguments())).params)
    assert read.arguments() == options.arguments()
    assert (read.plan, read.label_rules, read.targets) == (options.plan, options.label_rules, options.targets)
    assert read.count_rules == options.count_rules


def test_values_of_python_have_a_command_line_too() -> None:
    options = RunOptions(
        model="m.onnx",
        sources=["camera:0"],
        roi=[Region("gate", 0, 0, 0.5, 1)],
        threshold={"fox": 0.8},
        stable=(3, 5),
        every=5,
    )
    assert options.arguments() == (
        *("m.onnx", "camera:0", "--every", "5.0", "--roi", "gate=0,0,0.5,1"),
        *("--threshold", "fox=0.8", "--stable", "3/5"),
    )
    with pytest.raises(edgevit.OptionError, match="a command line names labels by their file"):
        RunOptions(model="m.onnx", sources=["camera:0"], labels=["a", "b"]).arguments()


def test_options_of_the_command_line_are_the_fields_and_their_defaults() -> None:
    given = command.make_context("run", ["m.onnx", "a.jpg"]).params
    assert read_run_options(given) == RunOptions(model=Path("m.onnx"), sources=["a.jpg"])
