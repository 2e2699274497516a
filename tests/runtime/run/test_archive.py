"""`edgevit run --jobs`: the same rows as without, for each picture that can be read, and for others if asked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgevit
from edgevit.runtime.run.options import RunOptions
from tests.made_archive import kept, rows, sources

Run = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("no_process_is_left")


@pytest.mark.parametrize(
    ("made", "told", "count"),
    [
        ("tiny_model", {"top_k": 2, "threshold": 0.4}, 8),
        ("tiny_model", {"roi": ["left=0,0,0.5,1", "right=0.5,0,0.5,1"], "rotate": 90}, 15),
        ("colours", {}, 8),
        ("tiny_detector", {"roi": ["left=0,0,0.5,1"], "threshold": {"red": 0.9999}}, 15),
        ("tiny_detector", {"tiles": "2x1"}, 8),
    ],
    ids=["classify", "regions", "segment", "detect", "tiles"],
)
def test_rows_are_those_of_one_process(
    made: str, told: dict[str, Any], count: int, photos: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(made)
    alone, together = tmp_path / "alone.jsonl", tmp_path / "together.jsonl"
    to = f"{alone}?send=results"
    one = edgevit.run(RunOptions(model=path, sources=[photos], to=[to], errors="row", threads=1, **told))
    two = edgevit.run(RunOptions(model=path, sources=[photos], to=[str(together)], errors="row", jobs=2, **told))
    assert kept(together) == kept(alone)
    assert len(rows(together)) == count
    assert (two.results, two.frames, two.unreadable) == (one.results, one.frames, one.unreadable)
    assert (two.frames, two.unreadable) == (7, 1)


def test_picture_that_cannot_be_read_has_a_row_that_says_why(tiny_model: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    told: list[edgevit.EdgevitError] = []
    options = RunOptions(model=tiny_model, sources=[photos], to=[str(out)], errors="row", jobs=1)
    edgevit.run(options, on_error=told.append)
    (row,) = [row for row in rows(out) if "error" in row]
    assert set(row) == {"id", "time", "frame", "source", "error", "error_kind"}
    assert (row["source"], row["frame"], row["error_kind"]) == (f"{photos}/broken.jpg", 7, "unreadable")
    assert row["error"] == f"{photos}/broken.jpg is a truncated JPEG; copy or record it again"
    assert [str(error) for error in told] == [row["error"]]


def test_picture_that_cannot_be_read_has_no_row_unless_it_is_asked_for(
    tiny_model: Path, photos: Path, tmp_path: Path
) -> None:
    """So it is looked at again by the next run, and the others are not."""
    out = tmp_path / "out.jsonl"
    options = RunOptions(model=tiny_model, sources=[photos], to=[str(out)], jobs=2, resume=True)
    assert edgevit.run(options).unreadable == 1
    again = edgevit.run(options)
    assert (again.frames, again.unreadable, again.skipped) == (0, 1, 7)
    assert set(sources(out).values()) == {1}
    assert len(sources(out)) == 7


def test_picture_of_which_some_rows_were_written_is_answered_again_whole(
    tiny_model: Path, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    regions = ("left=0,0,0.5,1", "right=0.5,0,0.5,1")
    options = RunOptions(
        model=tiny_model, sources=[photos], to=[str(out)], errors="row", jobs=1, roi=regions, resume=True
    )
    edgevit.run(options)
    whole = kept(out)
    lines = out.read_bytes().splitlines(keepends=True)
    # the row of the picture that cannot be read comes last; before it, the second of two of a picture
    out.write_bytes(b"".join(lines[:-2]))
    assert edgevit.run(options).skipped == 6
    assert kept(out) == whole


def test_pictures_of_several_places_are_answered_once_each(tiny_model: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    options = RunOptions(
        model=tiny_model, sources=[photos / "01.png", photos, f"{photos}/0[13].png"], to=[str(out)], jobs=1
    )
    assert edgevit.run(options).frames == 7
    assert set(sources(out).values()) == {1}


def test_one_of_several_sources_that_is_not_there_has_a_row(tiny_model: Path, photos: Path, tmp_path: Path) -> None:
    out, absent = tmp_path / "out.jsonl", tmp_path / "absent.jpg"
    told: dict[str, Any] = {"model": tiny_model, "to": [str(out)], "jobs": 1, "errors": "row"}
    done = edgevit.run(RunOptions(sources=[absent, photos / "01.png"], **told))
    assert (done.frames, done.unreadable) == (1, 1)
    assert {row["source"]: row.get("error") for row in rows(out)} == {
        str(absent): f"{absent} does not exist",
        f"{photos}/01.png": None,
    }
    with pytest.raises(edgevit.ImageError, match=r"absent\.jpg does not exist; give a file"):
        edgevit.run(RunOptions(sources=[absent], **told))


def test_rows_of_other_pictures_are_not_gone_on_with(
    tiny_model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same folder by another name would have all its rows twice."""
    out = tmp_path / "out.jsonl"
    edgevit.run(RunOptions(model=tiny_model, sources=[photos], to=[str(out)], jobs=1))
    before = out.read_bytes()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        edgevit.OutputError, match="has rows, but of none of these pictures; name them as the first time"
    ):
        edgevit.run(RunOptions(model=tiny_model, sources=["photos"], to=[str(out)], jobs=1, resume=True))
    assert out.read_bytes() == before


def test_what_is_wrong_with_the_model_is_said_before_anything_is_written(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    with pytest.raises(edgevit.ModelFileError, match=r"absent\.onnx does not exist"):
        edgevit.run(RunOptions(model=tmp_path / "absent.onnx", sources=[photos], to=[str(out)], jobs=2))
    assert not out.exists()


def test_video_among_the_pictures_is_named(tiny_model: Path, photos: Path, tmp_path: Path) -> None:
    (photos / "clip.mp4").touch()
    with pytest.raises(edgevit.OptionError, match=r"clip\.mp4 is a video, and jobs= reads pictures; run it by itself"):
        edgevit.run(RunOptions(model=tiny_model, sources=[f"{photos}/*"], to=[f"{tmp_path}/out.jsonl"], jobs=1))


def test_command_line_goes_on_and_ends_with_what_was_done(
    run: Run, tiny_model: Path, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    call = ("run", tiny_model, photos, "--jobs", 2, "--errors", "row", "--to", out, "--resume")
    code, said, told = run(*call)
    broken, progress, done = told.splitlines()
    assert (code, said) == (1, "")
    assert broken == f"edgevit: {photos}/broken.jpg is a truncated JPEG; copy or record it again"
    assert progress.startswith("edgevit: 8 of 8 pictures, ")
    assert progress.endswith(" a second, 1 without an answer")
    assert done == f"edgevit: 7 frames, 0 events; 8 lines in {out}"
    assert run(*call) == (0, "", f"edgevit: 0 frames, 0 events; 0 lines in {out}; 8 pictures done before\n")
    assert len(rows(out)) == 8
