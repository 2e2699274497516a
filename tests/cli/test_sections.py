"""Help is grouped, whole, and fits a terminal of 80 columns."""

import click
import pytest

from edgevit.cli import COMMANDS, main
from edgevit.cli.sections import OTHERS, Command, section


def help_of(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *command: str) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit, match="0"):
        main([*command, "--help"])
    return capsys.readouterr().out


def test_options_stand_under_the_heading_above_them() -> None:
    @click.command("draw", cls=Command)
    @section("Colours")
    @click.option("--red", help="How red it is.")
    @click.option("--blue", help="How blue it is.")
    @section("Sizes")
    @click.option("--width", help="How wide it is.")
    def draw(**given: str) -> None:
        """Draw something."""

    sections = draw.sections(click.Context(draw)) if isinstance(draw, Command) else {}
    names = {title: [option.opts[0] for option in options] for title, options in sections.items()}
    assert names == {"Colours": ["--red", "--blue"], "Sizes": ["--width"], OTHERS: ["--help"]}


def test_a_command_without_sections_has_options() -> None:
    @click.command("draw", cls=Command)
    @click.option("--red", help="How red it is.")
    def draw(**given: str) -> None:
        """Draw something. Then frame it."""

    assert isinstance(draw, Command)
    assert list(draw.sections(click.Context(draw))) == ["Options"]
    assert draw.get_short_help_str(limit=5) == "Draw something."


@pytest.mark.parametrize(
    ("command", "headings"),
    [
        ("run", ["Answers:", "Events:", "Frames:", "Cameras and streams:", "Page:", "Examples:"]),
        ("export", ["Model:", "File:", "int8:", "Input and graph:", "Output:", "Examples:"]),
        ("train", ["Run:", "Optimization:", "Images:", "Machine:", "Examples:"]),
        ("validate", ["Pictures:", "Answers:", "Model:", "Examples:"]),
    ],
)
def test_long_help_is_grouped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str, headings: list[str]
) -> None:
    lines = help_of(capsys, monkeypatch, command).splitlines()
    places = [lines.index(heading) for heading in headings]
    assert places == sorted(places)
    assert lines.count("Options:") == 0


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS), ("service", "print"), ("service", "install")])
def test_help_fits_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    wide = [line for line in help_of(capsys, monkeypatch, *command).splitlines() if len(line) > 80]
    assert wide == []


@pytest.mark.parametrize("command", [(), ("service",)])
def test_summaries_are_not_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    text = help_of(capsys, monkeypatch, *command).split("Commands:")[1].split("Examples:")[0]
    summaries = [" ".join(part.split()) for part in text.split("\n  ") if part.strip()]
    assert "..." not in text.replace("SOURCE ...`", "SOURCE`")
    assert len(summaries) >= 2
    assert summaries[-1].endswith(".")
