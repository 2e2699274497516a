"""A check from the question to the confirmation, over a real site and a real web server."""

import hashlib
import json
import types
from pathlib import Path

import pytest

from edgevit.errors import UpdateError
from edgevit.runtime.update.board import Step
from edgevit.runtime.update.state import Release, read_state
from tests.made_signed_site import MadeSite
from tests.made_static_web import StaticWeb
from tests.made_update_board import BROKEN, CRASHING, OTHER_CLASSES, SILENT, Make

pytestmark = pytest.mark.usefixtures("any_bytes")

OLD, NEW, NEWER = b"an old model" * 100, b"a new model" * 150, b"a newer model" * 200


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_new_model_is_installed_watched_and_confirmed(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    board = make(model=OLD)
    state = board.check()
    assert (state.state, state.error) == ("confirmed", None)
    assert state.installed == state.latest == Release(1, sha(NEW))
    assert board.model == NEW
    assert board.service.running == NEW
    assert board.files == ["farm.onnx", "farm.previous.onnx"]
    assert (board.into / "farm.previous.onnx").read_bytes() == OLD
    assert board.steps == list(Step)
    assert [line.partition(": ")[2] for line in board.told] == ["downloading", "testing", "installed", "confirmed"]
    assert read_state(board.into) == state


def test_nothing_new_is_two_requests_and_current(site: MadeSite, web: StaticWeb, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    board = make(model=OLD)
    board.check()
    web.asked.clear()
    assert board.check().state == "current"
    assert web.asked == ["/metadata/2.root.json", "/metadata/timestamp.json"]


def test_first_model_of_a_board_is_installed_though_no_service_runs_yet(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    board = make()
    state = board.check()
    assert (state.state, state.error) == ("installed", "the service edgevit is not running")
    assert board.files == ["farm.onnx"]
    # somebody starts it
    board.service.restart()
    assert board.check().state == "current"
    assert board.told[-2].endswith(": confirmed")


def test_only_boards_in_the_percentage_take_part(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", OLD)
    before = site.edition("stable/farm.onnx")
    site.publish("stable/farm.onnx", NEW, percent=50, before=before)
    # int(sha256("b1:<digest of NEW>")[:8], 16) % 100, worked out apart from the code
    places = {name: int(sha(f"{name}:{sha(NEW)}".encode())[:8], 16) % 100 for name in ("b1", "b2", "b3", "b4", "b5")}
    assert {place < 50 for place in places.values()} == {True, False}
    for name, place in places.items():
        board = make(board=name, model=OLD)
        state = board.check()
        assert state.latest == Release(2, sha(NEW))
        assert (state.state, board.model) == (("confirmed", NEW) if place < 50 else ("waiting", OLD))


def publish_half(site: MadeSite) -> None:
    """Offer NEW to one half of the boards, where the others have OLD."""
    site.publish("stable/farm.onnx", OLD)
    before = site.edition("stable/farm.onnx")
    site.publish("stable/farm.onnx", NEW, percent=50, before=before)


def is_first(board: str) -> bool:
    """Tell whether a board is in the half that gets NEW."""
    return int(sha(f"{board}:{sha(NEW)}".encode())[:8], 16) % 100 < 50


def board_root(root: Path, serial: str) -> Path:
    """Return the root of a board's files, among them its serial number."""
    file = root / "proc/device-tree/serial-number"
    file.parent.mkdir(parents=True)
    file.write_bytes(f"{serial}\0".encode())
    return root


def test_boards_whose_card_was_copied_are_told_apart_by_their_serial_number(
    site: MadeSite, make: Make, tmp_path: Path
) -> None:
    """Twenty copies of one enrolled card would all be among the first percent, or none."""
    publish_half(site)
    models = set()
    for number in range(8):
        serial = f"10000000f{number}"
        board = make(board="copied", model=OLD)
        board.check(root=board_root(tmp_path / serial, serial))
        assert board.model == (NEW if is_first(f"copied{serial}") else OLD)
        models.add(board.model)
    assert models == {OLD, NEW}


def test_board_that_got_the_newest_by_its_name_alone_does_not_go_back(
    site: MadeSite, make: Make, tmp_path: Path
) -> None:
    """As an earlier version of edgevit gave it, which did not ask for the serial number."""
    publish_half(site)
    pi = board_root(tmp_path / "pi", "10000000f")
    name = next(each for each in map(str, range(100)) if is_first(each) and not is_first(f"{each}10000000f"))
    board = make(board=name, model=OLD)
    board.check(root=tmp_path / "no serial number")
    assert board.model == NEW
    assert board.check(root=pi).state in ("current", "confirmed")
    assert board.model == NEW
    other = make(board=name, model=OLD)
    other.check(root=pi)
    assert other.model == OLD


def test_board_outside_of_the_percentage_gets_what_the_others_have(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    before = site.edition("stable/farm.onnx")
    site.publish("stable/farm.onnx", NEWER, percent=1, before=before)
    board = make(board="b1", model=OLD)
    assert board.check().state == "confirmed"
    assert board.model == NEW
    state = board.check()
    assert (state.state, state.installed, state.latest) == ("waiting", Release(1, sha(NEW)), Release(2, sha(NEWER)))
    # where the others have nothing, what is there stays
    site.publish("stable/farm.onnx", NEWER, percent=1)
    other = make(board="b1", model=OLD)
    assert other.check().state == "waiting"
    assert other.model == OLD


def test_owner_rolls_back_by_a_higher_version_of_older_bytes(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", OLD)
    board = make(model=OLD)
    assert board.check().state == "current"
    site.publish("stable/farm.onnx", NEW)
    board.check()
    site.publish("stable/farm.onnx", OLD)
    state = board.check()
    assert (state.state, state.installed) == ("confirmed", Release(3, sha(OLD)))
    assert board.service.running == OLD


def test_same_bytes_under_a_new_version_are_not_fetched_again(site: MadeSite, web: StaticWeb, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    board = make(model=OLD)
    board.check()
    site.publish("stable/farm.onnx", NEW)
    state = board.check()
    assert (state.state, state.installed) == ("current", Release(2, sha(NEW)))
    assert len(web.targets) == 1


def test_model_that_a_reload_refuses_is_taken_by_a_new_start(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW + OTHER_CLASSES)
    board = make(model=OLD)
    assert board.check().state == "confirmed"
    assert (board.service.reloads, board.service.restarts) == (1, 2)
    assert board.service.running == NEW + OTHER_CLASSES


@pytest.mark.parametrize("fault", [BROKEN, SILENT, CRASHING])
def test_model_that_fails_in_the_service_is_swapped_back_and_remembered(
    site: MadeSite, web: StaticWeb, make: Make, fault: bytes
) -> None:
    site.publish("stable/farm.onnx", NEW + fault)
    board = make(model=OLD)
    state = board.check()
    assert state.state == "rolled back"
    assert (
        state.error
        == {
            BROKEN: "the service does not start with it (the new file's classes are others)",
            SILENT: "0 results within 1 s, expected 3",
            CRASHING: "the service ends with it, last after 1 results",
        }[fault]
    )
    assert board.model == board.service.running == OLD
    assert board.files == ["farm.onnx"]
    # the same bytes come under a new version: they are not even fetched
    fetched = len(web.targets)
    site.publish("stable/farm.onnx", NEW + fault)
    again = board.check()
    assert again.state == "rolled back"
    assert again.latest == Release(2, sha(NEW + fault))
    assert again.error == f"{state.error}; `edgevit update --retry` tries it once more"
    assert len(web.targets) == fetched
    # other bytes are another model
    site.publish("stable/farm.onnx", NEWER)
    assert board.check().state == "confirmed"
    assert board.service.running == NEWER


def test_model_before_that_fails_too_is_told(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW + BROKEN)
    board = make(model=OLD)
    # it is started, and ends at once, whatever the model
    board.service.restart = lambda: board.service.file.unlink(missing_ok=True)  # type: ignore[method-assign]
    state = board.check()
    assert (state.state, state.error) == (
        "rolled back",
        "the service does not start with it (the new file's classes are others); and with the model before it: "
        "the service does not start with it",
    )
    assert board.model == OLD


def test_model_that_is_back_has_its_version_if_it_came_from_the_site(site: MadeSite, make: Make) -> None:
    board = make(model=OLD)
    site.publish("stable/farm.onnx", NEW + SILENT)
    assert board.check().installed is None
    site.publish("stable/farm.onnx", NEW)
    board.check()
    site.publish("stable/farm.onnx", NEWER + SILENT)
    state = board.check()
    assert (state.state, state.installed) == ("rolled back", Release(2, sha(NEW)))
    assert state.latest == Release(3, sha(NEWER + SILENT))


def test_retry_tries_a_model_once_more_that_did_not_work(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW + SILENT)
    board = make(model=OLD)
    board.check()
    site.publish("stable/farm.onnx", OLD)
    board.check()
    assert board.check(retry=True).state == "current"
    site.publish("stable/farm.onnx", NEW + SILENT)
    fetched = board.check(retry=True)
    assert (fetched.state, fetched.error) == ("rolled back", "0 results within 1 s, expected 3")


def test_silence_of_both_models_is_the_cameras_fault(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    board = make(model=OLD)
    reload = board.service.reload

    def night_falls() -> None:
        reload()
        board.service.dark = True

    board.service.reload = night_falls  # type: ignore[method-assign]
    state = board.check()
    assert state.state == "rolled back"
    assert "look at the camera" in (state.error or "")
    # in the morning it is tried again
    board.service.dark, board.service.reload = False, reload  # type: ignore[method-assign]
    assert board.check().state == "confirmed"


def test_model_that_comes_in_the_dark_stays_and_is_confirmed_in_the_morning(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    board = make(model=OLD)
    board.service.dark = True
    state = board.check()
    assert (state.state, state.error) == ("installed", "0 results within 1 s, expected 3")
    assert board.service.running == NEW
    assert board.check().state == "installed"
    # a newer one while this one is on trial: the one to go back to is still the one that worked
    site.publish("stable/farm.onnx", NEWER)
    assert board.check().state == "installed"
    assert (board.into / "farm.previous.onnx").read_bytes() == OLD
    board.service.dark = False
    assert board.check().state == "current"
    assert board.told[-2].endswith(": confirmed")


def test_bit_flip_on_the_disk_is_noticed_and_the_model_fetched_anew(site: MadeSite, web: StaticWeb, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    board = make(model=OLD)
    board.check()
    flipped = bytearray(NEW)
    flipped[700] ^= 4
    board.enrollment.model.write_bytes(flipped)
    assert board.check().state == "confirmed"
    assert board.model == NEW
    assert len(web.targets) == 2
    # what is damaged is nothing to go back to
    assert (board.into / "farm.previous.onnx").read_bytes() == OLD


def test_service_that_runs_something_else_is_told_of_and_left_alone(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    board = make(model=OLD)
    board.service.model = board.into / "other.onnx"
    board.service.model.write_bytes(OLD)
    board.service.restart()
    state = board.check()
    assert state.state == "failed"
    assert state.error is not None
    assert f"runs {board.into}/other.onnx, and updates go to {board.into}/farm.onnx" in state.error
    assert board.model == OLD
    assert (board.service.reloads, board.service.restarts) == (0, 2)


def test_current_is_what_the_service_says_not_the_disk(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    board = make(model=OLD)
    # somebody has copied the file, and nobody told the service
    board.enrollment.model.write_bytes(NEW)
    state = board.check()
    assert state.state == "confirmed"
    assert board.service.running == NEW
    assert board.service.reloads == 1


def test_second_updater_gives_way(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    board, messages = make(model=OLD), []

    def meanwhile(step: Step) -> None:
        if step is Step.DOWNLOAD:
            with pytest.raises(UpdateError) as caught:
                board.check()
            messages.append(str(caught.value))

    assert board.check(reached=meanwhile).state == "confirmed"
    assert messages == ["another check is running on this board; wait for its end"]


@pytest.mark.parametrize("spare", [16 << 20, (16 << 20) - 1])
def test_model_that_the_disk_has_no_room_for_is_not_fetched(
    site: MadeSite, web: StaticWeb, make: Make, monkeypatch: pytest.MonkeyPatch, spare: int
) -> None:
    """No more is needed than what is left of a transfer that broke off; 16 MiB stay free."""
    site.publish("stable/farm.onnx", NEW)
    board = make(model=OLD)
    part = board.into / f"farm.next-{sha(NEW)[:16]}.onnx"
    part.write_bytes(NEW[:650])
    free = len(NEW) - 650 + spare
    monkeypatch.setattr("shutil.disk_usage", lambda folder: types.SimpleNamespace(free=free))
    state = board.check()
    if spare == 16 << 20:
        assert state.state == "confirmed"
        return
    needed = f"{len(NEW) - 650 + (16 << 20):,}"
    assert state.state == "failed"
    assert state.error == f"{board.into} has {free:,} bytes free, and {needed} are needed; free some space"
    assert (web.targets, board.model, part.read_bytes()) == ([], OLD, NEW[:650])


def test_service_that_says_nothing_of_itself_gets_no_new_model(site: MadeSite, web: StaticWeb, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    board = make(model=OLD)
    board.service.stop()
    board.service.condition = lambda: "running"  # type: ignore[method-assign]
    state = board.check()
    assert (state.state, state.error) == (
        "failed",
        "the service edgevit does not tell what it runs; write it anew: `edgevit service install --force`",
    )
    assert (web.targets, board.model, board.service.restarts) == ([], OLD, 1)


def test_model_that_fails_where_none_was_before_stays_and_says_so(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW + BROKEN)
    board = make()
    assert board.check().state == "installed"
    board.service.restart()
    state = board.check()
    assert (state.state, state.error) == (
        "failed",
        "the service does not start with it; there is no model before it to go back to",
    )
    assert board.model == NEW + BROKEN


def test_state_says_when_the_site_was_last_seen(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    board = make(model=NEW)
    # 2027-03-01T12:00:00Z
    site.days = 400
    site.write()
    assert board.check(now_s=lambda: 1803902400.0).checked == "2027-03-01T12:00:00.000Z"
    assert json.loads((board.into / "state.json").read_text())["checked"] == "2027-03-01T12:00:00.000Z"
