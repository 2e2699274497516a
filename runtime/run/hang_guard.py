"""Ends a run that hangs: a model that never answers, or a source that does not let go when the run is to end."""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from edgevit.artifact.manifest import Preprocess
from edgevit.runtime.images.preprocess import Speed
from edgevit.runtime.results import Result
from edgevit.runtime.sources.stop import Stop
from edgevit.runtime.stream.loop import Predictor

ANSWER_S = 300.0
"""How long a model may take for one picture, and to be opened, where no service manager says less."""
STOP_S = 3.0
"""How long a run that was asked to end may take to leave its source, in seconds; more where its model is that slow."""
OPEN_S = 25.0
"""How long it may take where its model is being opened, in seconds: a board reads its libraries from a card then."""
END_S = 25.0
"""How long it may take then for flushing, delivering and closing."""
LOOK_S = 0.5
"""How often to look."""

log = logging.getLogger(__name__)


class HangGuard:
    """A thread that looks on: it needs nothing of the thread that hangs, which may be in C code for ever."""

    def __init__(
        self,
        stop: Stop,
        on_hang: Callable[[str], None],
        watchdog_s: float | None = None,
        stop_s: float = STOP_S,
    ) -> None:
        """Start to look on.

        Args:
            stop: after it is asked the run must leave its source within `stop_s`.
            on_hang: is told, once and in the guard's thread, what hangs.
            watchdog_s: how long a service manager waits for results, in seconds; None if there is none.
            stop_s: see `stop`.
        """
        self._stop, self._on_hang, self._watchdog_s, self._stop_s = stop, on_hang, watchdog_s, stop_s
        self._work: tuple[str, float, float, float] | None = None
        """What is being done, since when, how long it may take, and how long after the run was asked to end."""
        self._longest_s = 0.0
        self._ending_s: float | None = None
        self._left_s: float | None = None
        self._over: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="edgevit guard", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def working(self, what: str, pictures: int = 1, *, stop_s: float = 0.0) -> Iterator[None]:
        """Note that something may not take longer than the limit for so many pictures; `what` hangs if it does.

        A run that is asked to end meanwhile may take `stop_s` more, if that is longer than what the guard allows.
        """
        begun_s = time.monotonic()
        self._work = (what, begun_s, answer_limit_s(self._watchdog_s, pictures), stop_s)
        try:
            yield
        finally:
            self._work = None
            self._longest_s = max(self._longest_s, time.monotonic() - begun_s)

    def ending(self) -> None:
        """Note that the run has begun to end."""
        self._ending_s = self._ending_s or time.monotonic()

    def left(self) -> None:
        """Note that the source was left: what follows is flushing."""
        self._left_s = time.monotonic()

    def close(self) -> None:
        """End the thread."""
        self._over.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            with contextlib.suppress(queue.Empty):
                return self._over.get(timeout=LOOK_S)
            if self._stop.asked:
                self.ending()
            if (text := self._trouble(time.monotonic())) is not None:
                return self._on_hang(text)

    def _trouble(self, now_s: float) -> str | None:
        work = self._work
        if work is not None and now_s - work[1] > work[2]:
            return f"{work[0]} for {now_s - work[1]:.0f} s; ending the run"
        if self._left_s is not None:
            late = now_s - self._left_s > END_S
            return f"the run cannot finish: it was not done after {END_S:.0f} s; ending it" if late else None
        # a slow model may finish what it has in hand
        allowed_s = max(self._stop_s, 2 * self._longest_s, 0.0 if work is None else work[3])
        if self._ending_s is None or now_s - self._ending_s < allowed_s:
            return None
        why = "its source does not let go" if work is None else f"{work[0]} for {now_s - work[1]:.0f} s"
        return f"the run was asked to end, but {why}; ending it"


class GuardedPredictor:
    """A predictor whose calls a guard looks on."""

    def __init__(self, predictor: Predictor, guard: HangGuard) -> None:
        self._predictor, self._guard = predictor, guard

    @property
    def task(self) -> str:
        return self._predictor.task

    @property
    def preprocess(self) -> Preprocess:
        return self._predictor.preprocess

    @property
    def whole_pictures(self) -> bool:
        return self._predictor.whole_pictures

    def __call__(self, source: list[Any], *, speed: Speed | None = None) -> list[Result]:
        with self._guard.working("the model has not answered", len(source)):
            return self._predictor(source, speed=speed)


def answer_limit_s(watchdog_s: float | None, pictures: int = 1) -> float:
    """Return how long answers for pictures may take under a service manager that waits so long for results, or none.

    Half of that: the last sign of life may be old when the work begins, and what hangs is to be named before the end.
    """
    longest_s = ANSWER_S * max(1, pictures)
    return longest_s if watchdog_s is None else min(longest_s, watchdog_s / 2)


def flush_in_time(flush: Callable[[], None], limit_s: float = 1.0) -> bool:
    """Flush in a thread of its own, as what hangs may be a disk; tell whether that was done in time."""
    flushed = threading.Event()

    def work() -> None:
        try:
            flush()
        except Exception:
            log.exception("flushing failed")
        flushed.set()

    threading.Thread(target=work, name="last flush", daemon=True).start()
    return flushed.wait(limit_s)
