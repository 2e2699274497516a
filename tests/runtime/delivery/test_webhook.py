"""Against a real HTTP server on loopback: one that fails, stalls, refuses, and returns."""

import base64
import contextlib
import hashlib
import hmac
import json
import logging
import random
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from edgevit.errors import OptionError
from edgevit.runtime.addresses.destinations import parse_sinks
from edgevit.runtime.backoff import Backoff
from edgevit.runtime.delivery.sender import DeliveryError, SpooledSink
from edgevit.runtime.delivery.spool import Spool
from edgevit.runtime.delivery.stored import Stored
from edgevit.runtime.delivery.webhook import WebhookDelivery, headers_from
from edgevit.runtime.events.event import Event
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import Record, event_record
from edgevit.runtime.sinks.combining import Sinks
from edgevit.runtime.sinks.opening import SinkContext, open_sinks
from tests.ports import refusing_port
from tests.waiting import GENEROUS_S, no_thread_left, wait_for

FAST = Backoff(first_s=0.02, most_s=0.1)


class Server:
    """Answers as the test says; keeps what it accepted with 200."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = []
        """Status and headers of the next answers; 200 when there are none. Status 0 says nothing until `release`."""
        self.accepted: list[tuple[dict[str, str], bytes]] = []
        self.requests: list[tuple[str, str]] = []
        self.release = threading.Event()
        self.reason: str | None = None
        """What stands behind the status; None for what is usual there."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.requests.append((self.path, self.headers["webhook-id"]))
                status, headers = server.answers.pop(0) if server.answers else (200, {})
                if status == 0:
                    server.release.wait(GENEROUS_S)
                    self.close_connection = True
                    return
                if status == 200:
                    server.accepted.append((dict(self.headers), body))
                self.send_response(status, server.reason)
                for name, value in {"Content-Length": "2", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook?key=1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def ids(self) -> list[str]:
        return [json.loads(body)["id"] for _, body in self.accepted]

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def record(number: int) -> Record:
    return event_record(Event("label", Moment("pen", number, number, 1e9 + number), {"label": f"é{number}"}))


def nothing_refused(stored: Stored, reason: str) -> None:
    raise AssertionError(f"{stored.id} was refused: {reason}")


def open_sink(folder: Path, url: str, secret: str | None = None, timeout_s: float = 10.0) -> SpooledSink:
    spool = Spool(folder / "spool.sqlite", 10_000_000)
    return SpooledSink(spool, WebhookDelivery(url, secret, timeout_s=timeout_s), backoff=FAST)


def test_records_arrive_in_order_signed_as_the_standard_says(tmp_path: Path, server: Server) -> None:
    key = b"a key of the receiver's own choice"
    sink = open_sink(tmp_path, server.url, "whsec_" + base64.b64encode(key).decode())
    for number in range(120):
        sink.write(record(number))
    wait_for(lambda: len(server.accepted) == 120)
    sink.close()
    assert server.ids() == [record(number).id for number in range(120)]
    assert {path for path, _ in server.requests} == {"/hook?key=1"}
    for headers, body in server.accepted:
        assert json.loads(body)["id"] == headers["webhook-id"]
        assert headers["Content-Type"] == "application/json"
        signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"


def test_without_a_secret_nothing_is_signed(tmp_path: Path, server: Server) -> None:
    sink = open_sink(tmp_path, server.url)
    sink.write(record(1))
    wait_for(lambda: server.accepted)
    sink.close()
    assert "webhook-signature" not in server.accepted[0][0]


@pytest.mark.parametrize("status", [500, 503, 429, 404, 401, 302])
def test_failing_server_is_tried_again_until_it_takes_the_record(
    tmp_path: Path, server: Server, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers = [(200, {}), *[(status, {})] * 3]
    sink = open_sink(tmp_path, server.url)
    for number in range(5):
        sink.write(record(number))
    wait_for(lambda: len(server.accepted) == 5)
    sink.close()
    assert server.ids() == [record(number).id for number in range(5)]
    assert len([message for message in caplog.messages if f"the server answers {status}" in message]) == 1


def test_moved_server_is_said_and_not_followed(
    tmp_path: Path, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers = [(301, {"Location": "http://127.0.0.1:1/else"})]
    sink = open_sink(tmp_path, server.url)
    sink.write(record(1))
    wait_for(lambda: server.accepted)
    sink.close()
    assert "which moved to http://127.0.0.1:1/***; ask whoever runs it for the new address" in caplog.text


def test_record_that_the_server_refuses_does_not_hold_up_the_others(
    tmp_path: Path, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers = [(200, {}), (422, {}), (200, {})]
    sink = open_sink(tmp_path, server.url)
    for number in range(3):
        sink.write(record(number))
    wait_for(lambda: len(server.accepted) == 2)
    sink.close()
    assert server.ids() == [record(0).id, record(2).id]
    assert f"record {record(1).id} is given up and kept: the server answers 422; 1 so far" in caplog.text
    ((kept, reason),) = Spool(tmp_path / "spool.sqlite", 10_000_000).refused(9)
    assert (kept.id, kept.body.decode(), reason) == (record(1).id, record(1).to_json(), "the server answers 422")


def test_stalled_server_is_given_up_and_asked_again(tmp_path: Path, server: Server) -> None:
    server.answers = [(0, {}), (0, {})]
    sink = open_sink(tmp_path, server.url, timeout_s=0.5)
    for number in range(3):
        sink.write(record(number))
    # one that is accepted late comes again
    wait_for(lambda: len(set(server.ids())) == 3)
    sink.close()
    assert list(dict.fromkeys(server.ids())) == [record(number).id for number in range(3)]
    assert [identity for _, identity in server.requests[:3]] == [record(0).id] * 3


def test_closing_does_not_wait_for_a_stalled_server(tmp_path: Path, server: Server) -> None:
    server.answers = [(0, {})]
    spool = Spool(tmp_path / "spool.sqlite", 10_000_000)
    with no_thread_left():
        sink = SpooledSink(spool, WebhookDelivery(server.url, timeout_s=3600), backoff=FAST, drain_s=0.1)
        sink.write(record(1))
        wait_for(lambda: server.requests)
        sink.close()
    assert [stored.id for stored in Spool(tmp_path / "spool.sqlite", 10_000_000).oldest(9)] == [record(1).id]


def test_closing_several_takes_no_longer_than_one(tmp_path: Path, server: Server) -> None:
    """All begin to end before the first is waited for."""
    calls: list[str] = []

    class Noting(SpooledSink):
        def finish(self) -> None:
            calls.append("finish")
            super().finish()

        def close(self) -> None:
            calls.append("close")
            super().close()

    server.answers = [(0, {})] * 4
    spools = [Spool(tmp_path / f"{number}.sqlite", 10_000_000) for number in range(4)]
    sinks = [Noting(spool, WebhookDelivery(server.url, timeout_s=3600), drain_s=0.1) for spool in spools]
    for sink in sinks:
        sink.write(record(1))
    wait_for(lambda: len(server.requests) == 4)
    Sinks(sinks).close()
    assert calls[:5] == ["finish"] * 4 + ["close"]


def test_server_that_drips_is_given_up() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def drip() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                while True:
                    connection.sendall(b"H")
                    time.sleep(0.02)

        thread = threading.Thread(target=drip)
        thread.start()
        delivery = WebhookDelivery(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout_s=3600, longest_s=0.3)
        with pytest.raises(DeliveryError, match="cannot deliver: "):
            delivery.send([Stored(1, "1", "label", b"{}")], nothing_refused)
        thread.join()


def test_server_that_asks_for_patience_gets_it(server: Server) -> None:
    server.answers = [(503, {"Retry-After": "7"}), (503, {"Retry-After": "999999"}), (503, {"Retry-After": "soon"})]
    delivery = WebhookDelivery(server.url)
    waits = []
    for _ in range(3):
        with pytest.raises(DeliveryError) as caught:
            delivery.send([Stored(1, "1", "label", b"{}")], nothing_refused)
        waits.append(caught.value.wait_s)
    assert waits == [7, 3600, 0]


@pytest.mark.parametrize(
    ("retry_after", "date", "wait_s"),
    [
        # by the server's own clock, which may be another one than the board's
        ("Fri, 20 Nov 2026 12:02:00 GMT", "Fri, 20 Nov 2026 12:00:00 GMT", 120),
        ("Friday, 20-Nov-26 12:02:00 GMT", "Fri, 20 Nov 2026 12:00:30 GMT", 90),
        ("Fri, 20 Nov 2026 11:00:00 GMT", "Fri, 20 Nov 2026 12:00:00 GMT", 0),
        ("Sun, 20 Nov 2099 11:00:00 GMT", "Fri, 20 Nov 2026 12:00:00 GMT", 3600),
        ("Fri, 20 Nov 2026 12:02:00 GMT", "rubbish", 60),
        ("Fri, 99 Nov 2026 12:02:00 GMT", "Fri, 20 Nov 2026 12:00:00 GMT", 0),
    ],
)
def test_server_that_names_a_date_gets_until_then(retry_after: str, date: str, wait_s: float) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                head = f"HTTP/1.1 503 Busy\r\nRetry-After: {retry_after}\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n"
                connection.sendall(head.encode())

        thread = threading.Thread(target=answer)
        thread.start()
        # 20 November 2026, 12:01:00 UTC
        noon_and_a_minute = 1_795_176_060.0
        delivery = WebhookDelivery(
            f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout_s=GENEROUS_S, clock=lambda: noon_and_a_minute
        )
        with pytest.raises(DeliveryError) as caught:
            delivery.send([Stored(1, "1", "label", b"{}")], nothing_refused)
        thread.join()
    assert caught.value.wait_s == wait_s


def test_login_and_headers_of_ones_own_are_sent(tmp_path: Path, server: Server) -> None:
    (tmp_path / "key").write_text("from a file\n")
    given = {
        "EDGEVIT_WEBHOOK_USER": "Aladdin",
        "EDGEVIT_WEBHOOK_PASSWORD": "open sesame",
        "FARM_KEY_FILE": str(tmp_path / "key"),
        "FARM_PEN": "3",
    }
    place = f"{server.url}#header=X-Api-Key:FARM_KEY&header=X-Pen:FARM_PEN"
    sinks = open_sinks(parse_sinks([place]), SinkContext(spool=tmp_path / "spool", environment=given))
    sinks.write(record(1))
    wait_for(lambda: server.accepted)
    sinks.close()
    headers, _ = server.accepted[0]
    # the example of RFC 7617
    assert headers["Authorization"] == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert (headers["X-Api-Key"], headers["X-Pen"]) == ("from a file", "3")
    with pytest.raises(OptionError, match="has a header X-Pen, but FARM_PEN is not set; set it, or FARM_PEN_FILE"):
        open_sinks(parse_sinks([place]), SinkContext(spool=tmp_path / "spool", environment={"FARM_KEY": "x"}))


def test_two_addresses_that_differ_in_the_query_have_two_spools(tmp_path: Path, server: Server) -> None:
    base = server.url.partition("?")[0]
    sinks = open_sinks(parse_sinks([f"{base}?pen=1", f"{base}?pen=2"]), SinkContext(spool=tmp_path, environment={}))
    sinks.write(record(1))
    wait_for(lambda: len(server.requests) == 2)
    assert {path for path, _ in server.requests} == {"/hook?pen=1", "/hook?pen=2"}
    sinks.close()
    assert len(list(tmp_path.glob("*.sqlite"))) == 2


def test_server_that_is_away_is_one_line_without_what_the_address_hides(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with refusing_port() as port:
        sink = open_sink(tmp_path, f"http://127.0.0.1:{port}/hook?key=1")
        sink.write(record(1))
        wait_for(lambda: caplog.messages)
        time.sleep(0.3)  # further attempts say nothing more
        assert len(caplog.messages) == 1
        assert "Connection refused; records wait in" in caplog.messages[0]
        assert "key=1" not in caplog.text
        sink.close()


def test_rubbish_for_an_answer_is_no_delivery_and_no_crash() -> None:
    chance = random.Random(4)
    beginnings = (b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\nContent-Length: ", b"HTTP/1.1 503 \r\nRetry-After: ")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def answer() -> None:
            for number in range(1000):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(beginnings[number % 4] + chance.randbytes(chance.randrange(60)) + b"\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        delivery = WebhookDelivery(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout_s=GENEROUS_S)
        outcomes: set[bool | str] = set()
        for _ in range(1000):
            try:
                delivery.send([Stored(1, "1", "label", b"{}")], nothing_refused)
                outcomes.add("delivered")  # rubbish may begin with a length that fits
            except DeliveryError as error:
                outcomes.add(not str(error).isprintable())
        thread.join()
    assert outcomes <= {False, "delivered"}


def test_secrets_that_a_server_repeats_are_not_told(server: Server) -> None:
    """A proxy that is being debugged may answer with what it was sent; the log is read by many."""
    target = parse_sinks([f"{server.url}#header=X-Api-Key:FARM_KEY"])[0]
    login = {"EDGEVIT_WEBHOOK_USER": "farm", "EDGEVIT_WEBHOOK_PASSWORD": "open-sesame", "FARM_KEY": "k3y-of-the-farm"}
    headers = headers_from(target, login)
    server.reason = f"got {headers['Authorization']} (farm:open-sesame) and {headers['X-Api-Key']}"
    server.answers = [(500, {})]
    with pytest.raises(DeliveryError) as caught:
        WebhookDelivery(server.url, headers=headers).send([Stored(1, "1", "label", b"{}")], nothing_refused)
    assert str(caught.value) == "the server answers 500 got *** (farm:***) and ***"


@pytest.mark.parametrize(
    "value", ["Bearer s3cret-token-1", "bearer  s3cret-token-1", "Basic s3cret-token-1", "s3cret-token-1"]
)
def test_token_of_any_kind_that_a_server_repeats_is_not_told(server: Server, value: str) -> None:
    server.reason = "invalid token s3cret-token-1"
    server.answers = [(500, {})]
    with pytest.raises(DeliveryError) as caught:
        WebhookDelivery(server.url, headers={"Authorization": value}).send(
            [Stored(1, "1", "label", b"{}")], nothing_refused
        )
    assert str(caught.value) == "the server answers 500 invalid token ***"


def test_secret_that_was_cut_is_refused() -> None:
    with pytest.raises(OptionError, match="EDGEVIT_WEBHOOK_SECRET begins with whsec_ but the rest is not base64"):
        WebhookDelivery("http://127.0.0.1/", "whsec_abc")
