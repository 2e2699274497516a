"""Delivery to a web address: one POST for each record, signed as the Standard Webhooks specification asks.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import contextlib
import datetime
import email.utils
import hashlib
import hmac
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from edgevit import __version__
from edgevit.errors import OptionError
from edgevit.runtime.addresses.address import Address, hide_secrets, login_from, parse_address
from edgevit.runtime.addresses.credentials import read_secret
from edgevit.runtime.addresses.destinations import Target
from edgevit.runtime.delivery.sender import DeliveryError, Refuse
from edgevit.runtime.delivery.stored import Stored
from edgevit.schema import is_whole

REFUSED = (400, 413, 415, 422)
"""Answers that mean this record, not this moment: trying it again would only hold up those behind it."""
LONGEST_WAIT_S = 3600.0
"""However long a server's Retry-After is."""
_PREFIX = "whsec_"


def signing_key(secret: str) -> bytes:
    """Return the key of a secret: what follows whsec_ is base64, any other text is the key itself.

    Raises:
        OptionError: it is not base64.
    """
    if not secret.startswith(_PREFIX):
        # bytes of the environment that are not UTF-8 are themselves
        return secret.encode("utf-8", "surrogateescape")
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError as error:
        raise OptionError(
            "EDGEVIT_WEBHOOK_SECRET begins with whsec_ but the rest is not base64; copy it again"
        ) from error


def signature(key: bytes, identity: str, timestamp: int, body: bytes) -> str:
    """Return the webhook-signature header: "v1," and the base64 of HMAC-SHA256 over id.timestamp.body."""
    digest = hmac.new(key, f"{identity}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def headers_from(target: Target, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that every request to a web address has: Basic authentication, and those of its options.

    The user is in the address or in EDGEVIT_WEBHOOK_USER, the password in EDGEVIT_WEBHOOK_PASSWORD[_FILE].

    Raises:
        OptionError: a secret is missing or cannot be read, or is no header's value.
    """
    headers: dict[str, str] = {}
    url = login_from(environment, "EDGEVIT_WEBHOOK", target.parts)
    if url.user is not None:
        login = f"{url.user}:{url.password or ''}".encode("utf-8", "surrogateescape")
        headers["Authorization"] = f"Basic {base64.b64encode(login).decode()}"
    for name, variable in target.options.get("header", ()):
        value = read_secret(variable, environment)
        if value is None:
            raise OptionError(
                f"--to {target.name} has a header {name}, but {variable} is not set; set it, or {variable}_FILE to the "
                "path of a file that holds it"
            )
        if not (value.isascii() and value.isprintable()):
            raise OptionError(f"{variable} is no value of a header: expected one line of ASCII")
        headers[name] = value
    return headers


class WebhookDelivery:
    """One web address; the connection is kept open for a batch."""

    def __init__(
        self,
        url: str | Address,
        secret: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
        longest_s: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Connect to nothing yet.

        Args:
            url: http:// or https://, with a path and a query of its own.
            secret: signs; None to send without a signature.
            headers: go with each request, beside those of the specification.
            timeout_s: how long the server may be silent.
            longest_s: how long it may take in all: one that sends a byte now and then is never silent.
            clock: Unix time, for the receiver, which refuses what is older than minutes.

        Raises:
            OptionError: the secret is damaged.
        """
        parts = parse_address(url, "--to", "https://example.org/hook") if isinstance(url, str) else url
        self._url = parts
        self.name = parts.site
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = dict(headers or {})
        self._secrets = tuple(_secrets_of(self._headers))
        self._key = signing_key(secret) if secret else None
        self._clock, self._longest_s = clock, longest_s
        kind = http.client.HTTPSConnection if parts.scheme.lower() == "https" else http.client.HTTPConnection
        self._connection = kind(parts.host, parts.port, timeout=timeout_s)

    def ready(self) -> None:
        """Nothing to prepare: each record finds out by itself."""

    def send(self, batch: Sequence[Stored], refuse: Refuse) -> None:
        try:
            for number, stored in enumerate(batch):
                self._send_one(stored, number, refuse)
        finally:
            self._connection.close()

    def abort(self) -> None:
        open_socket = self._connection.sock
        if open_socket is not None:
            with contextlib.suppress(OSError):  # it may have ended by itself
                open_socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._connection.close()

    def _concealed(self, text: str) -> str:
        return hide_secrets(self._url.conceal(text), self._secrets)

    def _send_one(self, stored: Stored, number: int, refuse: Refuse) -> None:
        timestamp = int(self._clock())
        headers = {
            **self._headers,
            "Content-Type": "application/json",
            "User-Agent": f"edgevit/{__version__}",
            "webhook-id": stored.id,
            "webhook-timestamp": str(timestamp),
        }
        if self._key is not None:
            headers["webhook-signature"] = signature(self._key, stored.id, timestamp, stored.body)
        watchdog = threading.Timer(self._longest_s, self.abort)
        watchdog.start()
        try:
            self._connection.request("POST", self._path, stored.body, headers)
            response = self._connection.getresponse()
            response.read(1 << 16)
        except (OSError, http.client.HTTPException) as error:
            reason = self._concealed(str(error) or type(error).__name__)
            raise DeliveryError(f"cannot deliver: {reason}", number) from error
        finally:
            watchdog.cancel()
        if not response.isclosed():  # a long answer that nobody wants
            self._connection.close()
        if 200 <= response.status < 300:
            return
        if response.status in REFUSED:
            refuse(stored, f"the server answers {response.status}")
            return
        hint = _moved(response.getheader("Location")) if 300 <= response.status < 400 else ""
        wait_s = _wait_s(response.getheader("Retry-After"), response.getheader("Date"), self._clock())
        reason = self._concealed(response.reason)
        raise DeliveryError(f"the server answers {response.status} {reason}{hint}", number, wait_s)


_SECRET = 4
"""Characters that are a key; a shorter word may be anything."""


def _secrets_of(headers: Mapping[str, str]) -> Iterator[str]:
    """Yield what of the headers nobody may read, in every form in which a server may repeat it."""
    for value in headers.values():
        scheme, *tokens = value.split() or [""]
        yield value
        for token in tokens:
            # behind the word that says what it is: Bearer, Basic
            if len(token) >= _SECRET:
                yield token
            if scheme.lower() == "basic":
                with contextlib.suppress(ValueError):  # it is no base64
                    yield base64.b64decode(token).decode("utf-8", "surrogateescape").partition(":")[2]


def _moved(place: str | None) -> str:
    """Return where an address moved to, as far as it may be shown."""
    if not place:
        return ""
    try:
        shown = parse_address(place, "the new address", "https://example.org/hook").site
    except OptionError:  # a path, or nothing that can be read
        shown = "another path"
    return f", which moved to {shown}; ask whoever runs it for the new address"


def _wait_s(retry_after: str | None, date: str | None, now_s: float) -> float:
    """Return how long Retry-After asks to wait: seconds, or a date, which is measured by the server's own clock."""
    if retry_after and is_whole(retry_after):
        return min(LONGEST_WAIT_S, float(retry_after))
    until = _moment(retry_after)
    if until is None:
        return 0.0
    since = _moment(date)
    wait_s = until.timestamp() - (now_s if since is None else since.timestamp())
    return min(LONGEST_WAIT_S, max(0.0, wait_s))


def _moment(text: str | None) -> datetime.datetime | None:
    try:
        found = email.utils.parsedate_to_datetime(text or "")
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
    # -0000 means that no zone is known; a header's date is always GMT
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)
