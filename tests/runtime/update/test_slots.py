"""Two files on the disk, each whole at any moment."""

import os
import shutil
from pathlib import Path

import pytest

from edgevit.runtime.update.slots import Slots, digest


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    (tmp_path / "farm.tflite").write_bytes(b"old")
    (tmp_path / "farm.previous.tflite").write_bytes(b"older")
    (tmp_path / "new").write_bytes(b"new")
    return Slots(tmp_path / "farm.tflite")


def contents(slots: Slots) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in slots.model.parent.iterdir()}


def test_swap_keeps_the_suffix_and_the_one_before(slots: Slots) -> None:
    slots.swap(slots.model.with_name("new"), keep=True)
    assert contents(slots) == {"farm.tflite": b"new", "farm.previous.tflite": b"old"}
    slots.swap_back()
    assert contents(slots) == {"farm.tflite": b"old"}


def test_swap_may_drop_what_is_not_worth_keeping(slots: Slots) -> None:
    slots.swap(slots.model.with_name("new"), keep=False)
    assert contents(slots) == {"farm.tflite": b"new", "farm.previous.tflite": b"older"}


def test_disk_without_links_takes_a_copy(slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError("no links here")

    true, room = shutil.copyfile, list[bool]()

    def copy(old: Path, new: Path) -> Path:
        room.append(not slots.previous.exists())
        return true(old, new)

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(shutil, "copyfile", copy)
    slots.swap(slots.model.with_name("new"), keep=True)
    assert contents(slots) == {"farm.tflite": b"new", "farm.previous.tflite": b"old"}
    # a small disk has room for two models and the one that comes
    assert room == [True]


def test_swap_that_is_repeated_after_a_kill_changes_nothing_more(slots: Slots) -> None:
    """The one before is a second name of the one that runs, until the new one takes its place."""
    slots.previous.unlink()
    os.link(slots.model, slots.previous)
    slots.swap(slots.model.with_name("new"), keep=True)
    assert contents(slots) == {"farm.tflite": b"new", "farm.previous.tflite": b"old"}


def test_swap_that_was_killed_between_its_names_is_made_good(slots: Slots) -> None:
    os.link(slots.model, slots.model.with_name(".part-previous.tflite"))
    slots.swap(slots.model.with_name("new"), keep=True)
    assert contents(slots) == {"farm.tflite": b"new", "farm.previous.tflite": b"old"}


def test_tidying_leaves_models_and_the_download_in_hand(slots: Slots) -> None:
    sha256 = "0123456789abcdef" * 4
    slots.next(sha256).write_bytes(b"half")
    slots.next("f" * 64).write_bytes(b"left")
    (slots.model.parent / ".part-0a1b.tflite").write_bytes(b"left")
    slots.tidy(sha256)
    assert set(contents(slots)) == {"farm.tflite", "farm.previous.tflite", "new", "farm.next-0123456789abcdef.tflite"}
    slots.tidy()
    assert set(contents(slots)) == {"farm.tflite", "farm.previous.tflite", "new"}


@pytest.mark.parametrize("name", ["farm.next-week.tflite", "farm.next-2027.tflite", "farm.next-generation.onnx"])
def test_tidying_leaves_models_that_are_somebodys_own(slots: Slots, name: str) -> None:
    own = slots.model.with_name(name)
    own.write_bytes(b"mine")
    slots.tidy()
    assert own.read_bytes() == b"mine"


def test_digest_of_nothing_is_none(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    # the example of FIPS 180-2
    assert digest(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest(tmp_path / "nothing") is None
