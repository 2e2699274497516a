"""A site, a web server that hands it out, and boards that follow it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgevit.runtime.update import install
from tests.made_signed_site import MadeSite
from tests.made_static_web import StaticWeb, serving
from tests.made_update_board import MadeBoard, Make, make_board


@pytest.fixture
def site(tmp_path: Path) -> MadeSite:
    return MadeSite(tmp_path / "site")


@pytest.fixture
def web(site: MadeSite) -> Iterator[StaticWeb]:
    with serving(site.folder) as made:
        yield made


@pytest.fixture
def make(tmp_path: Path, site: MadeSite, web: StaticWeb) -> Make:
    """Return what enrols boards with the site."""
    number = 0

    def one(**options: object) -> MadeBoard:
        nonlocal number
        number += 1
        given = {"site": web.url, "root": site.first_root} | options
        return make_board(tmp_path / f"board{number}", **given)  # type: ignore[arg-type]

    return one


@pytest.fixture
def any_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let any bytes pass for a model: what is tested here is not the self-test, which takes seconds."""
    monkeypatch.setattr(install, "prove", lambda path, bounds: None)
