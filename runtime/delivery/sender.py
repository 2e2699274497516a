"""The thread that empties a spool: in order, at least once, patient with a network that is away."""

import contextlib
import logging
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from edgevit.runtime.backoff import Backoff
from edgevit.runtime.delivery.spool import Spool
from edgevit.runtime.delivery.stored import SpoolCounts, Stored
from edgevit.runtime.records import RESULT, Record

log = logging.getLogger(__name__)

BATCH = 50
"""Records taken from the spool at once."""
SYNC_S = 1.0
"""How long a record may be stored and not flushed to the disk."""
STEADY_S = 10.0
"""How long a destination must be there before it counts as back: one that comes only to go again is not hurried."""

Refuse = Callable[[Stored, str], None]
"""Takes a record that the other side will never take, and its reason."""


class DeliveryError(OSError):
    """Records could not be delivered now; the first `delivered` of the batch were."""

    def __init__(self, message: str, delivered: int = 0, wait_s: float = 0.0) -> None:
        # the other side may have had a hand in it: one line, and not a long one
        super().__init__("".join(letter if letter.isprintable() else "?" for letter in message[:300]))
        self.delivered = delivered
        self.wait_s = wait_s
        """How long the other side asks to be left alone."""


class Delivery(Protocol):
    """One destination."""

    name: str
    """For messages; without secrets."""

    def ready(self) -> None:
        """Make sure that the other side is there; called before each batch, and every second without one.

        Raises:
            DeliveryError: it is not.
        """

    def send(self, batch: Sequence[Stored], refuse: Refuse) -> None:
        """Deliver all, in order; return when the other side has confirmed them, or each of the others was refused.

        Raises:
            DeliveryError: not all of them could be delivered; those before count as delivered, or were refused.
        """

    def abort(self) -> None:
        """Make a `send` or `ready` that another thread waits in fail soon."""

    def close(self) -> None:
        """Say good-bye."""


@dataclass(frozen=True)
class Backlog:
    """How delivery to one destination is doing."""

    name: str
    """Without secrets."""
    away: bool
    """The last attempt failed."""
    counts: SpoolCounts

    def __str__(self) -> str:
        """Return one line for people."""
        parts = [f"{self.name} is {'away' if self.away else 'there'}", f"{self.counts.waiting} records wait"]
        parts += [f"{self.counts.dropped} were dropped for the quota"] if self.counts.dropped else []
        parts += [f"{self.counts.unsaved} did not fit on the disk"] if self.counts.unsaved else []
        parts += [f"{self.counts.refused} were refused and are kept"] if self.counts.refused else []
        return ", ".join(parts)


DRAIN_S = 3.0
"""How long a run that ends goes on delivering, in seconds; it is to be over in five."""


class SpooledSink:
    """A sink whose records wait in a spool until a delivery took them."""

    def __init__(
        self,
        spool: Spool,
        delivery: Delivery,
        *,
        wants: Callable[[str], bool] = lambda kind: kind != RESULT,
        backoff: Backoff = Backoff(),  # noqa: B008 (frozen)
        drain_s: float = DRAIN_S,
        steady_s: float = STEADY_S,
        first: Iterable[Record] = (),
        states: Callable[[Record], Iterable[Record]] = lambda record: (),
    ) -> None:
        """Start the thread.

        Args:
            spool: closed by `close`.
            delivery: closed by `close`; only the thread uses it until then.
            wants: which kinds of records to take; events by default.
            backoff: pauses while the destination is away.
            drain_s: how long `close` goes on delivering; what is left stays in the spool, for the next start.
            steady_s: how long attempts must succeed before the pauses begin anew.
            first: records that are written before all others.
            states: makes of each record, wanted or not, further ones that are written after it.
        """
        self._spool, self._delivery, self._wants, self._backoff = spool, delivery, wants, backoff
        self._states = states
        self._drain_s, self._steady_s = drain_s, steady_s
        self._wake, self._stop = threading.Event(), threading.Event()
        self._deadline_s = float("inf")
        self._closed = False
        self._unsynced_s: float | None = None
        self._failures, self._away = 0, False
        self._failed_s = 0.0
        self.name = delivery.name
        self.stored = 0
        """How many records were put into the spool."""
        for record in first:
            self.write(record)
        self._thread = threading.Thread(target=self._run, name=f"edgevit sender {delivery.name}", daemon=True)
        self._thread.start()

    def write(self, record: Record) -> None:
        wanted = [record] if self._wants(record.kind) else []
        for each in (*wanted, *self._states(record)):
            roi = each.moment.roi
            channel = each.kind if roi is None else f"{roi}/{each.kind}"
            # a name from the command line may hold bytes that are not UTF-8
            channel = channel.encode("utf-8", "replace").decode()
            if not self._spool.put(each.id, channel, each.to_json().encode()):
                continue
            self.stored += 1
            if self._unsynced_s is None:
                self._unsynced_s = time.monotonic()
            self._wake.set()

    @property
    def lost(self) -> int:
        """Records that will not be delivered: the disk did not take them, or they were dropped for the quota."""
        return self._spool.lost

    def counts(self) -> SpoolCounts:
        return self._spool.counts()

    def backlog(self) -> Backlog:
        """Tell how delivery is doing, to any thread."""
        return Backlog(self._delivery.name, self._away, self._spool.counts())

    def flush(self) -> None:
        # first, as a record may be written meanwhile
        since_s, self._unsynced_s = self._unsynced_s, None
        try:
            self._spool.sync()
        except OSError:
            if since_s is not None:  # else another flush has it in hand
                self._unsynced_s = since_s
            raise

    def finish(self) -> None:
        """Begin to end: from now on `close` goes on delivering for `drain_s` in all, however late it is called."""
        if not self._stop.is_set():
            self._deadline_s = time.monotonic() + self._drain_s
            self._stop.set()
            self._wake.set()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.finish()
        self._thread.join(max(0.0, self._deadline_s - time.monotonic()))
        if self._thread.is_alive():
            self._delivery.abort()
            self._thread.join()
        with contextlib.closing(self._spool):
            self._delivery.close()
            waiting = self._spool.counts().waiting
            if waiting:
                log.warning(
                    "%d records for %s stay in %s for the next start", waiting, self._delivery.name, self._spool.path
                )
            self._flush_or_say()

    def _run(self) -> None:
        while not (self._stop.is_set() and time.monotonic() > self._deadline_s):
            try:
                sent = self._deliver_batch()
                self._note_success()
            except Exception as error:  # whatever it is, it must not silence a board for months
                if time.monotonic() > self._deadline_s:  # `close` ended it
                    return
                self._note_failure(error)
                if self._stop.is_set():
                    return
                asked_s = error.wait_s if isinstance(error, DeliveryError) else 0.0
                self._pause(max(asked_s, self._backoff.wait_s(self._failures, random.random())))
                continue
            if not sent and self._stop.is_set():
                return
            if not sent:
                self._wake.wait(SYNC_S)
                self._wake.clear()
            self._sync_if_due()

    def _deliver_batch(self) -> int:
        """Deliver the oldest records; return how many."""
        self._delivery.ready()
        batch = self._spool.oldest(BATCH)
        if not batch:
            return 0
        try:
            self._delivery.send(batch, self._spool.refuse)
        except DeliveryError as error:
            if error.delivered:
                self._spool.remove(batch[error.delivered - 1].seq)
            raise
        self._spool.remove(batch[-1].seq)
        return len(batch)

    def _pause(self, pause_s: float) -> None:
        until_s = time.monotonic() + pause_s
        while (left_s := until_s - time.monotonic()) > 0 and not self._stop.wait(min(left_s, SYNC_S)):
            self._sync_if_due()

    def _sync_if_due(self) -> None:
        since_s = self._unsynced_s
        if since_s is not None and time.monotonic() - since_s >= SYNC_S:
            self._flush_or_say()

    def _flush_or_say(self) -> None:
        try:
            self.flush()
        except OSError as error:
            log.error("%s cannot be flushed: %s", self._spool.path, error)

    def _note_failure(self, error: Exception) -> None:
        self._failures, self._away, self._failed_s = self._failures + 1, True, time.monotonic()
        if self._failures == 1:
            # the way to what nobody has thought of
            trace = None if isinstance(error, DeliveryError | sqlite3.Error) else error
            text = "%s: %s; records wait in %s, trying again"
            log.warning(text, self._delivery.name, error, self._spool.path, exc_info=trace)

    def _note_success(self) -> None:
        self._away = False
        if self._failures and time.monotonic() - self._failed_s >= self._steady_s:
            log.warning("%s: back, %d records to deliver", self._delivery.name, self._spool.counts().waiting)
            self._failures = 0
