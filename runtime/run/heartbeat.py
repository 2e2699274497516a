"""A heart that beats only while results flow: readiness with the first one, the watchdog fed by each that follows."""

from edgevit.runtime.moment import Moment
from edgevit.runtime.records import RESULT, Record
from edgevit.runtime.run.sd_notify import Notifier
from edgevit.runtime.sinks.lines import event_text, now_text
from edgevit.runtime.sources.frames import Clock

SHARE = 4
"""The watchdog is fed at most so many times in its period."""
STATUS_S = 1.0
"""How often the status text is renewed where there is no watchdog."""


class Heartbeat:
    """A sink, to be the last of several: what it has seen was written to the others."""

    def __init__(self, notifier: Notifier, clock: Clock | None = None) -> None:
        self._notifier, self._now_s = notifier, (clock or Clock()).monotonic_s
        self._pause_s = STATUS_S if notifier.watchdog_s is None else notifier.watchdog_s / SHARE
        self._beat_s = float("-inf")
        self._ready = False

    def write(self, record: Record) -> None:
        if record.kind == RESULT and record.result is not None:
            self._beat(f"{record.moment.source}: {now_text(record.result, record.present)}")
        elif record.kind in ("source_lost", "source_back", "frozen"):
            self._notifier.status(f"{record.moment.source}: {event_text(record)}")
            # the next result is news
            self._beat_s = float("-inf")

    def black(self, moment: Moment) -> None:
        """Take a picture that was looked at and has nothing on it: a new start would not bring light."""
        self._beat(f"{moment.source}: the pictures are black")

    def renewal(self, text: str | None) -> None:
        """Take what a model's renewal tells: None when it begins, a line when it has ended; from any thread."""
        if not self._ready:
            self._notifier.status(text or "opening the newer model")
        elif text is None:
            self._notifier.reloading("opening the newer model")
        else:
            self._notifier.ready(text)

    @property
    def watchdog_s(self) -> float | None:
        """How long the service manager waits for a sign of life; None if it does not watch."""
        return self._notifier.watchdog_s

    def hangs(self, text: str) -> None:
        """Say what hangs; that is no sign of life."""
        self._notifier.status(text)

    def stopping(self) -> None:
        """Say that the end has begun: what follows is flushing."""
        self._notifier.stopping()

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""

    def _beat(self, status: str) -> None:
        now_s = self._now_s()
        if now_s - self._beat_s < self._pause_s:
            return
        self._beat_s = now_s
        if not self._ready:
            self._ready = True
            self._notifier.ready(status)
        self._notifier.alive(status)
