"""A live source with a made connection, for several files of tests."""

from collections.abc import Iterator

import pytest

from edgevit.runtime.backoff import Backoff
from edgevit.runtime.sources.frames import Clock
from edgevit.runtime.sources.live import Live
from edgevit.runtime.sources.options import SourceOptions
from edgevit.runtime.sources.stop import Stop
from tests.made_connections import CAMERA, Draw, MakeLive, Script


@pytest.fixture
def make_live() -> Iterator[MakeLive]:
    opened: list[Live] = []

    def make(script: Script, stop: Stop | None = None, clock: Clock | None = None, **source_options: object) -> Live:
        preprocessing = SourceOptions(**source_options)  # type: ignore[arg-type]
        opened.append(Live(CAMERA, script.connect, preprocessing, stop or Stop(), clock or Clock(), Draw()))
        return opened[-1]

    yield make
    for live in opened:
        live.close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """After how many failures in a row each pause was; none of them is waited for."""
    found: list[int] = []

    class Noting(Backoff):
        def wait_s(self, failures: int, chance: float) -> float:
            found.append(failures)
            return 0.0

    monkeypatch.setattr("edgevit.runtime.sources.live.BACKOFF", Noting())
    return found
