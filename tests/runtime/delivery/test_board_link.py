"""A board on a broker: its status, its model as Home Assistant's update entity, and the question for a newer one."""

import dataclasses
import threading
from pathlib import Path
from typing import Any

import pytest

from edgevit.errors import OptionError
from edgevit.runtime.addresses.destinations import parse_sink
from edgevit.runtime.delivery.board_link import BoardLink
from edgevit.runtime.delivery.broker import Broker
from edgevit.runtime.delivery.homeassistant import discovery
from edgevit.runtime.run.options import RunOptions
from edgevit.runtime.service.job import make_job
from tests.home_assistant import check_announcement, update_state
from tests.made_status import FOLLOWED, NEWER, STATUS

BROKER = Broker("host", 1883, "farm/pen3", discovery="homeassistant")


def announced(broker: Broker = BROKER, **given: Any) -> dict[str, dict[str, Any]]:
    """Return checked announcements by their component and key."""
    messages = discovery(broker, "Pen 3", board=True, **given)
    return {"/".join(topic.split("/")[1::2]): check_announcement(topic, text) for topic, text in messages}


def told(**update: Any) -> dict[str, Any]:
    status = dataclasses.replace(STATUS, update=FOLLOWED | update if update else None)
    return update_state(announced()["update/model"], status.to_json())


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"rois": ["left gate", "right"]},
        {"classes": ["hen", "fox"], "watched": ["fox"], "lines": ["gate"]},
        {"classes": [f"c{number}" for number in range(30)]},
    ],
    ids=["label", "regions", "counts and lines", "many classes"],
)
@pytest.mark.parametrize("more", [{}, {"expire_after_s": 600}, {"retain": False}, {"check": "check"}])
def test_home_assistant_knows_every_key_of_every_announcement(given: dict[str, Any], more: dict[str, Any]) -> None:
    found = announced(dataclasses.replace(BROKER, **more), **given)
    assert {"update/model", "binary_sensor/source"} <= set(found)
    assert len({config["unique_id"] for config in found.values()}) == len(found)


def test_model_is_announced_as_firmware_of_the_board() -> None:
    config = announced()["update/model"]
    assert (config["state_topic"], config["device_class"]) == ("farm/pen3/board", "firmware")
    assert config["device"] == announced()["sensor/label"]["device"]
    assert [each["topic"] for each in config["availability"]] == ["farm/pen3/status"]


def test_versions_are_told_with_their_number_and_the_beginning_of_their_digest() -> None:
    assert told(state="waiting") == {
        "installed_version": "12 c4e4961e",
        "latest_version": "13 0042beef",
        "title": "farm.onnx",
        "release_summary": "",
        "in_progress": False,
    }


def test_board_without_an_updater_has_nothing_newer() -> None:
    state = told()
    assert (state["installed_version"], state["latest_version"]) == ("c4e4961e", "c4e4961e")


def test_what_answers_is_told_though_something_else_lies_on_the_disk() -> None:
    """Killed between the swap and the reload, a board runs the old model: version 13 is not what answers."""
    state = told(state="installed", installed={"version": 13, "sha256": NEWER})
    assert (state["installed_version"], state["latest_version"]) == ("c4e4961e", "13 0042beef")


@pytest.mark.parametrize(
    ("state", "busy"),
    [("current", False), ("downloading", True), ("testing", True), ("installed", True), ("confirmed", False)],
)
def test_update_is_in_progress_from_the_download_to_its_confirmation(state: str, busy: bool) -> None:
    assert told(state=state)["in_progress"] is busy


def test_why_an_update_failed_is_told_in_as_many_letters_as_home_assistant_takes() -> None:
    assert told(state="failed", error="its self-test failed " + "x" * 300)["release_summary"] == (
        "its self-test failed " + "x" * 234
    )


def test_failed_reload_is_told_where_the_updater_has_no_error() -> None:
    status = dataclasses.replace(STATUS, reload_error="the old model stays: damaged")
    state = update_state(announced()["update/model"], status.to_json())
    assert state["release_summary"] == "the old model stays: damaged"


# ------------------------------------------------------------------ the question


def test_button_is_there_only_where_the_board_listens(tmp_path: Path) -> None:
    assert "command_topic" not in announced()["update/model"]
    config = announced(dataclasses.replace(BROKER, check=str(tmp_path / "check")))["update/model"]
    assert (config["command_topic"], config["payload_install"]) == ("farm/pen3/check", "INSTALL")


def test_question_touches_the_file_and_does_nothing_else(tmp_path: Path) -> None:
    link, asked = BoardLink(dataclasses.replace(BROKER, check=str(tmp_path / "check")), None), threading.Event()
    assert (link.pass_on(asked), list(tmp_path.iterdir())) == (None, [])
    asked.set()
    assert link.pass_on(asked) is None
    assert not asked.is_set()
    assert [each.name for each in tmp_path.iterdir()] == ["check"]
    assert (tmp_path / "check").read_bytes() == b""


def test_question_that_cannot_be_passed_on_is_said(tmp_path: Path) -> None:
    link, asked = (
        BoardLink(dataclasses.replace(BROKER, check=str(tmp_path / "none" / "check")), None),
        threading.Event(),
    )
    asked.set()
    assert "cannot be touched: No such file or directory; nobody looks for a newer model" in str(link.pass_on(asked))


def test_service_may_touch_only_what_lies_below_its_own_folder(tiny_model: Path) -> None:
    def options(file: str) -> RunOptions:
        place = f"mqtt://broker/farm?check={file}"
        return RunOptions(model=tiny_model, sources=["camera:0"], to=[place], labels=None)

    with pytest.raises(OptionError, match="the service may write only below /var/lib/NAME, not to /etc/check"):
        make_job(options("/etc/check"))
    assert Broker.from_target(parse_sink("mqtt://broker/farm?check=check"), {}).check == "check"
