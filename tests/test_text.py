"""Whatever a file name, a label or a server's answer holds, a printed line is one harmless line."""

import os
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest

from edgevit.cli.options import size
from edgevit.errors import OptionError
from edgevit.runtime.backends.threads import threads_of_text
from edgevit.runtime.events.counts import parse_count
from edgevit.runtime.events.labels import parse_stable
from edgevit.runtime.images.regions import parse_grid
from edgevit.runtime.sources.grammar import parse_source
from edgevit.runtime.sources.raw import parse_raw
from edgevit.runtime.sources.sampling import parse_duration
from edgevit.runtime.stream.options import parse_capture
from edgevit.text import MOST_DIGITS, decode_text, is_whole, printable, printable_lines
from edgevit.training.schedule import parse_sizes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Fährte é 鳥 🐦", "Fährte é 鳥 🐦"),
        ("red\x1b[31m\x9b2J", "red [31m 2J"),
        ("one\ntwo\r\x0bthree\u2028four", "one two  three four"),
        ("a\u202etxt.exe", "a txt.exe"),
        ("half \ud83d of a pair", "half \ufffd of a pair"),
    ],
)
def test_one_harmless_line(text: str, expected: str) -> None:
    assert printable(text) == expected


def test_bytes_of_a_file_name_that_are_not_utf8_can_be_printed() -> None:
    assert printable(os.fsdecode(b"F\xe4hrte.jpg")) == "F\ufffdhrte.jpg"


def test_no_character_of_unicode_moves_the_cursor_or_cannot_be_encoded() -> None:
    text = printable("".join(map(chr, range(0x110000))))
    assert not {"Cc", "Cs", "Zl", "Zp"} & set(map(unicodedata.category, text))
    text.encode("utf-8")


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
    ],
)
def test_number_of_an_option_is_digits_from_0_to_9(read: Callable[[str], Any], text: str) -> None:
    with pytest.raises(OptionError, match="expected"):
        read(text)


def test_own_line_ends_stay() -> None:
    assert printable_lines("a\tb\nc\x1b") == "a b\nc "


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_text_of_a_user_is_utf8_with_or_without_windows_mark(encoding: str) -> None:
    assert decode_text("Kühe\n".encode(encoding)) == "Kühe\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("hen\n".encode("utf-16"), "UTF-16, not UTF-8 text; save it as UTF-8"),
        ("hen\n".encode("utf-16-le"), "UTF-16, not UTF-8 text"),
        ("hen\n".encode("utf-16-be"), "UTF-16, not UTF-8 text"),
        ("\u0434\u0432\u0430\nhen\n".encode("utf-16-le"), "UTF-16, not UTF-8 text"),
        (bytes.fromhex("ffd8ffe000104a46494600010100000100010000"), r"not UTF-8 text \(byte 0 is 0xff\)"),
        (b"PK\3\4\n\0\0\0\0", r"not UTF-8 text \(byte 5 is 0x00\)"),
        ("Kühe".encode("latin-1"), r"not UTF-8 text \(byte 1 is 0xfc\); save it as UTF-8"),
    ],
)
def test_text_in_another_encoding_is_told(content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        decode_text(content)
