"""Made connections of live sources for tests, which do what they are told."""

import queue
import random
from dataclasses import dataclass, field

from edgevit.runtime.sources.connections import LivePicture


@dataclass
class Script:
    """A connection that does what the test tells it, step by step, and says when each step is done."""

    on_demand: bool = False
    steps: "queue.Queue[object]" = field(default_factory=queue.Queue)
    asked: list[tuple[object, object]] = field(default_factory=list)
    """Source and options of each attempt to connect."""
    opened: int = 0
    closed: int = 0

    def connect(self, source: object, source_options: object) -> "Script":
        self.asked.append((source, source_options))
        self.opened += 1
        return self

    def read(self, timeout_s: float) -> list[LivePicture] | None:
        step = self.steps.get(timeout=30)
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
        """Put steps, and one empty read behind them; return when all but that one are done for certain."""
        for step in (*steps, []):
            self.steps.put(step)
        self.steps.join()


class Draw(random.Random):
    """Always draws the shortest wait."""

    def random(self) -> float:
        return 1.0
