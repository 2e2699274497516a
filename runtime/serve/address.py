"""Where the page listens, and who may see it."""

import ipaddress
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgevit.errors import OptionError
from edgevit.runtime.addresses.credentials import read_secret

TOKEN = "EDGEVIT_SERVE_TOKEN"
SHORTEST_TOKEN = 16
"""Characters: short ones can be guessed over a network."""
MAKE_TOKEN = "python3 -c 'import secrets; print(secrets.token_urlsafe())'"


@dataclass(frozen=True)
class Access:
    """A place to listen at, checked."""

    host: str
    port: int
    """0 for any that is free."""
    token: str | None = field(default=None, repr=False)
    """What every request must carry; None on this machine alone."""


def parse_address(text: str) -> tuple[str, int]:
    """Read "127.0.0.1:8080", "[::1]:8080" or "localhost:8080".

    Raises:
        OptionError: it is something else.
    """
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})", text, re.ASCII)
    if not match or int(match[2]) > 65535:
        raise OptionError(f"--serve is {text!r}, expected an address and a port such as 127.0.0.1:8080")
    return match[1].strip("[]"), int(match[2])


def check_access(text: str, anyone: bool, environment: Mapping[str, str]) -> Access:
    """Read where to listen; beyond this machine only if that is asked for, and with a token.

    Args:
        text: of --serve.
        anyone: of --serve-anyone.
        environment: where the token, or the name of its file, is.

    Raises:
        OptionError: the address is wrong, or others could see the page who should not.
    """
    host, port = parse_address(text)
    token = read_secret(TOKEN, environment)
    local = is_loopback(host)
    if not local and not anyone:
        raise OptionError(
            f"--serve {text} would show the camera to everybody on the network; add --serve-anyone and a token, "
            f"or use 127.0.0.1:{port}"
        )
    if not local and token is None:
        raise OptionError(
            f"--serve {text} needs a token: set {TOKEN}, or {TOKEN}_FILE to the path of a file that holds it; "
            f"make one with {MAKE_TOKEN}"
        )
    if token is not None and not re.fullmatch(rf"[!-~]{{{SHORTEST_TOKEN},}}", token):
        raise OptionError(
            f"{TOKEN} has {len(token)} characters, expected {SHORTEST_TOKEN} or more of ASCII without spaces; "
            f"make one with {MAKE_TOKEN}"
        )
    return Access(host, port, token)


def is_loopback(host: str) -> bool:
    """Tell whether nobody but this machine reaches a host's address.

    Raises:
        OptionError: no such host is known.
    """
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        raise OptionError(f"--serve names {host}, which is no address of this machine; try 127.0.0.1") from error
    return all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in found)
