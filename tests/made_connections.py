"""Made connections of live sources for tests, which do what they are told."""

import queue
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from edgevit.runtime.events.event import Event
from edgevit.runtime.sources.connections import LivePicture
from edgevit.runtime.sources.frames import Frame
from edgevit.runtime.sources.grammar import parse_source
from edgevit.runtime.sources.live import Live
from tests.waiting import GENEROUS_S

CAMERA = parse_source("camera:0")
MakeLive = Callable[..., Live]
"""The fixture `make_live`: it takes a Script, and keywords for the rest."""
LOOK_S = 0.2
"""How often to look whether a reader still lives, in seconds."""


@dataclass
class Script:
    """A connection that does what the test tells it, step by step, and says when each step is done."""

    on_demand: bool = False
    steps: "queue.Queue[object]" = field(default_factory=queue.Queue)
    asked: list[tuple[object, object]] = field(default_factory=list)
    """Source and options of each attempt to connect."""
    opened: int = 0
    closed: int = 0
    reader: threading.Thread | None = None
    """Who connected last, and reads."""

    def connect(self, source: object, source_options: object) -> "Script":
        self.asked.append((source, source_options))
        self.opened += 1
        self.reader = threading.current_thread()
        return self

    def read(self, timeout_s: float) -> list[LivePicture] | None:
        step = self.steps.get(timeout=GENEROUS_S)
        self.steps.task_done()
        if isinstance(step, Exception):
            raise step
        assert step is None or isinstance(step, list)
        return step

    def interrupt(self) -> None:
        self.steps.put(None)

    def close(self) -> None:
        self.closed += 1

    def do(self, *steps: object) -> None:
        """Put steps, and one empty read behind them; return when all but that one are done for certain.

        Raises:
            AssertionError: the reader has ended before, or it took too long.
        """
        for step in (*steps, []):
            self.steps.put(step)
        until_s = time.monotonic() + GENEROUS_S
        with self.steps.all_tasks_done:
            while left := self.steps.unfinished_tasks:
                ended = self.reader is not None and not self.reader.is_alive()
                assert not ended, f"the reader has ended; {left} of {len(steps) + 1} steps are left"
                assert time.monotonic() < until_s, f"{left} of {len(steps) + 1} steps are left after {GENEROUS_S:g} s"
                self.steps.all_tasks_done.wait(LOOK_S)


class Draw(random.Random):
    """Always draws the shortest wait."""

    def random(self) -> float:
        return 1.0


def frame(item: Frame | Event) -> Frame:
    assert isinstance(item, Frame)
    return item


def event(item: Frame | Event, kind: str) -> Event:
    assert isinstance(item, Event)
    assert item.kind == kind
    return item
