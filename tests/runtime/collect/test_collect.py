"""Photos for training: numbered on, written whole, near-duplicates left out, and the buttons of the page."""

import contextlib
import dataclasses
import http.client
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.errors import EdgevitError, ImageError, OptionError, OutputError
from edgevit.runtime.collect.clicks import ClassButtons
from edgevit.runtime.collect.collect import collect, photo_of
from edgevit.runtime.collect.folder import PhotoFolder, QuotaReachedError
from edgevit.runtime.collect.likeness import difference_hash, distance
from edgevit.runtime.collect.options import CollectOptions
from edgevit.runtime.events.event import Event
from edgevit.runtime.moment import Moment
from edgevit.runtime.serve.view import View
from edgevit.runtime.sinks.pictures import jpeg
from edgevit.runtime.sources.frames import Frame, Picture
from edgevit.runtime.sources.opening import Item
from edgevit.runtime.sources.stop import Stop
from tests.waiting import GENEROUS_S


def scene(seed: int) -> NDArray[np.uint8]:
    """Return a picture of soft blotches, another one for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Four scenes, a second of each, ten frames a second."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
    for number in range(40):
        writer.write(scene(number // 10)[..., ::-1])
    writer.release()
    return path


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# ------------------------------------------------------------------ likeness


def test_hash_has_a_bit_for_each_place_that_is_brighter_than_its_right_neighbour() -> None:
    falling = np.repeat(np.arange(9)[::-1] * 28, 10)
    image = np.repeat(np.tile(falling, (80, 1))[:, :, None], 3, axis=2).astype(np.uint8)
    assert difference_hash(image) == 2**64 - 1
    assert difference_hash(image[:, ::-1]) == 0
    half = image.copy()
    half[40:] = image[40:, ::-1]
    # the upper four rows are the first 32 bits
    assert difference_hash(half) == (2**32 - 1) << 32


def test_neighbours_are_alike_and_scenes_are_not() -> None:
    noise = np.random.default_rng(7).integers(-6, 7, (240, 320, 3))
    neighbour = np.clip(scene(1).astype(int) + noise + 10, 0, 255).astype(np.uint8)
    assert distance(difference_hash(scene(1)), difference_hash(neighbour)) <= 5
    assert distance(difference_hash(scene(1)), difference_hash(scene(2))) > 15


# ------------------------------------------------------------------ without a page


@pytest.mark.parametrize(("there", "label"), [("hen", "Hen"), ("Hühner", "hühner")])
def test_label_that_differs_from_a_folder_in_the_case_of_letters_alone_is_refused(
    clip: Path, tmp_path: Path, there: str, label: str
) -> None:
    """On macOS, Windows and many sticks the photos would lie in one folder, and on Linux in two."""
    (tmp_path / "photos" / there).mkdir(parents=True)
    options = CollectOptions(source=clip, labels=[label], to=tmp_path / "photos")
    with pytest.raises(OptionError, match=rf"label= is '{label}', and .*{there} is there: .*; give label= ?'?{there}"):
        collect(options)
    assert names(tmp_path / "photos") == []


def test_classes_that_are_two_folders_already_stay_two(clip: Path, tmp_path: Path) -> None:
    for name in ("hen", "Hen"):
        (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
    if len(list((tmp_path / "photos").iterdir())) < 2:
        pytest.skip("this disk does not tell the case of letters apart")
    assert collect(CollectOptions(source=clip, labels=["Hen"], to=tmp_path / "photos", count=1)).saved == 1


def test_one_photo_of_each_scene_is_kept_and_numbers_go_on(clip: Path, tmp_path: Path) -> None:
    to = tmp_path / "photos"
    done = collect(CollectOptions(source=clip, labels=["hen"], every="500ms", to=to))
    assert (done.frames, done.saved, done.alike) == (8, 4, 4)
    assert names(to) == [f"hen/0000{number}-hen.jpg" for number in range(4)]
    again = collect(CollectOptions(source=clip, labels=["hen"], every="500ms", to=to))
    assert (again.saved, again.alike) == (0, 8)
    other = collect(CollectOptions(source=clip, labels=["fox"], count=2, to=to))
    assert (other.saved, dict(other.counts)) == (2, {"hen": 4, "fox": 2})
    # one sequence: a photo that is moved to another class keeps its name
    assert names(to)[:2] == ["fox/00004-fox.jpg", "fox/00005-fox.jpg"]
    read = cv2.imread(str(to / "hen" / "00001-hen.jpg"))
    assert read is not None
    assert np.abs(read[..., ::-1].astype(int) - scene(1)).mean() < 6


def test_all_are_kept_where_likeness_does_not_matter(clip: Path, tmp_path: Path) -> None:
    assert collect(CollectOptions(source=clip, labels=["hen"], alike=-1, to=tmp_path / "photos")).saved == 40


def test_quota_ends_the_collection_and_deletes_nothing(tmp_path: Path) -> None:
    folder = PhotoFolder(tmp_path, 2500)
    folder.save("hen", scene(0), bytes(1000))
    folder.save("hen", scene(1), bytes(1000))
    with pytest.raises(QuotaReachedError, match="is full: its photos may take 2,500 bytes; raise"):
        folder.save("hen", scene(2), bytes(1000))
    assert names(tmp_path) == ["hen/00000-hen.jpg", "hen/00001-hen.jpg"]
    folder.close()
    with pytest.raises(QuotaReachedError):
        PhotoFolder(tmp_path, 2500).save("hen", scene(2), bytes(1000))


def test_two_collections_do_not_share_a_folder(clip: Path, tmp_path: Path) -> None:
    """They would number their photos alike, and one would replace the other's."""
    options = CollectOptions(source=clip, labels=["hen"], alike=-1, to=tmp_path / "photos")
    other = PhotoFolder(tmp_path / "photos", 10**9)
    with pytest.raises(OutputError, match="is being written by another run"):
        collect(options)
    assert names(tmp_path / "photos") == []
    other.close()
    assert collect(options).saved == 40
    # the next finds it free, also after one that failed
    with pytest.raises(OptionError):
        collect(CollectOptions(source=clip, labels=["HEN"], to=tmp_path / "photos"))
    assert collect(options).saved == 40


def test_what_a_power_cut_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "hen").mkdir()
    (tmp_path / "hen" / ".part-12.jpg").write_bytes(b"hal")
    PhotoFolder(tmp_path, 10_000)
    assert names(tmp_path) == []


def test_photo_is_as_the_camera_sent_it() -> None:
    sent, moment = jpeg(scene(1), 60), Moment("camera:0", 0, 0.0, 0.0)
    assert photo_of(Frame(sent, moment), scene(1), 0) == sent
    # turned, it must be encoded anew
    assert photo_of(Frame(sent, moment), scene(1), 90) != sent


def test_stop_ends_it(clip: Path, tmp_path: Path) -> None:
    stop = Stop()
    stop.ask()
    assert collect(CollectOptions(source=clip, labels=["hen"], to=tmp_path / "p"), stop=stop).frames <= 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"labels": "hen"}, r"the labels are 'hen', expected a list"),
        ({"labels": []}, "label= is missing"),
        ({"labels": ["../etc"]}, r"label= is '../etc', which cannot name a folder; try '__etc'"),
        ({"labels": [""]}, "cannot name a folder"),
        ({"labels": ["a", "b"]}, "label= names 2 classes; add serve="),
        ({"labels": ["a", "a"], "source": "camera:0", "serve": "127.0.0.1:0"}, "names 'a' twice"),
        (
            {"labels": ["Hen", "hen"], "source": "camera:0", "serve": "127.0.0.1:0"},
            "label= names 'Hen' and 'hen', one folder on some systems; leave one of them out",
        ),
        ({"count": 0}, "count= is 0, expected a whole number, 1 or more"),
        ({"quota": "much"}, "quota= is 'much', expected bytes"),
        ({"alike": 65}, "alike= is 65, expected a whole number from -1 to 64"),
        ({"every": "soon"}, "every= is 'soon'"),
        ({"serve": "127.0.0.1:0"}, "serve= is for what is seen now, but clip.mp4 is a file"),
        ({"serve_anyone": True}, "serve_anyone= says who may see the page"),
    ],
)
def test_options_are_checked_on_construction(given: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        CollectOptions(**{"source": "clip.mp4", "labels": ["hen"], "to": "photos", **given})


# ------------------------------------------------------------------ with a page


def test_click_saves_the_picture_that_is_shown(tmp_path: Path) -> None:
    view = View()
    buttons = ClassButtons(view, PhotoFolder(tmp_path, 10**9), ["hen", "fox"])
    with pytest.raises(ValueError, match="there is no picture yet"):
        buttons.keep("hen")
    view.show(scene(1), Moment("camera:0", 0, 0.0, 0.0))
    assert buttons.keep("fox") == "00000-fox.jpg is in fox"
    with pytest.raises(ValueError, match="this picture is in fox already"):
        buttons.keep("fox")
    with pytest.raises(ValueError, match="there is no class '../x'"):
        buttons.keep("../x")
    view.show(scene(2), Moment("camera:0", 1, 0.0, 0.0))
    assert buttons.keep("hen") == "00001-hen.jpg is in hen"
    assert dict(buttons.counts()) == {"hen": 1, "fox": 1}


def test_click_at_the_quota_is_answered(tmp_path: Path) -> None:
    view = View()
    view.show(scene(1), Moment("camera:0", 0, 0.0, 0.0))
    with pytest.raises(ValueError, match="is full"):
        ClassButtons(view, PhotoFolder(tmp_path, 10), ["hen"]).keep("hen")


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace what opens sources by a camera that sends one scene after the other."""

    class Camera:
        def __init__(self) -> None:
            self.number = 0

        def __iter__(self) -> "Camera":
            return self

        def __next__(self) -> Frame:
            time.sleep(0.01)
            self.number += 1
            moment = Moment("camera:0", self.number, time.monotonic(), time.time())
            return Frame(scene(self.number % 50), moment, dropped=0)

        def close(self) -> None:
            pass

    monkeypatch.setattr("edgevit.runtime.collect.collect.open_all", lambda *given: Camera())


def test_page_has_buttons_and_a_click_is_a_photo(camera: None, tmp_path: Path) -> None:
    found: list[str] = []
    stop, told = Stop(), threading.Event()

    def click() -> None:
        assert told.wait(GENEROUS_S)
        page = urllib.request.urlopen(found[0], timeout=GENEROUS_S).read().decode()
        while "picture" not in page or not _has_picture(found[0]):
            time.sleep(0.02)
        match = re.search(r'name="secret" value="([^"]+)"', page)
        assert match
        body = urllib.parse.urlencode({"secret": match[1], "label": "hen"}).encode()
        # 303 leads to the page, which may be closed by then, as the run has its photo
        with contextlib.suppress(OSError, http.client.HTTPException):
            urllib.request.urlopen(f"{found[0]}keep", body, timeout=GENEROUS_S).close()

    def page(url: str) -> None:
        found.append(url)
        told.set()

    thread = threading.Thread(target=click)
    thread.start()
    options = CollectOptions(
        source="camera:0", labels=["hen", "fox"], to=tmp_path / "photos", serve="127.0.0.1:0", count=1
    )
    done = collect(options, on_page=page, stop=stop)
    thread.join()
    assert done.saved == 1
    assert names(tmp_path / "photos") == ["hen/00000-hen.jpg"]


def _has_picture(url: str) -> bool:
    try:
        return bool(urllib.request.urlopen(f"{url}picture.jpg", timeout=GENEROUS_S).read())
    except urllib.error.HTTPError:
        return False


# ------------------------------------------------------------------ a live source


class Items:
    """What a source gives, in place of one that is opened."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = items
        self.closed = False

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Callable[[Iterable[Item]], Items]:
    """Have the next collection take these frames, events and errors."""

    def replace(items: Iterable[Item]) -> Items:
        given = Items(items)
        monkeypatch.setattr("edgevit.runtime.collect.collect.open_all", lambda *parts: given)
        return given

    return replace


def at(number: int) -> Moment:
    return Moment("camera:0", number, time.monotonic(), time.time())


def live(picture: Picture, number: int = 0) -> Frame:
    return Frame(picture, at(number), dropped=0)


Give = Callable[[Iterable[Item]], Items]


def test_damaged_frame_is_told_and_the_next_are_kept(give: Give, tmp_path: Path) -> None:
    gone = ImageError("camera:0: its picture cannot be read")
    items = give([live(scene(1)), live(jpeg(scene(3), 90)[:2000], 1), gone, live(scene(2), 2)])
    told: list[EdgevitError] = []
    done = collect(CollectOptions(source="camera:0", labels=["hen"], to=tmp_path), on_error=told.append)
    assert (done.frames, done.saved, done.unreadable, done.live) == (2, 2, 2, True)
    assert (type(told[0]), told[1]) == (ImageError, gone)
    assert items.closed


def test_rubbish_of_a_camera_is_told_once_an_outage_and_counted_each_time(give: Give, tmp_path: Path) -> None:
    rubbish = [live(b"no picture", number) for number in range(3)]
    give([*rubbish, live(scene(1), 3), live(b"no picture", 4)])
    told: list[EdgevitError] = []
    done = collect(CollectOptions(source="camera:0", labels=["hen"], to=tmp_path), on_error=told.append)
    assert (done.unreadable, len(told)) == (4, 2)
    assert all(str(error).startswith("camera:0: the image is not an image") for error in told)


def test_damaged_frame_is_logged_where_nobody_listens(
    give: Give, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    give([live(b"no picture"), ImageError("camera:0: \x1b")])
    assert collect(CollectOptions(source="camera:0", labels=["hen"], to=tmp_path)).unreadable == 2
    assert len(caplog.messages) == 2
    assert caplog.messages[1] == "camera:0: \x1b"


def test_black_frame_of_a_camera_is_no_photo_and_one_of_a_file_is(give: Give, tmp_path: Path) -> None:
    """A camera whose signal is gone shows level 16 at most; what somebody filmed is what was wanted."""
    black = np.full((240, 320, 3), 16, np.uint8)
    options = CollectOptions(source="camera:0", labels=["hen"], to=tmp_path)
    give([live(black), live(black + 1)])
    done = collect(options)
    assert (done.frames, done.saved, done.alike) == (2, 1, 0)
    give([Frame(black, at(0))])
    # it is one level away from the photo that is there
    done = collect(dataclasses.replace(options, alike=-1))
    assert (done.frames, done.saved, done.live) == (1, 1, False)


@pytest.mark.parametrize("heard", [True, False])
def test_what_happens_to_the_camera_is_told(
    give: Give, tmp_path: Path, caplog: pytest.LogCaptureFixture, heard: bool
) -> None:
    lost = Event("source_lost", at(1), {"reason": "unplugged"})
    give([live(scene(1)), lost, live(scene(2), 2)])
    told: list[Event] = []
    options = CollectOptions(source="camera:0", labels=["hen"], to=tmp_path)
    assert collect(options, on_event=told.append if heard else None).saved == 2
    assert (told, caplog.messages) == (([lost], []) if heard else ([], [lost.to_json()]))


def test_page_is_healthy_while_pictures_come_and_saves_none_by_itself(give: Give, tmp_path: Path) -> None:
    urls: list[str] = []
    answers: list[tuple[int, str]] = []

    def health() -> None:
        try:
            answer = urllib.request.urlopen(f"{urls[0]}healthz", timeout=GENEROUS_S)
        except urllib.error.HTTPError as error:
            answer = error
        answers.append((answer.status, answer.read().decode()))

    def items() -> Iterator[Item]:
        health()
        yield live(scene(1))
        health()
        yield Event("source_lost", at(1), {"reason": "unplugged"})
        health()
        yield Event("source_back", at(1), {"away_s": 1.0})
        yield live(scene(2), 2)
        health()

    give(items())
    options = CollectOptions(source="camera:0", labels=["hen"], to=tmp_path / "p", serve="127.0.0.1:0")
    done = collect(options, on_page=urls.append, on_event=lambda event: None)
    assert [status for status, _ in answers] == [503, 200, 503, 200]
    assert answers[1] == answers[3] == (200, "running: pictures come\n")
    assert answers[2][1] == "lost: camera:0 is lost: unplugged\n"
    assert (done.frames, done.saved, names(tmp_path / "p")) == (2, 0, [])


def test_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgevitError, match="file cannot be written: .*; choose another"):
        PhotoFolder(tmp_path / "file", 1)
