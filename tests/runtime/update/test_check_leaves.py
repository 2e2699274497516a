"""What a check leaves on the disk for the next one, and what whoever called is told where it failed."""

import dataclasses
import hashlib
import os
from pathlib import Path

import pytest

from edgevit.errors import UpdateError
from edgevit.runtime.update.board import Board, Step, Trial
from edgevit.runtime.update.check import check
from edgevit.runtime.update.proof import ProofBounds
from edgevit.runtime.update.state import Release, read_state
from tests.made_signed_site import MadeSite
from tests.made_static_web import StaticWeb
from tests.made_update_board import BOUNDS, OTHER_CLASSES, QUICK, SILENT, Make

pytestmark = pytest.mark.usefixtures("any_bytes")

OLD, NEW, NEWER = b"an old model" * 100, b"a new model" * 150, b"a newer model" * 200


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_board_that_waits_says_so_on_the_disk_with_what_the_others_got(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW, percent=1)
    board = make(board="b1", model=OLD)
    state = board.check()
    assert (state.state, state.latest) == ("waiting", Release(1, sha(NEW)))
    assert read_state(board.into) == state


def test_what_other_downloads_left_is_removed(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    board = make(model=OLD)
    for name in ("farm.next-0123456789abcdef.onnx", ".part-0a1b2c.onnx"):
        (board.into / name).write_bytes(b"left")
    board.check()
    assert board.files == ["farm.onnx", "farm.previous.onnx"]


def test_model_that_somebody_copied_is_installed_before_it_is_confirmed(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    board = make(model=OLD)
    board.enrollment.model.write_bytes(NEW)
    assert board.check().state == "confirmed"
    assert [line.partition(": ")[2] for line in board.told] == ["installed", "confirmed"]


def test_model_that_somebody_copied_is_not_kept_as_one_that_worked(site: MadeSite, make: Make) -> None:
    """The one before is what a board goes back to: nothing comes there that no service ever ran."""
    site.publish("stable/farm.onnx", NEW)
    board = make()
    board.enrollment.model.write_bytes(NEW)
    assert board.check().state == "installed"
    site.publish("stable/farm.onnx", NEWER)
    assert board.check().installed == Release(2, sha(NEWER))
    assert board.files == ["farm.onnx"]


def test_model_on_trial_takes_the_version_under_which_it_is_published_again(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    board = make(model=OLD)
    board.service.dark = True
    board.check()
    site.publish("stable/farm.onnx", NEW)
    state = board.check()
    assert (state.state, state.error) == ("installed", "0 results within 1 s, expected 3")
    assert state.installed == state.latest == Release(2, sha(NEW))
    assert read_state(board.into) == state


def test_trial_of_a_model_that_is_gone_ends_where_the_wanted_one_runs(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    made = make(model=OLD)
    made.check()
    board = Board(made.enrollment, made.service, made.told.append, made.steps.append)
    board.write_trial(Trial(Release(2, sha(NEWER)), Release(1, "a" * 64), gave_results=True))
    assert made.check().state == "current"
    assert board.trial() is None


def test_model_whose_verdict_stands_is_gone_before_the_site_is_asked(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    made = make(model=NEW)
    (made.into / "farm.previous.onnx").write_bytes(OLD)
    board = Board(made.enrollment, made.service, made.told.append, made.steps.append)
    board.folder.mkdir()
    board.write_trial(Trial(Release(1, sha(NEW)), Release(0, sha(OLD)), gave_results=True, verdict="no results"))
    state = made.check()
    assert (state.state, state.error) == ("rolled back", "no results; `edgevit update --retry` tries it once more")
    assert made.model == made.service.running == OLD
    assert made.steps == [Step.LOCK, Step.CONFIRM, Step.CLOCK, Step.REFRESH, Step.PERCENT]
    assert board.trial() is None


def test_trial_that_was_cut_off_before_the_swap_is_over(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW, percent=1)
    made = make(board="b1", model=OLD)
    board = Board(made.enrollment, made.service, made.told.append, made.steps.append)
    board.folder.mkdir()
    board.write_trial(Trial(Release(1, sha(NEW)), Release(0, sha(OLD)), gave_results=True))
    assert made.check().state == "waiting"
    assert board.trial() is None
    assert made.model == OLD


def test_failure_is_raised_and_stands_on_the_disk(site: MadeSite, make: Make) -> None:
    board = make(model=OLD)
    with pytest.raises(UpdateError, match=r"^the site has no stable/farm\.onnx; publish it there") as caught:
        check(board.enrollment, board.service, bounds=BOUNDS, patience=QUICK)
    state = read_state(board.into)
    assert state is not None
    assert (state.state, state.error) == ("failed", str(caught.value))


def test_folder_that_takes_nothing_is_named(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    board = make(model=OLD)
    into = board.enrollment.model / "folder"
    enrollment = dataclasses.replace(board.enrollment, into=into)
    with pytest.raises(UpdateError, match=f"^{into} cannot be written: {into.parent} is no folder; look at the card$"):
        check(enrollment, board.service, bounds=BOUNDS, patience=QUICK)


def test_folder_that_is_missing_is_made(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    board = make()
    board.into.rmdir()
    assert board.check().state == "installed"
    assert board.model == NEW
    # what is trusted is for whoever updates alone
    assert [(board.into / "update" / name).stat().st_mode & 0o777 for name in (".", "metadata")] == [0o700, 0o700]


def test_model_that_fails_its_selftest_is_gone_and_not_fetched_again(
    site: MadeSite, web: StaticWeb, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, bounds: ProofBounds) -> None:
        raise UpdateError(f"{len(path.read_bytes())} bytes do not pass within {bounds.time_s} s")

    monkeypatch.setattr("edgevit.runtime.update.install.prove", fail)
    site.publish("stable/farm.onnx", NEW)
    board = make(model=OLD)
    state = board.check(proof=ProofBounds(time_s=7))
    assert (state.state, state.error) == ("failed", "1650 bytes do not pass within 7 s")
    assert (board.files, board.model, board.service.running) == (["farm.onnx"], OLD, OLD)
    again = board.check()
    assert (again.state, again.error) == (
        "rolled back",
        "1650 bytes do not pass within 7 s; `edgevit update --retry` tries it once more",
    )
    assert len(web.targets) == 1


def test_service_of_another_user_can_read_the_new_model_whatever_the_umask(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    board = make(model=OLD)
    before = os.umask(0o077)
    try:
        assert board.check().state == "confirmed"
    finally:
        os.umask(before)
    assert board.enrollment.model.stat().st_mode & 0o777 == 0o644


def test_way_back_is_on_the_disk_before_the_swap(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    made, seen = make(model=OLD), list[object]()
    board = Board(made.enrollment, made.service, made.told.append, made.steps.append)
    true = made.service.reload

    def reload() -> None:
        seen.append(board.trial())
        true()

    made.service.reload = reload  # type: ignore[method-assign]
    made.check()
    assert seen == [Trial(Release(1, sha(NEW)), Release(0, sha(OLD)), gave_results=True)]
    assert board.trial() is None


def test_verdict_is_on_the_disk_and_told_before_the_model_before_is_brought_up(site: MadeSite, make: Make) -> None:
    """A cut from there on leaves a model that must go, and the next check knows it."""
    site.publish("stable/farm.onnx", NEW + SILENT)
    made, seen = make(model=OLD), list[object]()
    board = Board(made.enrollment, made.service, made.told.append, made.steps.append)
    true = made.service.reload

    def reload() -> None:
        trial, state = board.trial(), read_state(made.into)
        assert trial is not None
        assert state is not None
        seen.append((made.model, trial.verdict, board.bad(trial.new.sha256), state.state, state.error))
        true()

    made.service.reload = reload  # type: ignore[method-assign]
    made.check()
    why = "0 results within 1 s, expected 3"
    assert seen == [(NEW + SILENT, None, None, "installed", None), (OLD, why, why, "rolled back", why)]


def test_model_that_works_at_its_second_trial_is_bad_no_more(site: MadeSite, make: Make) -> None:
    site.publish("stable/farm.onnx", NEW)
    made = make(model=OLD)
    board = Board(made.enrollment, made.service, made.told.append, made.steps.append)
    board.folder.mkdir()
    board.remember_bad(sha(NEW), "no results")
    assert made.check().state == "rolled back"
    assert made.check(retry=True).state == "confirmed"
    assert board.bad(sha(NEW)) is None


@pytest.mark.parametrize("refused", [True, False])
def test_new_start_in_place_of_a_reload_is_told_with_why(site: MadeSite, make: Make, refused: bool) -> None:
    content = NEW + OTHER_CLASSES if refused else NEW
    site.publish("stable/farm.onnx", content)
    board = make(model=OLD)
    if not refused:
        board.service.reload = lambda: None  # type: ignore[method-assign]
    assert board.check().state == "confirmed"
    why = "the new file's classes are others" if refused else "no answer"
    assert f"the service was not reloaded ({why}); it is started anew" in board.told
