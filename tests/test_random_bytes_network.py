"""Random byte strings from the other side of a connection: a camera's answers, and requests to the page."""

import random
from typing import Any

import pytest

from edgevit.runtime.serve.answers import ROUTES
from edgevit.runtime.serve.server import Handler
from edgevit.runtime.sources import http_request
from edgevit.runtime.sources.grammar import parse_source
from edgevit.runtime.sources.options import SourceOptions
from edgevit.runtime.sources.web import connect
from tests.random_connections import ANSWER, REQUEST, Page, PlayedStream, Wire, rubbish

ROUNDS = 2_000


def test_whatever_a_server_answers_is_pictures_or_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """An OSError is what a lost source is told by; anything else would end a run of months."""
    draw, outcomes = random.Random(12), {"pictures": 0, "loss": 0, "several lines": 0}
    monkeypatch.setattr(http_request, "SocketStream", lambda *address: PlayedStream(rubbish(draw, ANSWER)))
    source, source_options = parse_source("http://user:secret@10.0.0.7/video"), SourceOptions()
    for _ in range(ROUNDS):
        try:
            connection = connect(source, source_options)
            try:
                # the first read of a snapshot only finds out that it is one
                assert connection.read(30.0) or connection.read(30.0)
                outcomes["pictures"] += 1
            finally:
                connection.close()
        except OSError as error:
            outcomes["loss" if len(str(error).splitlines()) <= 1 else "several lines"] += 1
    assert outcomes["pictures"] > 0
    assert outcomes["loss"] + outcomes["pictures"] == ROUNDS


@pytest.mark.parametrize("token", [None, "0123456789abcdef"])
def test_whatever_is_requested_the_page_answers_with_a_status(token: str | None) -> None:
    """With a token nothing but its refusal is told, whatever the request holds."""
    draw, page, allowed = random.Random(13), Page(token), 0
    server: Any = page
    for _ in range(ROUNDS):
        request: Any = Wire(rubbish(draw, REQUEST))
        Handler(request, ("127.0.0.1", 1), server)
        answer = bytes(request.said)
        if answer.startswith(b"HTTP/"):
            status = int(answer[9:12])
            allowed += status == 200
            assert status in (200, 400, 401, 403, 404, 414, 431, 501, 503, 505)
        else:
            # HTTP/0.9 has no status; a request that says nothing gets nothing
            assert b"fox" not in answer or token is None
    assert (allowed > 0) == (token is None)
    assert set(ROUTES) >= {"/", "/panel", "/state.json"}
