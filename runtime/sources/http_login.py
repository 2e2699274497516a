"""Answers to a web server that asks who is there: Basic (RFC 7617) and Digest (RFC 7616), the strongest it offers."""

import base64
import hashlib
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from edgevit.errors import SourceLostError

Digest = Callable[[str], str]


def _hashed(name: str) -> Digest:
    return lambda text: hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()


ALGORITHMS: dict[str, Digest] = {
    "SHA-512-256": _hashed("sha512_256"),
    "SHA-256": _hashed("sha256"),
    "MD5": _hashed("md5"),
}
"""The algorithms of Digest, the strongest first; each also with "-sess" behind its name."""

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 (RFC 9110's word for a name)
_PARAMETER = re.compile(rf'\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))\s*(?:,|$)')
_SCHEME = re.compile(rf"[\s,]*({_TOKEN})(?:\s+|$|(?=,))")
_BARE = re.compile(r"[A-Za-z0-9._~+/-]+=*\s*(?:,|$)")
"""What stands behind Negotiate and the like instead of parameters."""


@dataclass(frozen=True)
class Challenge:
    """One way to log in that a server offers."""

    scheme: str
    """In small letters."""
    parameters: dict[str, str]
    """By their names in small letters."""


def read_challenges(headers: Iterable[str]) -> list[Challenge]:
    """Read the values of all WWW-Authenticate headers, each of which may hold several challenges.

    What is not well formed ends the reading of its header.
    """
    found: list[Challenge] = []
    for header in headers:
        at = 0
        while scheme := _SCHEME.match(header, at):
            at, parameters = scheme.end(), dict[str, str]()
            while parameter := _PARAMETER.match(header, at):
                name, quoted, plain = parameter.groups()
                parameters.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain)
                at = parameter.end()
            if not parameters and (bare := _BARE.match(header, at)):
                at = bare.end()
            found.append(Challenge(scheme[1].lower(), parameters))
    return found


class Login:
    """A user and a password, and what a server has asked to prove them by."""

    def __init__(self, user: str, password: str, make_nonce: Callable[[], str] = lambda: os.urandom(16).hex()) -> None:
        self._user, self._password, self._make_nonce = user, password, make_nonce
        self._challenge: Challenge | None = None
        self._count = 0

    def choose(self, headers: Iterable[str]) -> None:
        """Take the strongest challenge of a server's WWW-Authenticate headers.

        Raises:
            SourceLostError: none of them can be answered.
        """
        offered = read_challenges(map(_text, headers))
        self._challenge = min((each for each in offered if _strength(each) is not None), key=_rank, default=None)
        self._count = 0
        if self._challenge is None:
            asked = ", ".join(dict.fromkeys(_named(each) for each in offered)) or "a login of no kind"
            raise SourceLostError(
                f"the server asks for {asked[:100]}, expected Basic or Digest with {' or '.join(ALGORITHMS)}; "
                "change the camera's setting for logins"
            )

    def header(self, method: str, target: str) -> str | None:
        """Return the value of Authorization for a request; None before anything was asked."""
        if self._challenge is None:
            return None
        if self._challenge.scheme == "basic":
            return "Basic " + base64.b64encode(f"{self._user}:{self._password}".encode()).decode()
        return self._digest(self._challenge.parameters, method, target)

    def _digest(self, asked: dict[str, str], method: str, target: str) -> str:
        algorithm = asked.get("algorithm", "MD5")
        name, session = _algorithm(algorithm)
        digest = ALGORITHMS[name]
        realm, nonce, own_nonce = asked.get("realm", ""), asked.get("nonce", ""), self._make_nonce()
        self._count += 1
        count = f"{self._count:08x}"
        secret = digest(f"{self._user}:{realm}:{self._password}")
        if session:
            secret = digest(f"{secret}:{nonce}:{own_nonce}")
        request = digest(f"{method}:{target}")
        by_count = "qop" in asked
        middle = f"{nonce}:{count}:{own_nonce}:auth" if by_count else nonce
        hides_user = asked.get("userhash", "").lower() == "true"
        fields = {
            "username": _quoted(digest(f"{self._user}:{realm}") if hides_user else self._user),
            "realm": _quoted(realm),
            "nonce": _quoted(nonce),
            "uri": _quoted(target),
            "response": _quoted(digest(f"{secret}:{middle}:{request}")),
        }
        if "algorithm" in asked:
            fields["algorithm"] = algorithm
        if by_count or session:
            fields |= {"cnonce": _quoted(own_nonce)}
        if by_count:
            fields |= {"qop": "auth", "nc": count}
        if hides_user:
            fields["userhash"] = "true"
        if "opaque" in asked:
            fields["opaque"] = _quoted(asked["opaque"])
        return "Digest " + ", ".join(f"{key}={value}" for key, value in fields.items())


def _algorithm(name: str) -> tuple[str, bool]:
    """Return an algorithm's name in capitals without its "-sess", and whether it had one."""
    name = name.upper()
    return name.removesuffix("-SESS"), name.endswith("-SESS")


def _strength(challenge: Challenge) -> int | None:
    """Return 0 for the strongest; None for what cannot be answered."""
    if challenge.scheme == "basic":
        return len(ALGORITHMS)
    name, _ = _algorithm(challenge.parameters.get("algorithm", "MD5"))
    qops = [each.strip().lower() for each in challenge.parameters.get("qop", "auth").split(",")]
    if challenge.scheme != "digest" or name not in ALGORITHMS or "auth" not in qops:
        return None
    return list(ALGORITHMS).index(name)


def _rank(challenge: Challenge) -> int:
    strength = _strength(challenge)
    assert strength is not None
    return strength


def _named(challenge: Challenge) -> str:
    algorithm = challenge.parameters.get("algorithm")
    shown = challenge.scheme.capitalize() + (f" with {algorithm}" if algorithm else "")
    return "".join(letter if letter.isprintable() else "?" for letter in shown)


def _text(header: str) -> str:
    """Return a header, which is Latin-1 on the wire, as the UTF-8 that it nearly always is."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    # a header is Latin-1 on the wire: a name in UTF-8 keeps its bytes
    return '"' + escaped.encode().decode("latin-1") + '"'
