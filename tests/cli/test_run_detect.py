"""`edgevit run` with a detector: counts, regions, thresholds, events and every place, as a user calls them.

The scenes are made_detector's: squares of 64 pixels in pictures of 192 x 128, whose boxes are the squares themselves.
"""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import edgevit
from edgevit.runtime.datasets.folder import read_folder
from tests.made_detector import scene

Run = Callable[..., tuple[int, str, str]]
SaveImage = Callable[[str, NDArray[np.uint8]], Path]
THREE = (("red", 0, 0), ("red", 1, 2), ("blue", 0, 1))
"""Two red squares, upper left and lower right, and a blue one in the middle of the upper row."""


@pytest.fixture
def photo(save_image: SaveImage) -> Path:
    return save_image("in/three.png", scene(*THREE))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Return a video of six frames with 2, 2, 0, 1, 1 and 2 red squares, ten a second."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (192, 128))
    for count in (2, 2, 0, 1, 1, 2):
        writer.write(scene(*THREE[:count])[:, :, ::-1])
    writer.release()
    return path


def events(text: str) -> list[tuple[int, str, int, bool]]:
    lines = [json.loads(line) for line in text.splitlines()]
    found = [line for line in lines if "event" in line]
    assert {line["event"] for line in found} <= {"count"}
    return [(line["frame"], line["rule"], line["count"], line["active"]) for line in found]


def test_labels_of_a_folder_of_folders_are_found_again_with_their_pictures(
    run: Run, tiny_detector: Path, save_image: SaveImage, tmp_path: Path
) -> None:
    for name in ("a/1.png", "b/1.png", "2.png"):
        save_image(f"farm/images/{name}", scene(*THREE))
    assert run("run", tiny_detector, tmp_path / "farm/images", "--to", f"labels:{tmp_path}/farm/labels")[0] == 0
    folder = read_folder(tmp_path / "farm", "boxes")
    found = folder.parts["all"]
    assert found.boxes is not None
    assert {name: len(truth.boxes) for name, truth in zip(found.names, found.boxes, strict=True)} == {
        "images/2.png": 3,
        "images/a/1.png": 3,
        "images/b/1.png": 3,
    }
    assert list(folder.notes()) == []


def test_text_is_how_many_there_are_of_each(run: Run, tiny_detector: Path, photo: Path, save_image: SaveImage) -> None:
    assert run("run", tiny_detector, photo)[1] == "red 2, blue 1\n"
    empty = save_image("empty.png", scene())
    assert run("run", tiny_detector, empty)[1] == "nothing\n"


def test_regions_have_the_boxes_whose_centre_is_in_them(run: Run, tiny_detector: Path, photo: Path) -> None:
    """The blue square's centre is at x = 96 of 192, which is where the right half begins."""
    _, out, _ = run("run", tiny_detector, photo, "--roi", "left=0,0,0.5,1", "--roi", "right=96,0,96,128")
    assert out == f"{photo}: red 2, blue 1\n{photo} [left]: red 1\n{photo} [right]: red 1, blue 1\n"
    _, out, _ = run("run", tiny_detector, photo, "--roi", "right=96,0,96,128", "--json")
    whole, right = (json.loads(line) for line in out.splitlines())
    assert ("roi" in whole, right["roi"], right["counts"]) == (False, "right", {"red": 1, "blue": 1})
    # pixels of the whole picture
    (box,) = [found["box"] for found in right["detections"] if found["label"] == "red"]
    assert np.abs(np.array(box) - (128, 64, 192, 128)).max() < 0.1


def test_region_beyond_the_picture_is_one_line(run: Run, tiny_detector: Path, photo: Path) -> None:
    code, out, err = run("run", tiny_detector, photo, "--roi", "far=150,0,100,50")
    assert (code, out) == (1, "")
    assert "region far reaches to 250x50, but the picture is 192x128 pixels" in err


def test_threshold_selects_what_counts_everywhere(run: Run, tiny_detector: Path, photo: Path, tmp_path: Path) -> None:
    """All scores are sigmoid(8) * sigmoid(about 6.2), 0.998."""
    places = ("--to", "json", "--to", f"{tmp_path}/a.csv", "--to", f"labels:{tmp_path}/labels")
    _, out, _ = run("run", tiny_detector, photo, "--threshold", "red=0.9999", "--count", "red==0", *places)
    first, second = (json.loads(line) for line in out.splitlines())
    assert (first["counts"], [box["label"] for box in first["detections"]]) == ({"blue": 1}, ["blue"])
    assert (second["event"], second["count"], second["active"]) == ("count", 0, True)
    assert "0,0,1" in (tmp_path / "a.csv").read_text()
    assert (tmp_path / "labels" / "three.txt").read_text().split()[0] == "2"
    assert run("run", tiny_detector, photo, "--threshold", "0.9999")[1] == "nothing\n"
    # a class may ask for less than the others
    assert run("run", tiny_detector, photo, "--threshold", "0.9999", "--threshold", "red=0.5")[1] == "red 2\n"
    # of 126 cells each gives a box, and 100 are told at most
    _, out, _ = run("run", tiny_detector, photo, "--json", "--threshold", "0")
    assert len(json.loads(out)["detections"]) == 100


def test_a_count_that_may_be_too_low_is_told_once(
    run: Run, tiny_detector: Path, photo: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each of 126 cells gives a box where none is too unsure."""
    for given in ((), ("--threshold", "0", "--tiles", "2x1")):
        run("run", tiny_detector, photo, *given)
    assert "no more are told" not in caplog.text
    assert len(run("run", tiny_detector, photo, photo, "--threshold", "0")[1].splitlines()) == 2
    (told,) = caplog.messages
    assert told.endswith(
        "three.png: 100 things, and no more are told of one picture: there may be more; with --tiles up to 1,000 are"
    )


def test_counts_are_events_when_a_rule_begins_or_ends_to_hold(run: Run, tiny_detector: Path, clip: Path) -> None:
    given = ("--count", "red>=2", "--count", "red==0")
    _, out, err = run("run", tiny_detector, clip, "--json", *given)
    assert events(out) == [(0, "red>=2", 2, True), (2, "red>=2", 0, False), (2, "red==0", 0, True)] + [
        (3, "red==0", 1, False),
        (5, "red>=2", 2, True),
    ]
    assert "6 frames, 5 events" in err
    # two of three frames: the empty one alone is none, and the last pair is not yet one
    _, out, _ = run("run", tiny_detector, clip, "--json", *given, "--stable", "2/3")
    assert events(out) == [(1, "red>=2", 2, True), (3, "red>=2", 1, False)]


def test_count_of_a_region_is_that_of_its_own_boxes(run: Run, tiny_detector: Path, clip: Path) -> None:
    """The second red square is the lower right one."""
    given = ("--roi", "right=0.5,0,0.5,1", "--count", "red>=1@right")
    _, out, _ = run("run", tiny_detector, clip, "--json", *given)
    assert events(out) == [(0, "red>=1@right", 1, True), (2, "red>=1@right", 0, False), (5, "red>=1@right", 1, True)]
    rois = {json.loads(line)["roi"] for line in out.splitlines() if "event" in line}
    assert rois == {"right"}


def test_detector_without_rules_tells_no_event(run: Run, tiny_detector: Path, clip: Path, tmp_path: Path) -> None:
    code, _, err = run("run", tiny_detector, clip, "--to", f"{tmp_path}/events.jsonl?send=events")
    assert (code, "6 frames, 0 events" in err) == (0, True)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--count", "hen>=1"), "--count hen>=1: the model has no class 'hen'; it has red, green, blue"),
        (("--count", "red=>1"), "--count is 'red=>1', expected a class, one of >= <= == > < and a number, in quotes"),
        (("--count", "red>=0"), "--count red>=0 is the same for every picture; no count is below 0"),
        (("--count", "red>1", "--count", "red>1"), "--count red>1 stands twice; leave one of them out"),
        (("--count", "red>1@x"), "--count red>1@x: the picture has no region 'x'; name it with --roi x=X,Y,W,H"),
        (("--count", "red>1@x", "--roi", "y=0,0,1,1"), "the picture has no region 'x'; it has y"),
        (("--count", "red>1", "--hysteresis", "0.1"), "--hysteresis is about confidences, and counts have none"),
        (("--to", "masks:out"), "--to masks:out is for segmentation models; this one finds objects: take labels:DIR"),
        (("--threshold", "hen=0.5"), "--threshold hen=0.5: the model has no class 'hen'"),
    ],
)
def test_what_a_detector_cannot_be_asked_is_one_line(
    run: Run, tiny_detector: Path, photo: Path, options: tuple[str, ...], told: str
) -> None:
    code, out, err = run("run", tiny_detector, photo, *options)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert told in err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--count", "red>=1"), "--count is for detection models; this one does not find objects (classify)"),
        (("--to", "labels:out"), "--to labels:out is for detection models; this one classifies: leave it out"),
        (("--to", "a.csv?rows=boxes"), "rows=boxes is for the results of detection models; leave it out"),
    ],
)
def test_what_only_a_detector_can_is_refused_of_others(
    run: Run, tiny_model: Path, photo: Path, options: tuple[str, ...], told: str
) -> None:
    code, out, err = run("run", tiny_model, photo, *options)
    assert (code, out) == (2, "")
    assert told in err


def test_table_has_a_row_a_picture_or_a_row_a_box(run: Run, tiny_detector: Path, photo: Path, tmp_path: Path) -> None:
    boxes = f"{tmp_path}/boxes.csv?rows=boxes"
    run("run", tiny_detector, photo, "--to", f"{tmp_path}/a.csv", "--to", boxes, "--roi", "left=0,0,0.5,1")
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert list(rows[0]) == ["source", "count_red", "count_green", "count_blue", "time", "roi", "frame", "age_ms", "id"]
    assert [(row["roi"], row["count_red"], row["count_green"], row["count_blue"]) for row in rows] == [
        ("", "2", "0", "1"),
        ("left", "1", "0", "0"),
    ]
    rows = list(csv.DictReader((tmp_path / "boxes.csv").open()))
    assert [(row["label"], row["roi"]) for row in rows] == [("red", ""), ("red", ""), ("blue", ""), ("red", "left")]
    (left,) = [row for row in rows if row["roi"] == "left"]
    assert [round(float(left[side])) for side in ("left", "top", "right", "bottom")] == [0, 0, 64, 64]
    # sigmoid(8) * sigmoid(6.2); the edges of a square are not quite its colour when it is scaled
    assert (abs(float(left["conf"]) - 0.9976) < 1e-3, left["track"]) == (True, "")


def test_labels_are_those_of_yolo(run: Run, tiny_detector: Path, photo: Path, tmp_path: Path) -> None:
    code, out, _ = run(
        "run", tiny_detector, photo, "--to", f"labels:{tmp_path}/labels", "--to", f"overlays:{tmp_path}/o"
    )
    assert (code, out) == (0, "red 2, blue 1\n")
    lines = [line.split() for line in (tmp_path / "labels" / "three.txt").read_text().splitlines()]
    found = sorted((int(line[0]), *(round(float(share), 3) for share in line[1:])) for line in lines)
    # centres at a sixth, a half and five sixths of the width, a quarter and three quarters of the height
    assert found == [(0, 0.167, 0.25, 0.333, 0.5), (0, 0.833, 0.75, 0.333, 0.5), (2, 0.5, 0.25, 0.333, 0.5)]
    assert (tmp_path / "labels" / "classes.txt").read_text() == "red\ngreen\nblue\n"
    drawn, plain = cv2.imread(str(tmp_path / "o" / "three.jpg")), cv2.imread(str(photo))
    assert drawn is not None
    assert plain is not None
    assert drawn.shape == plain.shape
    assert np.abs(drawn.astype(int) - plain)[64:66].max() > 60


def test_pictures_have_boxes_and_counts_and_regions_drawn(
    run: Run, tiny_detector: Path, photo: Path, tmp_path: Path
) -> None:
    run("run", tiny_detector, photo, "--to", f"{tmp_path}/frames/", "--roi", "left=0,0,0.5,1", "--roi", "r=0.5,0,0.5,1")
    (path,) = (tmp_path / "frames").iterdir()
    assert path.name == "00000000-red-2+blue-1.jpg"
    drawn = cv2.imread(str(path))
    assert drawn is not None
    # the strip below with the counts, and the grey lower left corner above it
    assert drawn[-3, 5].max() < 60
    assert np.abs(drawn[100, 40].astype(int) - 114).max() < 12


def test_video_has_a_frame_for_each_picture(run: Run, tiny_detector: Path, clip: Path, tmp_path: Path) -> None:
    _, _, err = run("run", tiny_detector, clip, "--to", f"{tmp_path}/a.avi", "--roi", "left=0,0,0.5,1")
    assert f"6 frames in {tmp_path}/a.avi" in err


def test_what_a_script_asks_is_what_the_command_asks(tiny_detector: Path, clip: Path) -> None:
    told: list[edgevit.Event] = []
    with edgevit.load(tiny_detector, task="detect") as detector:
        stream = detector.stream(clip, count=["red>=2"], threshold={"blue": 0.9999}, on_event=told.append)
        counts = [result.counts for result in stream]
        # what a stream asks for is its own
        assert detector(scene(*THREE)).counts == {"red": 2, "blue": 1}
    assert counts == [{"red": 2}, {"red": 2}, {}, {"red": 1}, {"red": 1}, {"red": 2}]
    assert [event.facts["active"] for event in told] == [True, False, True]


def test_events_of_rules_are_lines_of_text_too(run: Run, tiny_detector: Path, clip: Path) -> None:
    _, out, _ = run("run", tiny_detector, clip, "--count", "red>=2", "--max-frames", "3")
    assert out.splitlines() == [
        f"0:00:00.00 {clip}  red 2",
        f"0:00:00.00 {clip}  red>=2 (2)",
        f"0:00:00.10 {clip}  red 2",
        f"0:00:00.20 {clip}  nothing",
        f"0:00:00.20 {clip}  no longer red>=2 (0)",
    ]


def test_frame_that_is_hard_is_kept_with_labels_that_training_reads(
    run: Run, tiny_detector: Path, photo: Path, tmp_path: Path
) -> None:
    """0.998 is unsure where 0.9999 is asked for; the blue square counts and is a label, the red ones do not."""
    code, out, err = run(
        "run", tiny_detector, photo, "--threshold", "red=0.9999", "--to", f"hard:{tmp_path}/hard?quota=1MB"
    )
    assert (code, out) == (0, "blue 1\n")
    assert f"1 hard picture in {tmp_path}/hard" in err
    (part,) = read_folder(tmp_path / "hard", "boxes").parts.values()
    assert part.box_names == ("red", "green", "blue")
    assert part.boxes is not None
    (boxes,) = part.boxes
    assert boxes.classes.tolist() == [2]
    assert np.abs(boxes.boxes[0] - (64, 0, 128, 64)).max() < 0.1
