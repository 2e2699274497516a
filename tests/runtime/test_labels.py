import os
from pathlib import Path

import pytest

from edgevit.errors import OptionError
from edgevit.runtime.labels import numbered_labels, read_labels


def test_classes_without_names_are_numbered() -> None:
    assert numbered_labels(2) == ("class 0", "class 1")


@pytest.mark.parametrize(
    "text",
    [
        "red\ngreen\ndark blue\n",
        "\ufeffred\r\ngreen\r\ndark blue\r\n\r\n",
        '["red", "green", "dark blue"]',
        '{"2": "dark blue", "0": "red", "1": "green"}',
    ],
)
def test_text_and_json_give_the_same_names(tmp_path: Path, text: str) -> None:
    path = tmp_path / "labels"
    path.write_bytes(text.encode())
    assert read_labels(path) == ("red", "green", "dark blue")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty; expected one class name a line"),
        (b"[]", "is empty"),
        (b"red\n\nblue", "has no name in line 2"),
        (b'{"0": "red", "2": "blue"}', "is JSON of another form"),
        (b'{"red": 0}', "is JSON of another form"),
        (b'["red", 1]', "is JSON of another form"),
        (b'["red", ""]', "has '' for class 1, expected a name on one line"),
        (b'{"0": " ", "1": "blue"}', "has ' ' for class 0, expected a name on one line"),
        (b'["red", "blue\\nred"]', r"has 'blue\\nred' for class 1, expected a name on one line"),
        (b'["red"', "is no JSON that can be read: it ends amid a value, after 6 characters; copy it again"),
        (b'{"0": "red", "0": "blue"}', "is no JSON that can be read: the key '0' stands twice in one object"),
        ("red\nblue\n".encode("utf-16"), r"labels\.txt is UTF-16, not UTF-8 text; save it as UTF-8"),
        (b"red\nbl\xfce\n", r"labels\.txt is not UTF-8 text \(byte 6 is 0xfc\)"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(content)
    with pytest.raises(OptionError, match=reason):
        read_labels(path)


def test_numbers_in_front_of_every_name_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("0  background\n1  tench, Tinca tinca\n")
    assert read_labels(path) == ("background", "tench, Tinca tinca")
    path.write_text("0 degrees\n90 degrees\n")
    assert read_labels(path) == ("0 degrees", "90 degrees")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"none\.txt does not exist"):
        read_labels(tmp_path / "none.txt")
    with pytest.raises(OptionError, match="cannot be read"):
        read_labels(tmp_path)


def test_file_without_measure_is_refused(tmp_path: Path) -> None:
    """A sparse file takes no room; nothing ever comes out of the pipe."""
    with (tmp_path / "long.txt").open("wb") as file:
        file.truncate((1 << 24) + 1)
    with pytest.raises(OptionError, match=r"long\.txt cannot be read: it has more than 16777216 bytes; expected one"):
        read_labels(tmp_path / "long.txt")
    os.mkfifo(tmp_path / "pipe.txt")
    for path in (tmp_path / "pipe.txt", "/dev/zero"):
        with pytest.raises(OptionError, match="cannot be read: it is a pipe or a device, not a file"):
            read_labels(path)
