"""A TCP socket that sends MJPEG or raw frames, as `rpicam-vid --listen` does."""

import socket

from edgevit.runtime.sources.connections import Connection, cut_stream
from edgevit.runtime.sources.grammar import Source
from edgevit.runtime.sources.options import SourceOptions
from edgevit.runtime.sources.streams import SocketStream


def connect(source: Source, source_options: SourceOptions) -> Connection:
    """Connect; OSError if nobody answers."""
    connected = socket.create_connection((source.parts.host, source.parts.port), source_options.stall_s)
    return cut_stream(SocketStream(connected), source_options, source.name)
