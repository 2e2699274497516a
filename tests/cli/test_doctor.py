"""`edgevit doctor`: lines, JSON, exit code, and a model's self-test."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import edgevit.doctor.environment as environment
from edgevit.doctor.board import check_model
from edgevit.doctor.environment import this_machine
from tests.places import ROOT

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def sound_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("EDGEVIT_PROFILE", "rpi4")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def test_wrong_profile_fails_with_exit_code_1_and_says_what_mends_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEVIT_PROFILE", "rpi44")
    monkeypatch.setattr(environment, "installed_packages", dict)
    code, out, _ = run("doctor")
    assert code == 1
    first, second = out.splitlines()[:2]
    assert first.startswith("fail  profile            no device profile named 'rpi44'; did you mean rpi4?")
    assert second.strip() == "fix: edgevit profiles; correct or unset EDGEVIT_PROFILE"


def test_json_holds_every_finding_and_the_verdict(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "installed_packages", dict)
    code, out, _ = run("doctor", "--json")
    report = json.loads(out)
    assert (code, report["ok"]) == (1, False), "no package is installed"
    assert {"check", "level", "text", "remedy"} == set(report["findings"][0])
    assert {
        "check": "numpy",
        "level": "fail",
        "text": "numpy is not installed",
        "remedy": "pip install numpy",
    } in report["findings"]


def test_model_that_answers_right_is_ok(tiny_model: Path) -> None:
    (finding,) = check_model(this_machine(tiny_model))
    assert finding.level == "ok"
    assert "self-test passed, 3 pictures" in finding.text


def test_damaged_model_fails_with_its_own_message(tiny_model: Path) -> None:
    data = bytearray(tiny_model.read_bytes())
    data[-1] ^= 1
    tiny_model.write_bytes(data)
    (finding,) = check_model(this_machine(tiny_model))
    assert finding.level == "fail"
    assert "is damaged: its checksum is not the one written at export" in finding.text
    assert finding.remedy.startswith(f"edgevit selftest {tiny_model}")


def test_every_check_is_described() -> None:
    text = (ROOT / "docs" / "doctor.md").read_text()
    sources = "".join(path.read_text() for path in (ROOT / "edgevit" / "doctor").glob("*.py"))
    names = set(re.findall(r'Finding\(\s*"([a-z-]+)"', sources))
    assert len(names) == 22
    assert [name for name in names if f"`{name}`" not in text] == []
