"""The README says what is there: its commands, its links, its documents."""

import re
from pathlib import Path

import pytest

from edgevit.cli import COMMANDS, main
from tests.docs.blocks import PAGES
from tests.places import DOCS, ROOT

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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", page.read_text()):
        there = page.parent / target if target else page
        assert there.exists(), target
        if anchor and there.suffix == ".md":
            titles = re.findall(r"^#+ (.*)", there.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
            assert anchor in anchors, f"{target}#{anchor}"


def test_every_document_is_in_the_table() -> None:
    table = README.partition("## Documents")[2]
    assert [page.name for page in DOCS.glob("*.md") if f"(docs/{page.name})" not in table] == []


def test_picture_is_small_and_draws_itself() -> None:
    """No photograph of anybody's, nothing from the network."""
    picture = (DOCS / "page.svg").read_text()
    assert len(picture) < 8_000
    assert not re.search(r"<image|href|<script|url\((?!#)", picture)


def test_answers_to_habits_are_those_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    rows = re.findall(
        r"^\| `edgevit (.*?)` \| `(edgevit .*?)` \|$", (DOCS / "coming-from.md").read_text(), re.MULTILINE
    )
    assert len(rows) >= 6
    for typed, answer in rows:
        with pytest.raises(SystemExit, match="2"):
            main(typed.split())
        assert answer in capsys.readouterr().err


def test_every_command_is_named() -> None:
    for command in COMMANDS:
        assert f"edgevit {command}" in README, command
