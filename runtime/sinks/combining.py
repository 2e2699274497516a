"""Sinks around sinks: one that survives a full disk, one that chooses, several as one."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from edgevit.runtime.delivery.sender import Backlog, SpooledSink
from edgevit.runtime.records import Record, Sink
from edgevit.runtime.sinks.folder import BoundedFolder

log = logging.getLogger(__name__)

Wants = Callable[[str], bool]
"""Which kinds of records a sink takes."""


class CountingSink(Sink, Protocol):
    """A sink on this machine that knows how much it wrote."""

    unit: str
    """What it writes, in the singular."""
    written: int


@dataclass(frozen=True)
class Written:
    """What a run wrote to one place."""

    count: int
    unit: str
    """What it was, in the singular: "line", "hard picture"."""
    place: str
    lost: int = 0
    """Records that are not there: the disk was full, or they waited for a network and were dropped for the quota."""
    left: int = 0
    """Files that were there before with something else, and were left as they were."""

    def __str__(self) -> str:
        """Return one part of a line for people."""
        what = f"{self.count:,} {self.unit}{'' if self.count == 1 else 's'}"
        lost = f", {self.lost:,} records lost" if self.lost else ""
        left = f", {self.left:,} left as they were before" if self.left else ""
        return f"{what} {'on' if self.place == 'stdout' else 'in'} {self.place}{left}{lost}"


class FilteredSink:
    """Passes on the kinds of records that a sink wants."""

    def __init__(
        self,
        sink: Sink,
        wants: Wants,
        written: Callable[[], Written] | None = None,
        hard: BoundedFolder | None = None,
    ) -> None:
        """Pass on to a sink; `written` tells what it wrote, `hard` is where its hard pictures lie."""
        self._sink, self._wants, self.written, self.hard = sink, wants, written, hard

    def write(self, record: Record) -> None:
        if self._wants(record.kind):
            self._sink.write(record)

    def flush(self) -> None:
        self._sink.flush()

    def close(self) -> None:
        self._sink.close()


class DiskGuard:
    """A sink whose disk may fill up: trouble is logged once until it ends, and never ends the run.

    A reader of a pipe that goes away does.
    """

    def __init__(self, sink: Sink, name: str) -> None:
        """Guard a sink that is called `name` in messages."""
        self._sink, self._name, self._before = sink, name, 0
        self.lost = 0
        """Records that could not be written, so far."""

    def write(self, record: Record) -> None:
        try:
            self._sink.write(record)
        except BrokenPipeError:
            raise
        except OSError as error:
            if self.lost == self._before:
                log.error("%s cannot be written: %s; going on without it", self._name, error.strerror or error)
            self.lost += 1
        else:
            if self.lost > self._before:
                log.warning("%s is written again; %d records were lost", self._name, self.lost - self._before)
                self._before = self.lost

    def flush(self) -> None:
        try:
            self._sink.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            log.error("%s cannot be flushed: %s", self._name, error.strerror or error)

    def close(self) -> None:
        self._sink.close()


class Sinks:
    """Several as one."""

    def __init__(self, sinks: Iterable[Sink]) -> None:
        """Write to each, in this order."""
        self._sinks = list(sinks)

    def write(self, record: Record) -> None:
        for sink in self._sinks:
            sink.write(record)

    def flush(self) -> None:
        for sink in self._sinks:
            sink.flush()

    def backlogs(self) -> tuple[Backlog, ...]:
        """Tell how those that go through a spool are doing, to any thread."""
        own = [sink.backlog() for sink in self._sinks if isinstance(sink, SpooledSink)]
        return (*own, *(one for sink in self._sinks if isinstance(sink, Sinks) for one in sink.backlogs()))

    def hard_folders(self) -> tuple[BoundedFolder, ...]:
        """Return the folders of hard pictures, which somebody may put into classes."""
        own = [sink.hard for sink in self._sinks if isinstance(sink, FilteredSink) and sink.hard is not None]
        return (*own, *(one for sink in self._sinks if isinstance(sink, Sinks) for one in sink.hard_folders()))

    def written(self) -> tuple[Written, ...]:
        """Tell what went to each place on this machine, and was put in line for each beyond."""
        own: list[Written] = []
        for sink in self._sinks:
            if isinstance(sink, Sinks):
                own += sink.written()
            elif isinstance(sink, SpooledSink):
                own.append(Written(sink.stored, "record", f"the queue for {sink.name}", sink.lost))
            elif isinstance(sink, FilteredSink) and sink.written is not None:
                own.append(sink.written())
        return tuple(own)

    def finish(self) -> None:
        """Let all that deliver end at the same time, so that several that are away take no longer than one."""
        for sink in self._sinks:
            if isinstance(sink, SpooledSink | Sinks):
                sink.finish()

    def close(self) -> None:
        """Close all, even if one fails; then raise what the first raised."""
        self.finish()
        errors = []
        for sink in self._sinks:
            try:
                sink.close()
            except OSError as error:
                errors.append(error)
        if errors:
            raise errors[0]
