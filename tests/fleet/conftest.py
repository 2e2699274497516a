"""A site with a model in it, two more models, and a board that trusts the site."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, Targets

from edgevit.fleet.create import create_site
from edgevit.fleet.publish import publish
from edgevit.fleet.site import open_site
from tests.plain_board import PlainBoard

MakeModel = Callable[..., Path]
Publish = Callable[..., None]


@pytest.fixture
def models(make_model: MakeModel) -> dict[str, Path]:
    """Three models of different lengths: a, bb and ccc."""
    return {name: make_model(f"{name}.onnx", model=f"tiny-{name}") for name in ("a", "bb", "ccc")}


@pytest.fixture
def bytes_of(models: dict[str, Path]) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in models.items()}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a site without models."""
    create_site(tmp_path / "farm")
    return tmp_path / "farm"


@pytest.fixture
def give(site: Path, models: dict[str, Path]) -> Publish:
    """Publish one of the models as CHANNEL/farm.onnx."""

    def give(name: str, channel: str = "stable", percent: int = 100) -> None:
        with open_site(site) as opened:
            publish(opened, models[name], "farm.onnx", channel, percent)

    return give


@pytest.fixture
def board(site: Path, tmp_path: Path) -> PlainBoard:
    return PlainBoard(tmp_path / "board", site / "metadata" / "1.root.json")


def expiries(site: Path) -> dict[str, datetime]:
    """Return when the newest of each document expires, by its name."""
    newest: dict[str, tuple[int, datetime]] = {}
    for path in (site / "metadata").glob("*.json"):
        signed = Metadata[Targets].from_bytes(path.read_bytes()).signed
        name = path.name.removesuffix(".json").rpartition(".")[2]
        newest[name] = max(newest.get(name, (0, signed.expires)), (signed.version, signed.expires))
    return {name: expires for name, (_, expires) in newest.items()}


def described(content: bytes, version: int) -> dict[str, int | str]:
    """Return how a site names a model that was released."""
    return {"sha256": hashlib.sha256(content).hexdigest(), "version": version, "length": len(content)}
