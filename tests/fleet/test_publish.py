"""What boards that trust a site's first root take from it after `edgevit fleet` has changed it."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from edgevit.fleet.create import create_site
from edgevit.fleet.publish import publish
from edgevit.fleet.site import open_site
from tests.made_site import Board

MakeModel = Callable[..., Path]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    create_site(tmp_path / "farm")
    return tmp_path / "farm"


@pytest.fixture
def board(site: Path, tmp_path: Path) -> Board:
    return Board(tmp_path / "board", site / "metadata" / "1.root.json")


def test_a_board_takes_the_model_that_was_published(site: Path, board: Board, make_model: MakeModel) -> None:
    model = make_model()
    with open_site(site) as opened:
        publish(opened, model, "farm.onnx", "stable")
    target, content = board.look(site, "stable/farm.onnx")
    assert target is not None
    assert content == model.read_bytes()
    assert target.custom == {"version": 1, "percent": 100, "earlier": []}


def test_a_share_of_the_boards_is_told_what_the_others_keep(site: Path, board: Board, make_model: MakeModel) -> None:
    old, new = make_model("old.onnx"), make_model("new.onnx", model="newer")
    for model, percent in ((old, 100), (new, 10)):
        with open_site(site) as opened:
            publish(opened, model, "farm.onnx", "stable", percent)
    target, content = board.look(site, "stable/farm.onnx")
    assert target is not None
    assert content == new.read_bytes()
    kept = {
        "sha256": hashlib.sha256(old.read_bytes()).hexdigest(),
        "version": 1,
        "length": len(old.read_bytes()),
    }
    assert target.custom == {"version": 2, "percent": 10, "before": kept, "earlier": [kept]}
    assert (site / "targets" / "stable" / f"{kept['sha256']}.farm.onnx").read_bytes() == old.read_bytes()
