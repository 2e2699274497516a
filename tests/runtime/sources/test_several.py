"""Several sources as one: live ones are asked in turn, and one that is lost does not stop the others."""

import functools
import queue
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgevit.errors import ImageError, OptionError, SourceLostError
from edgevit.runtime.events.event import Event
from edgevit.runtime.moment import Moment
from edgevit.runtime.sources.frames import Clock, Frame
from edgevit.runtime.sources.grammar import Source
from edgevit.runtime.sources.live import Live
from edgevit.runtime.sources.opening import Item
from edgevit.runtime.sources.options import SourceOptions
from edgevit.runtime.sources.sampling import SamplingInterval
from edgevit.runtime.sources.several import LiveSet, one_after_the_other
from edgevit.runtime.sources.stop import Stop
from tests.made_connections import Draw, Script


class Cameras:
    """Live sources that do what the test tells them."""

    def __init__(self, *names: str, every_s: float | None = None, wait: bool = True) -> None:
        self.scripts = {name: Script() for name in names}
        self.stop = Stop()
        options = SourceOptions(pace=SamplingInterval(every_s), wait=wait)
        self.set = LiveSet([functools.partial(self._open, name, options) for name in names])

    def _open(self, name: str, options: SourceOptions, bell: "queue.SimpleQueue[None]") -> Live:
        source = Source("camera", name, name)
        return Live(source, self.scripts[name].connect, options, self.stop, Clock(), Draw(), bell)


@pytest.fixture
def opened() -> Iterator[list[Cameras]]:
    """What the test opens, and is closed after it."""
    sets: list[Cameras] = []
    yield sets
    for cameras in sets:
        cameras.set.close()


def shown(item: Item) -> tuple[str, object]:
    assert isinstance(item, Frame)
    return item.moment.source, item.picture


def test_each_is_asked_in_turn_however_quick_the_others_are(opened: list[Cameras]) -> None:
    cameras = Cameras("a", "b")
    opened.append(cameras)
    cameras.scripts["a"].do([b"a1"])
    cameras.scripts["b"].do([b"b1"])
    assert shown(next(cameras.set)) == ("a", b"a1")
    # a has a newer picture already, but b has waited longer
    cameras.scripts["a"].do([b"a2"])
    assert shown(next(cameras.set)) == ("b", b"b1")
    assert shown(next(cameras.set)) == ("a", b"a2")


def test_picture_of_any_source_ends_the_wait(opened: list[Cameras]) -> None:
    cameras = Cameras("a", "b", "c")
    opened.append(cameras)
    cameras.scripts["c"].steps.put([b"c1"])
    assert shown(next(cameras.set)) == ("c", b"c1")


def test_one_that_is_lost_does_not_stop_the_others(opened: list[Cameras]) -> None:
    cameras = Cameras("a", "b")
    opened.append(cameras)
    cameras.scripts["a"].steps.put(OSError(5, "gone"))
    lost = next(cameras.set)
    assert isinstance(lost, Event)
    assert (lost.kind, lost.moment.source) == ("source_lost", "a")
    cameras.scripts["b"].do([b"b1"])
    assert shown(next(cameras.set)) == ("b", b"b1")


def test_loss_that_is_not_waited_for_is_an_error_among_the_items_until_none_is_left(opened: list[Cameras]) -> None:
    cameras = Cameras("a", "b", wait=False)
    opened.append(cameras)
    cameras.scripts["a"].steps.put(OSError(5, "gone"))
    assert isinstance(next(cameras.set), Event)
    lost = next(cameras.set)
    assert isinstance(lost, SourceLostError)
    assert str(lost) == "a is lost: gone"
    cameras.scripts["b"].do([b"b1"])
    assert shown(next(cameras.set)) == ("b", b"b1")
    cameras.scripts["b"].steps.put(OSError(5, "gone too"))
    assert isinstance(next(cameras.set), Event)
    with pytest.raises(SourceLostError, match="b is lost: gone too"):
        next(cameras.set)


def test_stop_ends_all(opened: list[Cameras]) -> None:
    cameras = Cameras("a", "b")
    opened.append(cameras)
    cameras.stop.ask()
    assert list(cameras.set) == []


def test_rhythm_is_each_sources_own(opened: list[Cameras]) -> None:
    """Two cameras with one frame an hour: each gives its first at once, and no second."""
    cameras = Cameras("a", "b", every_s=3600)
    opened.append(cameras)
    for name in ("a", "b"):
        cameras.scripts[name].do([name.encode()])
    assert {shown(next(cameras.set)) for _ in range(2)} == {("a", b"a"), ("b", b"b")}
    cameras.scripts["a"].do([b"a2"])
    assert all(live.poll() is None for live in cameras.set._running)


def test_files_come_in_order_and_one_that_is_missing_is_an_error_among_them() -> None:
    def frames(name: str) -> Iterator[Item]:
        yield Frame(Path(name), Moment(name, 0, 0, 0))

    def missing() -> Iterator[Item]:
        raise ImageError("b.jpg does not exist")
        yield

    def wrong() -> Iterator[Item]:
        raise OptionError("an image has no time")
        yield

    a, b, c = one_after_the_other([functools.partial(frames, "a"), missing, functools.partial(frames, "c")])
    assert isinstance(a, Frame)
    assert str(b) == "b.jpg does not exist"
    assert isinstance(c, Frame)
    with pytest.raises(OptionError):
        list(one_after_the_other([wrong, functools.partial(frames, "c")]))
