"""Delivery to a web address: one POST for each record, signed as the Standard Webhooks specification asks.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import contextlib
import hashlib
import hmac
import http.client
import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from edgevit import __version__
from edgevit.errors import OptionError
from edgevit.runtime.delivery.sender import DeliveryError
from edgevit.runtime.delivery.spool import Stored

log = logging.getLogger(__name__)

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


class WebhookDelivery:
    """One web address; the connection is kept open for a batch."""

    def __init__(
        self,
        url: str,
        secret: str | None = None,
        *,
        timeout_s: float = 10.0,
        longest_s: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Connect to nothing yet.

        Args:
            url: http:// or https://, with a path and a query of its own.
            secret: signs; None to send without a signature.
            timeout_s: how long the server may be silent.
            longest_s: how long it may take in all: one that sends a byte now and then is never silent.
            clock: Unix time, for the receiver, which refuses what is older than minutes.

        Raises:
            OptionError: the secret is damaged.
        """
        parts = urlsplit(url)
        # what follows the question mark is often a password
        self.name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._key = signing_key(secret) if secret else None
        self._clock, self._longest_s = clock, longest_s
        kind = http.client.HTTPSConnection if parts.scheme.lower() == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
        self._refused = 0

    def ready(self) -> None:
        """Nothing to prepare: each record finds out by itself."""

    def send(self, batch: Sequence[Stored]) -> None:
        try:
            for number, stored in enumerate(batch):
                self._send_one(stored, number)
        finally:
            self._connection.close()

    def abort(self) -> None:
        open_socket = self._connection.sock
        if open_socket is not None:
            with contextlib.suppress(OSError):  # it may have ended by itself
                open_socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._connection.close()

    def _send_one(self, stored: Stored, number: int) -> None:
        timestamp = int(self._clock())
        headers = {
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
            raise DeliveryError(f"cannot deliver: {str(error) or type(error).__name__}", number) from error
        finally:
            watchdog.cancel()
        if not response.isclosed():  # a long answer that nobody wants
            self._connection.close()
        if 200 <= response.status < 300:
            return
        if response.status in REFUSED:
            self._note_refused(stored, response.status)
            return
        place = response.getheader("Location")
        hint = f", which moved to {place}; give that address" if place and 300 <= response.status < 400 else ""
        wait_s = _seconds(response.getheader("Retry-After"))
        raise DeliveryError(f"the server answers {response.status} {response.reason}{hint}", number, wait_s)

    def _note_refused(self, stored: Stored, status: int) -> None:
        self._refused += 1
        if set(str(self._refused)[1:]) <= {"0"} and str(self._refused)[0] == "1":  # 1, 10, 100 ...
            log.error("%s refuses record %s with %d; given up, %d so far", self.name, stored.id, status, self._refused)


def _seconds(text: str | None) -> float:
    return min(LONGEST_WAIT_S, float(text)) if text and text.isascii() and text.isdecimal() else 0.0
