"""Extras that a model or a service of this board lacks are found, and no others are asked for."""

import configparser
import re
import shlex
import sys
from pathlib import Path

import pytest

from edgevit.doctor.environment import Environment, Finding
from edgevit.doctor.extras import EXTRAS, check_extras, needed_extras
from edgevit.runtime.enroll.timer import update_units
from edgevit.runtime.run.options import RunOptions
from edgevit.runtime.service.job import make_job
from edgevit.runtime.service.place import unit_folder
from edgevit.runtime.service.unit import unit_text
from edgevit.runtime.update.enrollment import Enrollment
from tests.doctor.made_machine import GOOD_PACKAGES, changed, put
from tests.places import ROOT

PYTHON = "/home/pi/.venv/bin/python3"
ON_A_PC = {"dev", "export", "mutants", "tflite-export", "train"}
"""Extras that no board has."""


def lacks(env: Environment) -> list[Finding]:
    """Return the warnings after the line that lists all extras."""
    listed, *found = check_extras(env)
    assert (listed.check, listed.level, listed.remedy) == ("extras", "ok", "")
    assert {(finding.check, finding.level) for finding in found} <= {("extras", "warn")}
    return found


def set_up(env: Environment, name: str, text: str, *, user: bool = False) -> Environment:
    """Put a unit where systemd looks, and be the Python that it runs."""
    put(env, f"{str(unit_folder(user)).lstrip('/')}/{name}", text)
    return changed(env, python=sys.executable)


@pytest.mark.parametrize(
    ("packages", "text"),
    [
        ([], "present: none; absent: tflite, mqtt, serve, update, fleet"),
        (["paho-mqtt", "tflite-runtime"], "present: tflite, mqtt; absent: serve, update, fleet"),
        (["paho-mqtt", "tuf", "securesystemslib"], "present: mqtt, update; absent: tflite, serve, fleet"),
        (
            ["ai-edge-litert", "paho-mqtt", "prometheus-client", "tuf", "securesystemslib", "cryptography"],
            "present: tflite, mqtt, serve, update, fleet; absent: none",
        ),
    ],
)
def test_extras_that_are_present_and_absent_are_named(board: Environment, packages: list[str], text: str) -> None:
    (listed,) = check_extras(changed(board, packages=GOOD_PACKAGES | dict.fromkeys(packages, "1.0")))
    assert listed.text == text


def test_extras_and_their_packages_are_those_of_setup_cfg() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = config["options.extras_require"]
    assert set(EXTRAS) | ON_A_PC == set(listed)

    def packages(extra: str) -> set[str]:
        found: set[str] = set()
        for line in listed[extra].splitlines():
            own = re.fullmatch(r"edgevit\[(.*)\]", line)
            names = map(packages, own[1].split(",")) if own else [set(re.findall(r"^[a-z][a-z-]*", line))]
            found.update(*names)
        return found

    for extra, names in EXTRAS.items():
        # what securesystemslib[crypto] brings
        assert set(names) - {"cryptography"} == packages(extra)


def test_enrolled_update_without_tuf_is_found(board: Environment, tmp_path: Path) -> None:
    told = Enrollment("https://example.org/farm", "stable/farm.onnx", tmp_path, "edgevit-yard", False, "b", "{}")
    for name, text in update_units(told, 3600).items():
        board = set_up(board, name, text)
    (finding,) = lacks(board)
    assert finding.text == "edgevit-yard-update.service needs tuf, which this Python does not have"
    assert finding.remedy == f"{sys.executable} -m pip install 'edgevit[update]'"
    assert lacks(changed(board, packages=GOOD_PACKAGES | {"tuf": "7.0.1"})) == []


@pytest.mark.parametrize("user", [True, False])
def test_service_that_sends_messages_without_a_client_is_found(
    board: Environment, tiny_model: Path, user: bool
) -> None:
    to = ("events.jsonl", "mqtt://10.0.0.5/farm/pen3?discovery=homeassistant")
    job = make_job(RunOptions(model=tiny_model, sources=["camera:0"], to=to), user=True)
    (finding,) = lacks(set_up(board, "edgevit.service", unit_text(job), user=user))
    assert finding.text == "edgevit.service needs paho-mqtt, which this Python does not have"
    assert finding.remedy.endswith(" -m pip install 'edgevit[mqtt]'")


def test_model_given_or_in_a_service_that_nothing_here_can_run_is_found(board: Environment) -> None:
    board = set_up(
        board, "edgevit.service", f"[Service]\nExecStart={sys.executable} -m edgevit run /srv/m.tflite picam"
    )
    found = lacks(changed(board, model=Path("other.tflite")))
    assert [finding.text.partition(" needs ")[0] for finding in found] == ["other.tflite", "edgevit.service"]
    assert {finding.remedy for finding in found} == {f"{sys.executable} -m pip install 'edgevit[tflite]'"}
    assert lacks(changed(board, model=Path("other.tflite"), packages={"tflite-runtime": "2.14.0"})) == []


@pytest.mark.parametrize(
    ("command", "extras"),
    [
        (f"{PYTHON} -P -m edgevit run m.onnx camera:0 --every 5s", []),
        (f"{PYTHON} -P -m edgevit run m.onnx camera:0 --to secret:BROKER --to https://example.org/a", []),
        (f"{PYTHON} -P -m edgevit run 'farm 1.tflite' camera:0 --to mqtts://broker/farm", ["tflite", "mqtt"]),
        ("/home/pi/.venv/bin/edgevit run m.onnx camera:0 --to mqtt://broker/farm", ["mqtt"]),
        ("/home/pi/.venv/bin/edgevit run m.onnx camera:0 --to=mqtt://broker/farm", ["mqtt"]),
        ("/home/pi/.venv/bin/edgevit run m.onnx camera:0 --serve 0.0.0.0:8080 --serve-anyone", ["serve"]),
        ("/home/pi/.venv/bin/edgevit run m.onnx camera:0 --serve=:8080 --to a.jsonl --to", ["serve"]),
        ("/home/pi/.venv/bin/edgevit collect camera:0 --label hen --serve :8080", ["serve"]),
        ("/home/pi/.venv/bin/edgevit run m.onnx camera:0 --serve-anyone", []),
        ("/home/pi/.venv/bin/edgevit fleet list mqtt://broker/farm", ["fleet"]),
        ("/home/pi/.venv/bin/edgevit info m.tflite", []),
        ("/home/pi/.venv/bin/edgevit", []),
        ("/opt/other/bin/edgevit run m.onnx camera:0 --to mqtt://broker/farm", []),
        ("/home/pi/.venv/bin/python3 -m http.server", []),
        ("", []),
    ],
)
def test_command_needs_what_it_names_if_it_is_of_this_python(command: str, extras: list[str]) -> None:
    assert list(needed_extras(shlex.split(command), PYTHON)) == extras


def test_page_of_a_service_whose_metrics_cannot_be_told_is_found(board: Environment) -> None:
    unit = f"[Service]\nExecStart={sys.executable} -m edgevit run /srv/m.onnx picam --serve 127.0.0.1:8080\n"
    (finding,) = lacks(set_up(board, "edgevit.service", unit))
    assert finding.text == "/metrics of edgevit.service needs prometheus-client, which this Python does not have"
    assert finding.remedy == f"{sys.executable} -m pip install 'edgevit[serve]'"


def test_unit_that_cannot_be_read_harms_nothing(board: Environment) -> None:
    assert lacks(set_up(board, "odd.service", 'ExecStart="no end\nExecStart\nExecStart=\n\0\n')) == []
