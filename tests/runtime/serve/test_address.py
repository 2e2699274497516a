"""Where the page listens, and who may see it: addresses, flags, tokens, headers."""

import contextlib
import random
from pathlib import Path

import pytest

from edgevit.errors import OptionError
from edgevit.runtime.serve.address import Access, check_access, parse_address
from edgevit.runtime.serve.answers import refusal

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("[::1]:80", ("::1", 80)),
        ("localhost:0", ("localhost", 0)),
        ("0.0.0.0:65535", ("0.0.0.0", 65535)),
    ],
)
def test_address_is_read(text: str, expected: tuple[str, int]) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize("text", ["", "8080", ":8080", "127.0.0.1", "127.0.0.1:65536", "a b:80", "http://x:80", "h:٣"])
def test_what_is_no_address_is_one_line(text: str) -> None:
    with pytest.raises(OptionError, match=r"expected an address and a port such as 127\.0\.0\.1:8080"):
        parse_address(text)


def test_random_addresses_are_read_or_refused() -> None:
    draw = random.Random(3)
    for _ in range(10_000):
        text = "".join(draw.choices("0123456789:.[]abcx%/ \n\0é-", k=draw.randrange(20)))
        with contextlib.suppress(OptionError):
            host, port = parse_address(text)
            assert host
            assert 0 <= port <= 65535


def test_page_for_others_needs_a_flag_and_a_token() -> None:
    with pytest.raises(OptionError, match=r"would show the camera to everybody on the network; add serve_anyone="):
        check_access("0.0.0.0:8080", False, {"EDGEVIT_SERVE_TOKEN": TOKEN})
    with pytest.raises(OptionError, match=r"needs a token: set EDGEVIT_SERVE_TOKEN, or EDGEVIT_SERVE_TOKEN_FILE"):
        check_access("0.0.0.0:8080", True, {})
    with pytest.raises(OptionError, match="has 4 characters, expected 16 or more"):
        check_access("0.0.0.0:8080", True, {"EDGEVIT_SERVE_TOKEN": "1234"})
    assert check_access("0.0.0.0:8080", True, {"EDGEVIT_SERVE_TOKEN": TOKEN}) == Access("0.0.0.0", 8080, TOKEN)
    assert check_access("127.0.0.1:80", False, {}) == Access("127.0.0.1", 80)


def test_token_may_stand_in_a_file_and_is_never_printed(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    access = check_access("[::]:80", True, {"EDGEVIT_SERVE_TOKEN_FILE": str(tmp_path / "token")})
    assert access.token == TOKEN
    assert TOKEN not in repr(access)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8080", None),
        ("127.0.0.1", None),
        ("[::1]:8080", None),
        (None, None),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("[", 403),
        ("192.168.1.5:8080", 403),
    ],
)
def test_name_that_a_website_chose_is_refused(host: str | None, status: int | None) -> None:
    answer = refusal(None, None, host)
    assert (answer and answer.status) == status


def test_random_headers_open_nothing() -> None:
    draw = random.Random(4)
    for _ in range(10_000):
        text = "".join(draw.choices("Bearsic 0123456789:.[]/@=%\0é\udc80", k=draw.randrange(40)))
        given = refusal(TOKEN, text, None)
        assert given is not None
        assert given.status == 401
        assert refusal(TOKEN, f"Basic {text}", text) == given
        local = refusal(None, None, text)
        assert local is None or local.status == 403
