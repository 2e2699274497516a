"""What each address of the page answers, but for the endless picture."""

import base64
import binascii
import dataclasses
import hmac
import ipaddress
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from edgevit.errors import MissingExtraError
from edgevit.runtime.board.report import BoardReport
from edgevit.runtime.serve.forms import Clicks, buttons, collected, hard_section
from edgevit.runtime.serve.hard import HardPictures
from edgevit.runtime.serve.metrics import CONTENT_TYPE, exposition
from edgevit.runtime.serve.page import POLICY, PageParts, health_card, page, panel
from edgevit.runtime.serve.status import RunStatus
from edgevit.runtime.serve.view import View

TEXT, HTML, JPEG = "text/plain; charset=utf-8", "text/html; charset=utf-8", "image/jpeg"
STREAM = "/stream.mjpg"


@dataclass(frozen=True, eq=False)
class PageState:
    """What there is to see."""

    view: View
    status: RunStatus
    about: dict[str, str]
    """"version", "model" and "source"."""
    board: BoardReport | None = None
    """What the board says of itself; None where no model runs."""
    hard: HardPictures = field(default_factory=HardPictures)
    """What may be put into classes."""
    clicks: Clicks | None = None
    """What buttons for classes do; None where there are none."""
    secret: str = field(default_factory=secrets.token_urlsafe, repr=False)
    """What each click carries: other websites cannot read it, so they cannot click (CSRF)."""


@dataclass(frozen=True)
class Response:
    status: int
    kind: str
    """Content-Type."""
    body: bytes
    policy: str = "default-src 'none'"


def _page(state: PageState, fields: Mapping[str, str]) -> Response:
    parts = PageParts(_panel_text(state), buttons(state.secret, state.clicks), hard_section(state.secret, state.hard))
    return Response(200, HTML, page(state.about, parts).encode(), POLICY)


def _panel(state: PageState, fields: Mapping[str, str]) -> Response:
    return Response(200, HTML, _panel_text(state).encode())


def _panel_text(state: PageState) -> str:
    if state.clicks is not None:
        return health_card(state.status.health()) + collected(state.clicks)
    return panel(state.view.shown(), state.status.snapshot())


def _hard(state: PageState, fields: Mapping[str, str]) -> Response:
    return Response(200, HTML, hard_section(state.secret, state.hard).encode())


def _hard_picture(state: PageState, fields: Mapping[str, str]) -> Response:
    try:
        return Response(200, JPEG, state.hard.read(fields.get("name", "")))
    except OSError:
        return Response(404, TEXT, b"this picture is no longer among those to sort\n")


def _picture(state: PageState, fields: Mapping[str, str]) -> Response:
    found = state.view.next_jpeg(0, 0)
    return Response(200, JPEG, found[1]) if found else Response(404, TEXT, b"no picture yet\n")


def _health(state: PageState, fields: Mapping[str, str]) -> Response:
    health = state.status.health()
    return Response(200 if health.ok else 503, TEXT, f"{health.state}: {health.reason}\n".encode("utf-8", "replace"))


def _state(state: PageState, fields: Mapping[str, str]) -> Response:
    shown, snapshot = state.view.shown(), state.status.snapshot()
    described = {
        "health": snapshot.health.state,
        "reason": snapshot.health.reason,
        "about": state.about,
        "answers": [dict(record.body) for record in shown.answers],
        "events": [dict(record.body) for record in shown.events],
        "deliveries": [
            {"to": backlog.name, "away": backlog.away, **dataclasses.asdict(backlog.counts)}
            for backlog in snapshot.backlogs
        ],
    }
    return Response(200, "application/json", json.dumps(described).encode())


def _metrics(state: PageState, fields: Mapping[str, str]) -> Response:
    try:
        return Response(200, CONTENT_TYPE, exposition(state.status, state.about, state.board))
    except MissingExtraError as error:
        return Response(501, TEXT, f"{error}\n".encode())


Route = Callable[[PageState, Mapping[str, str]], Response]
"""Takes also the fields of the query."""
ROUTES: dict[str, Route] = {
    "/": _page,
    "/panel": _panel,
    "/picture.jpg": _picture,
    "/healthz": _health,
    "/state.json": _state,
    "/metrics": _metrics,
    "/hard": _hard,
    "/hard.jpg": _hard_picture,
}


def refusal(token: str | None, authorization: str | None, host: str | None) -> Response | None:
    """Return the answer to who may not look; None to who may.

    With a token, the request must carry it. Without, the page is for this machine alone, and the request must have been
    addressed to it: else any website could have its own name resolve to 127.0.0.1 and read the camera through a browser
    here (DNS rebinding).

    Args:
        token: what to ask for.
        authorization: the request's header of this name: "Bearer TOKEN", or "Basic" with the token as password.
        host: the request's header of this name.
    """
    if token is not None:
        given = _given_token(authorization or "")
        if given is not None and hmac.compare_digest(given.encode("utf-8", "replace"), token.encode()):
            return None
        return Response(
            401, TEXT, b"a token is needed: as password with any user name, or as Authorization: Bearer TOKEN\n"
        )
    if host is None or _is_local(host):
        return None
    return Response(403, TEXT, b"this page is for 127.0.0.1 and localhost; to reach it by another name, set a token\n")


def _given_token(authorization: str) -> str | None:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            return None
    return None


def _is_local(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
