"""A TCP socket that sends MJPEG or raw frames, as `rpicam-vid --listen` does."""

from urllib.parse import urlsplit

from edgevit.runtime.sources.connections import Connection, cut_stream
from edgevit.runtime.sources.grammar import Source
from edgevit.runtime.sources.options import SourceOptions
from edgevit.runtime.sources.sockets import SocketStream


def connect(source: Source, source_options: SourceOptions) -> Connection:
    """Return a connection that is made at its first read."""
    parts = urlsplit(source.address)
    assert parts.hostname is not None
    assert parts.port is not None
    return cut_stream(SocketStream(parts.hostname, parts.port), source_options, source.name)
