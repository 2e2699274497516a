"""Several sources as one: files one after the other, live ones at the same time, asked in turn."""

import contextlib
import functools
import queue
import random
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

from edgevit.errors import EdgevitError, ImageError
from edgevit.runtime.sources.frames import Clock
from edgevit.runtime.sources.grammar import Source
from edgevit.runtime.sources.live import Live
from edgevit.runtime.sources.opening import CONNECT, Item, open_items, open_live
from edgevit.runtime.sources.options import SourceOptions
from edgevit.runtime.sources.stop import Stop


class LiveSet:
    """Live sources that one thread asks in turn, so that a quick one does not keep a slow one waiting."""

    def __init__(self, opened: Sequence[Callable[["queue.SimpleQueue[None]"], Live]]) -> None:
        """Open all; each is given the bell that all share."""
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._all = [start(self._bell) for start in opened]
        self._running = list(self._all)

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        """Wait for a frame or event of any source.

        One that can never be read, or is lost and not waited for, is an error among the items while others go on.

        Raises:
            StopIteration: all have ended.
            EdgevitError: what is wrong with the last one.
        """
        while True:
            # before they are polled, as a single one does
            pauses_s = [pause_s for live in self._running if (pause_s := live.pause_s()) is not None]
            for live in tuple(self._running):
                try:
                    found = live.poll()
                except StopIteration:
                    self._running.remove(live)
                    continue
                except EdgevitError as error:
                    self._running.remove(live)
                    if not self._running:
                        raise
                    return error
                if found is not None:
                    # the others come first the next time
                    self._running.remove(live)
                    self._running.append(live)
                    return found
            if not self._running:
                raise StopIteration
            with contextlib.suppress(queue.Empty):
                self._bell.get(timeout=min(pauses_s, default=None))

    def close(self) -> None:
        """End the threads of all; return when they are gone."""
        # at the same time: each may take a while
        for live in self._all:
            live.interrupt()
        for live in self._all:
            live.close()


def one_after_the_other(opened: Sequence[Callable[[], Iterable[Item]]]) -> Generator[Item, None, None]:
    """Yield the items of finite sources in order; one of which nothing is there is an error among the items."""
    for start in opened:
        try:
            yield from start()
        except ImageError as error:
            yield error


def open_all(
    sources: Sequence[Source], source_options: SourceOptions, stop: Stop, clock: Clock, draw: random.Random
) -> Live | LiveSet | Generator[Item, None, None]:
    """Open sources that are all finite or all live; the caller closes what is returned.

    Raises:
        ImageError: of a single one, nothing is there (now, or at the first item).
    """
    if len(sources) == 1:
        return open_items(sources[0], source_options, stop, clock, draw)
    if sources[0].kind in CONNECT:
        return LiveSet([functools.partial(open_live, each, source_options, stop, clock, draw) for each in sources])
    return one_after_the_other(
        [functools.partial(open_items, each, source_options, stop, clock, draw) for each in sources]
    )
