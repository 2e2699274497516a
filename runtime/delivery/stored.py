"""What a spool stores, and how much of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stored:
    """A record that waits."""

    seq: int
    """Its place in the queue."""
    id: str
    channel: str
    """What kind of record it is, preceded by its region and a slash if it has one."""
    body: bytes


@dataclass(frozen=True)
class SpoolCounts:
    """How a spool is doing."""

    waiting: int
    """Records that are stored and not delivered."""
    dropped: int
    """Oldest records given up for the quota, since the file was made."""
    unsaved: int
    """Records that the disk did not take, since the start of this process."""
    bytes: int
    """Size of the table; the log comes on top, and is part of the quota."""
    refused: int = 0
    """Records that the receiver will not take, or that the disk has changed: they are kept, and not sent again."""
