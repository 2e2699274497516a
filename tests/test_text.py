"""Whatever a file name, a label or a server's answer holds, a printed line is one harmless line."""

import os
import unicodedata

import pytest

from edgevit.text import printable, printable_lines


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


def test_own_line_ends_stay() -> None:
    assert printable_lines("a\tb\nc\x1b") == "a b\nc "
