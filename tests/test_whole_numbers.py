"""A whole number that a user writes is digits from 0 to 9, whichever option takes it."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from edgevit.cli import main
from edgevit.cli.options import low_and_high, numbers, size
from edgevit.errors import OptionError
from edgevit.runtime.backends.threads import threads_of_text
from edgevit.runtime.events.counts import parse_count
from edgevit.runtime.events.labels import parse_stable, read_thresholds
from edgevit.runtime.images.regions import parse_grid
from edgevit.runtime.sources.grammar import parse_source
from edgevit.runtime.sources.raw import parse_raw
from edgevit.runtime.sources.sampling import parse_duration
from edgevit.runtime.stream.options import parse_capture
from edgevit.schema import MOST_DIGITS, is_whole
from edgevit.training.schedule import parse_sizes


@pytest.mark.parametrize("text", ["0", "4", "0042", "9" * MOST_DIGITS])
def test_whole_number_is_digits_from_0_to_9(text: str) -> None:
    assert is_whole(text)


@pytest.mark.parametrize("text", ["", "\u0664", "\u0967\u0968", "\uff14", "\u00b2", "4 ", "-4", "4_0", "9" * 21])
def test_digits_of_other_scripts_signs_and_blanks_are_no_whole_number(text: str) -> None:
    assert not is_whole(text)


FOUR = "\u0664"
"""Four as Arabic writes it, which `int` reads."""


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (threads_of_text, FOUR),
        (size, FOUR),
        (size, f"224x{FOUR}"),
        (size, "9" * 5000),
        (parse_sizes, f"{FOUR}*20"),
        (parse_stable, f"{FOUR}/5"),
        (parse_grid, f"{FOUR}x2"),
        (parse_capture, f"{FOUR}x480"),
        (parse_source, f"camera:{FOUR}"),
        (parse_count, f"hen>={FOUR}"),
        (lambda text: parse_duration(text, "--every"), f"{FOUR}s"),
        (parse_raw, f"{FOUR}x4"),
        (lambda text: numbers(text, "--mean"), f"0.{FOUR},0.4,0.4"),
        (low_and_high, "0,40_95"),
        (read_thresholds, f"hen=0.{FOUR}"),
        (parse_sizes, "96*1_0"),
    ],
)
def test_number_of_an_option_is_digits_from_0_to_9(read: Callable[[str], Any], text: str) -> None:
    with pytest.raises(OptionError, match="expected"):
        read(text)


@pytest.mark.parametrize(
    "typed",
    [
        ["run", "m.onnx", "a.jpg", "--top-k", "1_0"],
        ["run", "m.onnx", "a.jpg", "--hysteresis", f"0.{FOUR}"],
        ["validate", "m.onnx", "--data", "photos", f"--limit={FOUR}"],
        ["train", "sbcformer_xs", "--data", "photos", "--epochs", "1_0"],
        ["selftest", "m.onnx", "--threads", "\uff14"],
    ],
    ids=lambda typed: typed[0],
)
def test_number_of_the_command_line_is_digits_from_0_to_9(capsys: pytest.CaptureFixture[str], typed: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(typed)
    assert re.fullmatch(r"edgevit: --\S+ is '\S+', expected a number of digits from 0 to 9\n", capsys.readouterr().err)
