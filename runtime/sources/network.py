"""A TCP socket that sends MJPEG or raw frames, as `rpicam-vid --listen` does."""

import socket
from urllib.parse import urlsplit

from edgevit.runtime.sources.connections import Connection, cut_stream
from edgevit.runtime.sources.grammar import Source
from edgevit.runtime.sources.reading import Reading
from edgevit.runtime.sources.streams import SocketStream


def connect(source: Source, reading: Reading) -> Connection:
    """Connect; OSError if nobody answers."""
    parts = urlsplit(source.address)
    connected = socket.create_connection((parts.hostname, parts.port), reading.stall_s)
    return cut_stream(SocketStream(connected), reading, source.name)
