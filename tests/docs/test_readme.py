"""The README says what is there: its commands, its links, its example."""

import re

import pytest

from edgevit.cli import COMMANDS
from tests.places import ROOT

README = (ROOT / "README.md").read_text()


def test_continuous_integration_runs_the_readmes_test_command() -> None:
    (command,) = re.findall(r"^python3 -m venv .*pytest$", README, re.MULTILINE)
    quiet = command.replace(".venv/bin/pip install", '"$venv/bin/pip" install --quiet')
    expected = quiet.replace(".venv/bin/python", '"$venv/bin/python"').replace("venv .venv", 'venv "$venv"')
    *_, last = (ROOT / ".ci" / "run").read_text().splitlines()
    assert last == expected + ' -m "slow or not slow"', "the README's command, and the slow tests too"


def test_makefile_installs_the_same_torch_as_the_readme() -> None:
    (version,) = set(re.findall(r"torch==([\d.]+)", README))
    assert f"TORCH = torch=={version}" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("page", [README, *((ROOT / "docs" / p).read_text() for p in ("quantization.md", "report.md"))])
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!http|#)([^)#]+)", page):
        assert (ROOT / target).exists() or (ROOT / "docs" / target).exists(), target


def test_every_command_is_named() -> None:
    for command in COMMANDS:
        assert f"edgevit {command}" in README, command
