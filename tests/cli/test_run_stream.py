"""`edgevit run` on videos and streams: selection, events and places, as a user calls them."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.ports import refusing_port

Run = Callable[..., tuple[int, str, str]]
SaveImage = Callable[[str, NDArray[np.uint8]], Path]
COLORS = {"red": (200, 50, 25), "green": (25, 200, 50), "blue": (50, 25, 200)}


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Ten frames a second: red for a second, one green flash, red again, then blue."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for name in ["red"] * 10 + ["green"] + ["red"] * 4 + ["blue"] * 5:
        writer.write(np.full((48, 64, 3), COLORS[name][::-1], np.uint8))
    writer.release()
    return path


def test_every_frame_of_a_video_is_a_line(run: Run, tiny_model: Path, clip: Path) -> None:
    code, out, err = run("run", tiny_model, clip, "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "edgevit: 20 frames, 0 events; 20 lines on stdout\n")
    assert [line["frame"] for line in lines] == list(range(20))
    assert [line["position_s"] for line in lines[:3]] == [0.0, 0.1, 0.2]
    assert len({line["id"] for line in lines}) == 20


def test_selection_is_as_asked(run: Run, tiny_model: Path, clip: Path) -> None:
    def frames(*options: object) -> list[int]:
        return [json.loads(line)["frame"] for line in run("run", tiny_model, clip, "--json", *options)[1].splitlines()]

    assert frames("--every", "500ms") == frames("--fps", "2") == [0, 5, 10, 15]
    assert frames("--every", "1s", "--max-frames", "1") == frames("--once") == [0]


def test_regions_are_lines_with_their_names(run: Run, tiny_model: Path, save_image: SaveImage) -> None:
    halves = np.concatenate([np.full((48, 64, 3), COLORS[name], np.uint8) for name in ("red", "blue")], axis=1)
    path = save_image("halves.png", halves)
    _, out, _ = run("run", tiny_model, path, "--roi", "left=0,0,0.5,1", "--roi", "right=64,0,64,48")
    assert out == f"{path} [left]: red 1.00\n{path} [right]: blue 1.00\n"
    _, out, _ = run("run", tiny_model, path, "--rotate", "90", "--tiles", "1x2")
    assert out == f"{path} [r1c1]: red 1.00\n{path} [r2c1]: blue 1.00\n"


def test_places_get_results_and_events(run: Run, tiny_model: Path, clip: Path, tmp_path: Path) -> None:
    """The green flash of one frame is no event with --stable 2/3; red and blue are."""
    places = ("--to", f"{tmp_path}/all.jsonl", "--to", f"{tmp_path}/events.jsonl?send=events", "--to", "json")
    code, out, err = run("run", tiny_model, clip, "--stable", "2/3", *places)
    assert code == 0
    files = f"22 lines in {tmp_path}/all.jsonl; 2 lines in {tmp_path}/events.jsonl"
    assert err == f"edgevit: 20 frames, 2 events; {files}; 22 lines on stdout\n"
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [(event["event"], event["label"], event["frame"]) for event in events] == [
        ("label", "red", 1),
        ("label", "blue", 16),
    ]
    assert (tmp_path / "all.jsonl").read_text() == out
    assert len(out.splitlines()) == 22


def test_events_are_printed_where_no_place_is_named(run: Run, tiny_model: Path, clip: Path) -> None:
    _, out, _ = run("run", tiny_model, clip, "--stable", "2/3")
    assert [line for line in out.splitlines() if "now" in line] == [
        f"0:00:00.10 {clip}  now red 1.00",
        f"0:00:01.60 {clip}  now blue 1.00, before red",
    ]


def test_threshold_of_one_class_makes_it_unknown(run: Run, tiny_model: Path, save_image: SaveImage) -> None:
    """Logits 0.627, 0 and -0.627 (GAIN * 10 / 255 / 0.25 apart): 0.55, 0.29, 0.16."""
    path = save_image("pale.png", np.full((48, 64, 3), (138, 128, 118), np.uint8))
    _, out, _ = run("run", tiny_model, path, "--threshold", "red=0.5")
    assert out.splitlines()[-1] == f"{path}: now red 0.55"
    _, out, _ = run("run", tiny_model, path, "--threshold", "red=0.6", "--threshold", "blue=0.1")
    assert out.splitlines()[-1] == f"{path}: now unknown (best: red 0.55)"


def test_pictures_and_hard_frames_are_kept(run: Run, tiny_model: Path, clip: Path, tmp_path: Path) -> None:
    """The clip changes at frames 10, 11 and 15: the last two come within a second of the video after the first."""
    options = ("--to", f"{tmp_path}/frames/", "--to", f"hard:{tmp_path}/hard?quota=10MB")
    code, out, err = run("run", tiny_model, clip, *options)
    assert (code, out) == (0, "")
    assert err.endswith(f"0 events; 20 pictures in {tmp_path}/frames/; 1 hard picture in {tmp_path}/hard\n")
    assert len(list((tmp_path / "frames").rglob("*.jpg"))) == 20
    assert [path.parent.name for path in (tmp_path / "hard").rglob("*.jpg")] == ["green"]


def test_hard_frames_lie_beside_the_answers(run: Run, tiny_model: Path, clip: Path, tmp_path: Path) -> None:
    code, out, err = run("run", tiny_model, clip, "--to", f"hard:{tmp_path}/hard")
    assert (code, len(out.splitlines())) == (0, 20)
    assert err.startswith("edgevit: 20 frames, ")


def test_old_spellings_still_work_and_are_told_of(run: Run, tiny_model: Path, clip: Path, tmp_path: Path) -> None:
    code, out, err = run("run", tiny_model, clip, "--harvest", tmp_path / "hard", "--quota", "10MB")
    assert (code, len(out.splitlines())) == (0, 20)
    assert err.splitlines()[0] == f"edgevit: --harvest is an old spelling of --to 'hard:{tmp_path}/hard?quota=10MB'"
    assert len(list((tmp_path / "hard").rglob("*.jpg"))) == 1
    code, _, err = run("run", tiny_model, clip, "--save-mask", tmp_path / "out")
    assert code == 2
    assert f"--to masks:{tmp_path}/out is for segmentation models; this one classifies" in err


def test_several_sources_are_read_in_their_order(
    run: Run, tiny_model: Path, clip: Path, save_image: SaveImage, tmp_path: Path
) -> None:
    blue = save_image("blue.png", np.full((48, 64, 3), COLORS["blue"], np.uint8))
    code, out, err = run("run", tiny_model, blue, clip, tmp_path / "missing.jpg", blue, "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["source"] for line in lines] == [str(blue), *[str(clip)] * 20, str(blue)]
    assert [line["frame"] for line in lines] == [0, *range(20), 0]
    assert (code, err.count("\n")) == (1, 2)
    assert "missing.jpg does not exist" in err
    assert len(run("run", tiny_model, blue, clip, "--max-frames", "3")[1].splitlines()) == 3


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (("a.jpg", "-"), "stdin (-) cannot be read together with other sources"),
        (("a.jpg", "camera:0"), "a.jpg ends, but camera:0 goes on; give files, or cameras and streams, not both"),
        (("camera:0", "camera:0"), "camera:0 is named twice"),
        (("camera:0", "picam", "--once"), "--once is for one camera or stream"),
    ],
)
def test_sources_that_do_not_go_together_are_one_line(
    run: Run, tiny_model: Path, sources: tuple[str, ...], message: str
) -> None:
    code, out, err = run("run", tiny_model, *sources)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--every", "soon"), "--every is 'soon', expected a time such as 5s, 500ms or 2m"),
        (("--roi", "gate"), "--roi is 'gate', expected name=x,y,w,h"),
        (("--tiles", "9"), "--tiles is '9', expected columns x rows such as 3x2"),
        (("--rotate", "45"), "--rotate is 45, expected one of 0, 90, 180, 270"),
        (("--stable", "5/3"), "--stable is '5/3', expected k/n"),
        (("--hysteresis", "2"), "--hysteresis is 2.0, expected a number from 0 to 1"),
        (("--cooldown", "-1s"), "--cooldown is '-1s', expected a time"),
        (("--threshold", "pink=0.5"), "the model has no class 'pink'; it has red, green, blue"),
        (("--quota", "much"), "--quota is 'much', expected bytes such as 500MB"),
        (("--to", "nowhere"), "--to 'nowhere' is no place for results"),
        (("--to", "json", "--json"), "--to names stdout twice"),
        (("--stall-timeout", "never"), "--stall-timeout is 'never', expected a time"),
    ],
)
def test_wrong_option_is_one_line(
    run: Run, tiny_model: Path, clip: Path, options: tuple[str, ...], message: str
) -> None:
    code, out, err = run("run", tiny_model, clip, *options)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_wrong_source_is_one_line(run: Run, tiny_model: Path) -> None:
    assert run("run", tiny_model, "0") == (
        1,
        "",
        "edgevit: 0 does not exist; if it is the number of a camera, write camera:0\n",
    )
    assert run("run", tiny_model, "camera:front")[0] == 2
    assert run("run", tiny_model, "rtmp://host/live")[2].startswith("edgevit: no kind of address named 'rtmp://'")


def test_help_names_every_option_and_gives_examples(run: Run) -> None:
    code, out, _ = run("run", "--help")
    assert code == 0
    for text in (
        "--every",
        "--roi",
        "--stall-timeout",
        "--no-wait",
        "--to",
        "--stable",
        "--harvest",
        "picam",
        "rtsp://",
    ):
        assert text in out


@pytest.mark.parametrize("options", ["--no-wait", "--once", "--no-wait --csv", "--no-wait --stable 1/1"])
def test_lost_source_is_one_line_and_no_header_comes_before_it(run: Run, tiny_model: Path, options: str) -> None:
    with refusing_port() as port:
        code, out, err = run("run", tiny_model, f"tcp://127.0.0.1:{port}", *options.split())
    assert (code, out) == (4, "")
    assert len(err.splitlines()) == 1
    assert f"127.0.0.1:{port} is lost: Connection refused" in err
