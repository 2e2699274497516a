"""Clicks on the page: who may, what they move, and what they cannot reach."""

import contextlib
import http.client
import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgevit.runtime.serve.address import Access
from edgevit.runtime.serve.answers import PageState
from edgevit.runtime.serve.server import Server
from edgevit.runtime.serve.status import RunStatus
from edgevit.runtime.serve.view import View
from edgevit.runtime.sinks.folder import MARK, BoundedFolder
from tests.waiting import GENEROUS_S

TOKEN = "0123456789abcdef"


class Page:
    """A run with five hard pictures, and the server that shows them."""

    def __init__(self, folder: Path, token: str | None = None) -> None:
        self.hard = BoundedFolder(folder, 10**6)
        for number in range(5):
            self.hard.store("fox", "-unsure-0.48", bytes([number]) * 100, sort=True)
        about = {"version": "1", "model": "m.onnx", "source": "camera:0"}
        self.state = PageState(View(), RunStatus(60.0), about)
        self.state.hard.include([self.hard], ["fox", "hen", "n/a"])
        self.server = Server(Access("127.0.0.1", 0, token), self.state)

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", int(self.server.server_address[1]), timeout=GENEROUS_S)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def click(self, path: str = "/sort", **fields: str) -> tuple[int, bytes]:
        return self.ask("POST", path, urllib.parse.urlencode({"secret": self.state.secret, **fields}).encode())


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    made = Page(tmp_path / "hard")
    yield made
    made.server.close()


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_page_shows_the_newest_first_with_a_button_for_each_class(page: Page) -> None:
    text = page.ask("GET", "/")[1].decode()
    shown = re.findall(r'name="name" value="([^"]+)"', text)
    assert shown == [f"0/fox/{number:08d}-fox-unsure-0.48.jpg" for number in (4, 3, 2, 1, 0)]
    assert re.findall(r'<button name="label" value="([^"]+)"', text)[:3] == ["fox", "hen", "n/a"]
    status, picture = page.ask("GET", f"/hard.jpg?name={shown[0]}")
    assert (status, picture.replace(MARK, b"")) == (200, bytes([4]) * 100)
    assert page.ask("GET", "/hard")[1].decode() in text


def test_click_moves_a_picture_into_its_class_where_no_quota_reaches_it(page: Page) -> None:
    status, told = page.click(name="0/fox/00000003-fox-unsure-0.48.jpg", label="hen")
    assert (status, told) == (303, b"sorted-00000003-fox-unsure-0.48.jpg is in hen\n")
    assert (page.hard.root / "hen" / "sorted-00000003-fox-unsure-0.48.jpg").read_bytes().replace(MARK, b"") == bytes(
        [3]
    ) * 100
    # one that was right stays in its class, and no longer waits
    assert page.click(name="0/fox/00000002-fox-unsure-0.48.jpg", label="fox")[0] == 303
    assert page.click(name="0/fox/00000001-fox-unsure-0.48.jpg", label="n/a")[0] == 303
    assert [path.name[:8] for path in page.hard.newest(9)] == ["00000004", "00000000"]
    page.hard.close()
    BoundedFolder(page.hard.root, 1)
    assert files(page.hard.root) == [
        "fox/sorted-00000002-fox-unsure-0.48.jpg",
        "hen/sorted-00000003-fox-unsure-0.48.jpg",
        "n_a/sorted-00000001-fox-unsure-0.48.jpg",
    ]


def test_picture_of_the_same_name_is_never_replaced(page: Page) -> None:
    (page.hard.root / "hen").mkdir()
    (page.hard.root / "hen" / "sorted-00000003-fox-unsure-0.48.jpg").write_bytes(b"older")
    assert page.click(name="0/fox/00000003-fox-unsure-0.48.jpg", label="hen")[0] == 303
    assert (page.hard.root / "hen" / "sorted-00000003-fox-unsure-0.48.jpg").read_bytes() == b"older"
    assert (page.hard.root / "hen" / "sorted-00000003-fox-unsure-0.48-2.jpg").read_bytes().replace(MARK, b"") == bytes(
        [3]
    ) * 100


@pytest.mark.parametrize(
    "name",
    [
        "0/../secret.jpg",
        "0/fox/../../secret.jpg",
        "/etc/passwd",
        "1/fox/00000003-fox-unsure-0.48.jpg",
        "0/fox/",
        "",
        "0/fox/00000003-fox-unsure-0.48.jpg\0",
    ],
)
def test_names_are_looked_up_and_never_followed(page: Page, name: str) -> None:
    (page.hard.root.parent / "secret.jpg").write_bytes(b"secret")
    before = files(page.hard.root.parent)
    assert page.click(name=name, label="hen")[0] == 409
    assert page.ask("GET", f"/hard.jpg?name={urllib.parse.quote(name)}")[0] == 404
    assert files(page.hard.root.parent) == before


@pytest.mark.parametrize("label", ["../../etc", "cow", "", "/tmp"])
def test_class_is_one_of_the_models(page: Page, label: str) -> None:
    before = files(page.hard.root.parent)
    assert page.click(name="0/fox/00000003-fox-unsure-0.48.jpg", label=label)[0] == 409
    assert files(page.hard.root.parent) == before


def test_click_of_another_website_does_nothing(page: Page) -> None:
    """It can send a form, but cannot read the secret that each form of the page carries."""
    form = {"name": "0/fox/00000003-fox-unsure-0.48.jpg", "label": "hen"}
    for secret in ({}, {"secret": ""}, {"secret": "guessed"}, {"secret": "\u00e9"}):
        assert page.ask("POST", "/sort", urllib.parse.urlencode({**form, **secret}).encode())[0] == 403
    body = urllib.parse.urlencode({**form, "secret": page.state.secret}).encode()
    # DNS rebinding: addressed to a name of its own
    assert page.ask("POST", "/sort", body, Host="evil.example")[0] == 403
    assert len(page.hard.newest(9)) == 5


def test_who_may_not_look_may_not_click(tmp_path: Path) -> None:
    page = Page(tmp_path, TOKEN)
    try:
        body = urllib.parse.urlencode({"secret": page.state.secret, "name": "x", "label": "hen"}).encode()
        assert page.ask("POST", "/sort", body)[0] == 401
        assert page.ask("POST", "/sort", body, Authorization=f"Bearer {TOKEN}")[0] == 409
    finally:
        page.server.close()


def test_body_is_bounded(page: Page) -> None:
    assert page.ask("POST", "/sort", bytes(4097))[0] == 413
    assert page.ask("POST", "/sort", b"", **{"Content-Length": "-1"})[0] == 411
    assert page.ask("POST", "/sort", b"", **{"Content-Length": "9" * 30})[0] == 411
    assert page.ask("POST", "/sort", b"&".join(b"a=b" for _ in range(900)))[0] == 403
    assert page.click("/nothing")[0] == 404


def test_run_has_no_buttons_to_collect_with(page: Page) -> None:
    assert page.click("/keep", label="hen")[0] == 409
    assert b'action="keep"' not in page.ask("GET", "/")[1]
