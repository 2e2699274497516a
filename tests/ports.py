"""Ports of this machine: one where nobody listens, and one for a program that is to listen."""

import contextlib
import random
import socket
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """Yield a port at which connections are refused; meanwhile nobody else is given it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield int(bound.getsockname()[1])


def free_port() -> int:
    """Return a port that a program may listen at, also again after a pause.

    It is none of those that the system gives to whoever asks for any, so that nobody gets it meanwhile by chance.
    """
    given = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first = int(given.read_text().split()[0]) if given.exists() else 32768
    top = min(first, 32_768)
    if top <= 10_000:  # the system gives all there are: chance it is
        with socket.create_server(("127.0.0.1", 0)) as server:
            return int(server.getsockname()[1])
    while True:
        port = random.SystemRandom().randrange(10_000, top)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
