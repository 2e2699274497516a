"""Addresses of cameras, brokers and web hooks: the one place that reads them and says what may be shown of them."""

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from edgevit.errors import OptionError
from edgevit.runtime.addresses.credentials import read_secret

HIDDEN = "***"
HARMLESS = frozenset(
    [
        "action",
        "cam",
        "camera",
        "channel",
        "ch",
        "codec",
        "compression",
        "format",
        "fps",
        "framerate",
        "h",
        "height",
        "id",
        "index",
        "name",
        "profile",
        "quality",
        "rate",
        "res",
        "resolution",
        "rotation",
        "size",
        "stream",
        "subtype",
        "type",
        "videocodec",
        "w",
        "width",
    ]
)
"""Parameters that are shown with their values; of all others neither name nor value is."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_SECRET = re.compile(r"secret:(.*)", re.DOTALL)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_HOST = re.compile(r"\[[0-9A-Fa-f:.]+(?:%[\w.~%-]+)?\]|[^\s\x00-\x20\x7f!\"#$&'()*+,/:;<=>?@\[\\\]^`{|}]+")
_ESCAPE = "write @ / # ? in a user or password as %40 %2F %23 %3F, and an @ behind the host as %40"


@dataclass(frozen=True)
class Address:
    """The parts of SCHEME://[USER[:PASSWORD]@]HOST[:PORT][/PATH][?QUERY][#FRAGMENT]."""

    scheme: str
    """As it was written; compare it in small letters."""
    host: str
    """Without the brackets of an IPv6 address."""
    port: int | None = None
    user: str | None = field(default=None, repr=False)
    """Without percent signs."""
    password: str | None = field(default=None, repr=False)
    """Without percent signs."""
    path: str = field(default="", repr=False)
    """With its first slash and its percent signs."""
    query: str = field(default="", repr=False)
    fragment: str = field(default="", repr=False)

    @property
    def place(self) -> str:
        """HOST or HOST:PORT, an IPv6 address in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def bare(self) -> str:
        """The address without user, password and fragment: what a server is asked for."""
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{self.place}{self.path}{query}"

    @property
    def full(self) -> str:
        """The address with user and password, in which what has a meaning is written with percent signs."""
        if self.user is None:
            return self.bare
        password = "" if self.password is None else f":{_quoted(self.password, ':')}"
        return self.bare.replace("://", f"://{_quoted(self.user)}{password}@", 1)

    @property
    def shown(self) -> str:
        """What may be printed: no password, no parameter that is not known to be harmless, no fragment."""
        login = "" if self.user is None else f"{HIDDEN}@"
        if self.user and self.password:
            login = f"{_quoted(self.user)}:{HIDDEN}@"
        path = "/".join(HIDDEN if "=" in part else part for part in self.path.split("/"))
        return f"{self.scheme}://{login}{self.place}{path}{self._shown_query()}"

    @property
    def is_shown_whole(self) -> bool:
        """Whether nothing of it is hidden."""
        return self.shown == self.full and not self.fragment

    @property
    def site(self) -> str:
        """What may be printed where the path is a secret too, as it is of most web hooks."""
        return f"{self.scheme}://{self.place}" + (f"/{HIDDEN}" if self.path.strip("/") or self.query else "")

    def _shown_query(self) -> str:
        pairs = [pair for pair in self.query.split("&") if pair]
        kept = [pair for pair in pairs if _is_harmless(pair)]
        shown = kept if len(kept) == len(pairs) else [*kept, HIDDEN]
        return f"?{'&'.join(shown)}" if shown else ""

    def with_login(self, user: str | None, password: str | None) -> "Address":
        return dataclasses.replace(self, user=user, password=password)

    def conceal(self, text: str) -> str:
        """Return what another program said, without the secrets of this address that it may have repeated."""
        pairs = [pair for pair in self.query.split("&") if not _is_harmless(pair)]
        hidden = [part for pair in pairs for part in (pair, *pair.split("=", 1))]
        hidden += [self.fragment, *(part for part in self.path.split("/") if "=" in part)]
        # a user without a password is a token
        login = self.password or self.user or ""
        return hide_secrets(text, [login, _quoted(login), *hidden, *map(unquote, hidden)])


def hide_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return what another program said, without these secrets that it may have repeated."""
    for secret in sorted(secrets, key=len, reverse=True):
        # what is as short as "401" is in many texts
        text = text.replace(secret, HIDDEN) if len(secret) > 3 else text
    return text


def _is_harmless(pair: str) -> bool:
    return pair.partition("=")[0].lower() in HARMLESS


def _quoted(text: str, safe: str = "") -> str:
    return quote(text, safe=f"!$&'()*+,;=~{safe}", errors="surrogateescape")


def scheme_of(text: str) -> str | None:
    """Return the scheme of what looks like an address, in small letters."""
    match = _SCHEME.match(text)
    return match[1].lower() if match else None


def parse_address(text: str, what: str, example: str) -> Address:
    """Read an address; a / # or ? in a password is understood where nothing else can be meant.

    Args:
        text: with a scheme.
        what: the option or argument that it was given with, for errors, which repeat nothing but the scheme.
        example: what would be right, for errors.

    Raises:
        OptionError: it is none, or could be read in two ways.
    """
    match = _SCHEME.match(text)
    if not match:
        raise OptionError(f"{what} is not an address; expected something like {example}")
    scheme, rest = match[1], text[match.end() :]
    named = f"{what} {scheme}://..."
    if not text.isprintable() or " " in text:
        raise OptionError(f"{named} holds a space or control character; write a space as %20")
    end = re.search(r"[/?#]", rest)
    usual = end.start() if end else len(rest)
    readings = [_read(scheme, rest, usual)]
    if rest.count("@", usual) > 1 and isinstance(readings[0], str):
        raise OptionError(f"{named} is not an address: it has several @ behind a / # or ?; {_ESCAPE}")
    if (last := rest.rfind("@")) > usual:
        tail = re.search(r"[/?#]", rest[last:])
        readings.append(_read(scheme, rest, last + tail.start() if tail else len(rest)))
    found = [reading for reading in readings if isinstance(reading, Address)]
    if len(found) > 1:
        raise OptionError(f"{named} can be read in two ways; {_ESCAPE}")
    if not found:
        raise OptionError(f"{named} is not an address: {readings[0]}; expected something like {example}")
    return found[0]


def _read(scheme: str, rest: str, end: int) -> Address | str:
    """Return the address whose host ends at `end`, or what is wrong with it."""
    login, at, place = rest[:end].rpartition("@")
    host = _HOST.match(place)
    if not host:
        return "it names no host" if not place or place.startswith(":") else "its host has a character that none has"
    port = place[host.end() :]
    if port and not port.startswith(":"):
        return "its host has a character that none has"
    if not re.fullmatch(r"(:[0-9]{1,5})?", port, re.ASCII) or not 0 < int(port[1:] or 1) < 65536:
        return "its port is no number from 1 to 65535"
    user, colon, password = login.partition(":")
    before, hash_, fragment = rest[end:].partition("#")
    path, _, query = before.partition("?")
    return Address(
        scheme=scheme,
        host=host[0].strip("[]"),
        port=int(port[1:]) if port[1:] else None,
        user=unquote(user, errors="surrogateescape") if at else None,
        password=unquote(password, errors="surrogateescape") if colon else None,
        path=path,
        query=query,
        fragment=fragment,
    )


def resolve(text: str, what: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the text that "secret:NAME" stands for, any other text as it is.

    Args:
        text: of SOURCE or --to.
        what: SOURCE or --to.
        environment: where the variable NAME, or the file that NAME_FILE names, or systemd's credential NAME is.

    Raises:
        OptionError: there is no such secret.
    """
    match = _SECRET.fullmatch(text)
    if not match:
        return text
    if not _VARIABLE.fullmatch(match[1]):
        raise OptionError(f"{what} is no secret; expected secret:NAME, with the NAME of an environment variable")
    value = read_secret(match[1], environment)
    if value is None:
        raise OptionError(
            f"{what} is {text}, but {match[1]} is not set; set it, or {match[1]}_FILE to the path of a file with it"
        )
    return value


def login_from(environment: Mapping[str, str], prefix: str, address: Address) -> Address:
    """Return the address with user and password of PREFIX_USER and PREFIX_PASSWORD, where it has none of its own.

    Raises:
        OptionError: there is a password but no user, or one cannot be read.
    """
    if address.password is not None:
        return address
    user = address.user or read_secret(f"{prefix}_USER", environment)
    password = read_secret(f"{prefix}_PASSWORD", environment)
    if user is None and password is not None:
        raise OptionError(
            f"{prefix}_PASSWORD is set, but nothing says whose it is; set {prefix}_USER, or write USER@ before the host"
        )
    return address.with_login(user, password)
