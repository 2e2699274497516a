"""A TCP socket that sends MJPEG or raw frames, as `rpicam-vid --listen` does."""

import socket
from urllib.parse import urlsplit

from edgevit.runtime.sources.connections import Connection, cut_stream
from edgevit.runtime.sources.grammar import Source
from edgevit.runtime.sources.options import SourceOptions
from edgevit.runtime.sources.streams import SocketStream


def connect(source: Source, source_options: SourceOptions) -> Connection:
    """Connect; OSError if nobody answers."""
    parts = urlsplit(source.address)
    connected = socket.create_connection((parts.hostname, parts.port), source_options.stall_s)
    return cut_stream(SocketStream(connected), source_options, source.name)
