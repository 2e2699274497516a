"""A TCP socket that sends MJPEG or raw frames, as `rpicam-vid --listen` does."""

import socket
from urllib.parse import urlsplit

from edgevit.runtime.sources.connections import Splitter, StreamConnection
from edgevit.runtime.sources.grammar import Source
from edgevit.runtime.sources.mjpeg import JpegSplitter
from edgevit.runtime.sources.raw import RawSplitter
from edgevit.runtime.sources.reading import Reading
from edgevit.runtime.sources.streams import SocketStream


def connect(source: Source, reading: Reading) -> StreamConnection:
    """Connect; OSError if nobody answers."""
    parts = urlsplit(source.address)
    connected = socket.create_connection((parts.hostname, parts.port), reading.stall_s)
    return StreamConnection(SocketStream(connected), splitter(reading), source.name)


def splitter(reading: Reading) -> Splitter:
    """Return what cuts MJPEG, or raw frames if they are described."""
    return JpegSplitter() if reading.raw is None else RawSplitter(reading.raw)
