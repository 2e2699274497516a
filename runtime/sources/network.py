"""A TCP socket that sends MJPEG or raw frames, as `rpicam-vid --listen` does."""

from edgevit.runtime.sources.connections import Connection, cut_stream
from edgevit.runtime.sources.grammar import Source
from edgevit.runtime.sources.options import SourceOptions
from edgevit.runtime.sources.sockets import SocketStream


def connect(source: Source, source_options: SourceOptions) -> Connection:
    """Return a connection that is made at its first read."""
    port = source.parts.port
    assert port is not None
    return cut_stream(SocketStream(source.parts.host, port), source_options, source.name)
