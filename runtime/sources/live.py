"""Live means now: a source read in a thread of its own, of which only the newest frame is kept."""

import contextlib
import logging
import queue
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from edgevit.errors import EdgevitError, SourceLostError
from edgevit.runtime.backoff import Backoff
from edgevit.runtime.events.event import Event
from edgevit.runtime.images.jpeg import jpeg_facts
from edgevit.runtime.moment import Moment
from edgevit.runtime.sources.connections import Connection, LivePicture
from edgevit.runtime.sources.frames import Clock, Frame
from edgevit.runtime.sources.grammar import Source
from edgevit.runtime.sources.options import SourceOptions
from edgevit.runtime.sources.raw import RawPicture
from edgevit.runtime.sources.stop import Stop

BACKOFF = Backoff(first_s=0.5, most_s=30.0)
"""Pauses between attempts to connect."""

REPEAT_WAIT_S = 0.5
"""How long to wait before asking again for a picture that has not changed."""

log = logging.getLogger(__name__)


class Live:
    """The frames and events of a live source; iterated by one thread, closed by any.

    Events are source_lost, source_back, and frozen for a source that keeps repeating one picture.
    """

    def __init__(
        self,
        source: Source,
        connect: Callable[[Source, SourceOptions], Connection],
        source_options: SourceOptions,
        stop: Stop,
        clock: Clock,
        draw: random.Random,
        bell: "queue.SimpleQueue[None] | None" = None,
    ) -> None:
        """Start the thread, which calls `connect` again and again, and rings `bell` when there is news."""
        self._source, self._connect, self._reading = source, connect, source_options
        self._stop, self._clock, self._draw = stop, clock, draw
        # tells the iterating thread to look again; a SimpleQueue because its put is safe in a signal handler
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue() if bell is None else bell
        self._due_s = clock.monotonic_s()
        self._changed = threading.Condition()
        # what follows is guarded by _changed
        self._newest: Frame | None = None
        self._events: deque[Event] = deque(maxlen=1000)
        self._arrived = self._dropped = 0
        self._last: LivePicture | None = None
        self._new_s = clock.monotonic_s()
        """When the last picture came that was no repetition, or the connection was made."""
        self._lost_s: float | None = None
        self._frozen = False
        self._wanted = False
        self._closed = False
        self._over: BaseException | None | bool = False
        """False while pictures may come; None after a good end, else what to raise."""
        self._connection: Connection | None = None
        # what follows is the reading thread's
        self._warmup_s = source_options.warmup_s or 0.0
        self._first_s: float | None = None
        """When the first picture of this connection came."""
        self._size_known = source_options.capture_size is None
        stop.listen(self._ring)
        self._thread = threading.Thread(target=self._run, name=f"edgevit {source.name}", daemon=True)
        self._thread.start()

    def _ring(self) -> None:
        self._bell.put(None)

    # ------------------------------------------------------------ the iterating thread

    def __iter__(self) -> Iterator[Frame | Event]:
        return self

    def __next__(self) -> Frame | Event:
        """Wait for an event, or for the newest frame not yet seen once the next one is due.

        Raises:
            StopIteration: the stream was closed or asked to stop, or the source ended.
            SourceLostError: the source is lost, and is not to be waited for.
            EdgevitError: it can never be read.
        """
        while True:
            # before it polls: a frame that waits already, and that falls due in between, rings no more
            pause_s = self.pause_s()
            if (found := self.poll()) is not None:
                return found
            with contextlib.suppress(queue.Empty):
                self._bell.get(timeout=pause_s)

    def poll(self) -> Frame | Event | None:
        """Return what __next__ would, but None at once where it would wait."""
        if not (self._stop.asked or self._closed):
            due = self._due_s <= self._clock.monotonic_s()
            with self._changed:
                if self._events:
                    return self._events.popleft()
                if due and self._newest is not None:
                    frame, self._newest = self._newest, None
                    self._due_s = self._reading.pace.next_due(self._due_s, self._clock.monotonic_s())
                    return frame
                if self._over is False:
                    if due and not self._wanted:
                        self._wanted = True
                        self._changed.notify_all()
                    return None
        if isinstance(self._over, BaseException) and not (self._stop.asked or self._closed):
            raise self._over
        raise StopIteration

    def pause_s(self) -> float | None:
        """Return how long a `poll` that follows need not be repeated unless the bell rings; None for ever."""
        left_s = self._due_s - self._clock.monotonic_s()
        return left_s if left_s > 0 else None

    def interrupt(self) -> None:
        """Let the thread and whatever it started end, and wait for nothing."""
        with self._changed:
            if not self._closed:
                self._stop.unlisten(self._ring)
            self._closed = True
            if self._connection is not None:
                self._connection.interrupt()
            self._changed.notify_all()
        self._ring()

    def close(self) -> None:
        """End the thread and whatever it started; return when they are gone."""
        self.interrupt()
        self._thread.join()

    # ------------------------------------------------------------ the reading thread

    def _run(self) -> None:
        attempt = 0
        while not self._closed:
            connected_s = self._clock.monotonic_s()
            try:
                self._read()
                return self._finish(None)
            except SourceLostError as error:
                reason = str(error)
            except EdgevitError as error:
                return self._finish(error)
            except TimeoutError:
                reason = f"no picture for {self._reading.stall_s:g} s"
            except OSError as error:
                reason = error.strerror or str(error) or type(error).__name__
            except BaseException as error:  # the iterating thread must not wait for ever for a thread that is dead
                return self._finish(error)
            if self._source.url is not None:
                # a server or a library may repeat what it was asked for
                reason = self._source.url.conceal(reason)
            # a source that comes only to go again is not asked every moment
            lived_s = self._clock.monotonic_s() - connected_s
            attempt = 0 if self._lost_s is None and lived_s > self._reading.stall_s else attempt
            self._lose(reason)
            wait_s = BACKOFF.wait_s(attempt + 1, self._draw.random())
            log.info("%s: %s; trying again in %.1f s", self._source.name, reason, wait_s)
            attempt += 1
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._over is not False, wait_s)
            if self._over is not False:
                return None
        return None

    def _read(self) -> None:
        """Connect, and take pictures until the source ends; OSError if it is lost."""
        connection = self._connect(self._source, self._reading)
        try:
            with self._changed:
                self._connection = connection
                self._new_s = self._clock.monotonic_s()
            self._first_s = None
            while not self._closed:
                if connection.on_demand:
                    with self._changed:
                        self._changed.wait_for(lambda: self._closed or self._wanted)
                pictures = None if self._closed else connection.read(self._reading.stall_s)
                if pictures is None:
                    return
                new = [self._take(picture) for picture in pictures]
                if connection.on_demand and new and not any(new):
                    with self._changed:
                        self._changed.wait_for(lambda: self._closed, REPEAT_WAIT_S)
        finally:
            with self._changed:
                self._connection = None
            connection.close()

    def _take(self, picture: LivePicture) -> bool:
        """Keep a picture as the newest; False if it only repeats the last one, or the camera is still warming up."""
        now_s, wall_s = self._clock.monotonic_s(), self._clock.wall_s()
        self._first_s = now_s if self._first_s is None else self._first_s
        if now_s - self._first_s < self._warmup_s:
            return False
        self._check_size(picture)
        with self._changed:
            moment = Moment(self._source.name, self._arrived, now_s, wall_s)
            self._arrived += 1
            if picture == self._last:
                if now_s - self._new_s >= self._reading.stall_s and not self._frozen:
                    self._frozen = True
                    self._tell("frozen", moment, {"active": True, "repeated": True})
                    if not self._reading.wait:
                        self._over = SourceLostError(f"{self._source.name} keeps repeating the same picture")
                return False
            if self._lost_s is not None:
                self._tell("source_back", moment, {"away_s": round(now_s - self._lost_s, 3)})
            if self._frozen:
                self._tell("frozen", moment, {"active": False, "repeated": True})
            self._lost_s, self._frozen, self._wanted = None, False, False
            self._last, self._new_s = picture, now_s
            self._dropped += self._newest is not None
            if self._newest is None:
                self._ring()
            # nobody knows of a pipe whether a camera or an image file is behind it
            stored = self._source.kind == "stdin" and isinstance(picture, bytes)
            self._newest = Frame(picture, moment, self._dropped, stored=stored)
            return True

    def _check_size(self, picture: LivePicture) -> None:
        """Say, once, that a camera gives another size than it was asked for."""
        if self._size_known:
            return
        found = picture.form if isinstance(picture, RawPicture) else jpeg_facts(picture)
        if found is None:
            return
        self._size_known = True
        if (found.height, found.width) != (asked := self._reading.capture_size) and asked is not None:
            log.warning(
                "%s gives pictures of %dx%d; it does not have the %dx%d that --capture asks for",
                *(self._source.name, found.width, found.height, asked[1], asked[0]),
            )

    def _lose(self, reason: str) -> None:
        """Say, once, that the source is lost; what it gave before is not now any more."""
        with self._changed:
            if self._closed:
                return
            now_s = self._clock.monotonic_s()
            self._dropped += self._newest is not None
            self._newest = None
            if self._lost_s is None:
                self._lost_s = now_s
                moment = Moment(self._source.name, self._arrived, now_s, self._clock.wall_s())
                self._tell("source_lost", moment, {"reason": reason})
            if not self._reading.wait:
                self._over = SourceLostError(f"{self._source.name} is lost: {reason}")

    def _tell(self, kind: str, moment: Moment, facts: dict[str, Any]) -> None:
        self._events.append(Event(kind, moment, facts))
        self._ring()

    def _finish(self, error: BaseException | None) -> None:
        with self._changed:
            self._over = error
            self._ring()
