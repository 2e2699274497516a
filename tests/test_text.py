"""Whatever a file name, a label or a server's answer holds, a printed line is one harmless line."""

import os
import unicodedata

import pytest

from edgevit.text import decode_text, printable, printable_lines


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
