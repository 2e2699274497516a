"""Logins that HTTP cameras ask for: the examples of RFC 7616, and what is chosen of several."""

import pytest

from edgevit.errors import SourceLostError
from edgevit.runtime.sources.http_login import Login, read_challenges

REALM = 'realm="http-auth@example.org", qop="auth, auth-int"'
NONCE = 'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'


def mufasa() -> Login:
    """The user of RFC 7616, section 3.9.1."""
    return Login("Mufasa", "Circle of Life", lambda: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_digest_is_that_of_the_standards_example(algorithm: str, response: str) -> None:
    login = mufasa()
    assert login.header("GET", "/dir/index.html") is None
    login.choose([f"Digest {REALM}, algorithm={algorithm}, {NONCE}"])
    header = login.header("GET", "/dir/index.html")
    assert header is not None
    for part in (f'response="{response}"', f"algorithm={algorithm}", "qop=auth", "nc=00000001", 'username="Mufasa"'):
        assert part in header
    assert "Circle" not in header
    assert "nc=00000002" in str(login.header("GET", "/dir/index.html"))


def test_strongest_is_chosen_of_several() -> None:
    login = mufasa()
    md5, sha = (f"Digest {REALM}, algorithm={name}, {NONCE}" for name in ("MD5", "SHA-256"))
    login.choose(['Basic realm="x"', f"Negotiate abc=, {md5}, {sha}"])
    assert "algorithm=SHA-256" in str(login.header("GET", "/"))


def test_camera_without_qop_gets_the_old_form() -> None:
    """RFC 2069's example, whose digest was corrected by its erratum."""
    login = Login("Mufasa", "CircleOfLife")
    login.choose(
        ['Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9"']
    )
    header = str(login.header("GET", "/dir/index.html"))
    assert 'response="1949323746fe6a43ef61f9606e7febea"' in header
    assert "cnonce" not in header


def test_what_cannot_be_answered_is_named() -> None:
    for offered in (["Negotiate"], ['Digest realm="x", nonce="y", algorithm=SHA-3'], ["Bearer"], []):
        with pytest.raises(SourceLostError, match=r"the server asks for .*, expected Basic or Digest with SHA-512"):
            mufasa().choose(offered)


def test_challenges_that_are_not_well_formed_do_no_harm() -> None:
    assert read_challenges(['Digest realm="unfinished']) == read_challenges(["Digest "])
    assert [each.scheme for each in read_challenges(["", ",,", "=", "Basic realm=a, Digest nonce=b"])] == [
        "basic",
        "digest",
    ]
    assert read_challenges(['Basic realm="a \\"b\\" c"'])[0].parameters == {"realm": 'a "b" c'}


def test_names_beyond_ascii_keep_their_bytes() -> None:
    """A realm is echoed as it came, and hashed as its bytes."""
    login = Login("müller", "x")
    login.choose([b"Basic realm=a".decode("latin-1")])
    assert login.header("GET", "/") == "Basic bcO8bGxlcjp4"
    login.choose(['Digest realm="Höfe", nonce="n", algorithm=SHA-256'.encode().decode("latin-1")])
    header = str(login.header("GET", "/"))
    assert header.encode("latin-1").decode().startswith('Digest username="müller", realm="Höfe", nonce="n"')
