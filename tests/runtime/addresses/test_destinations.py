"""What --to says is read as documented, or refused in one line."""

import contextlib
from pathlib import Path

import numpy as np
import pytest

from edgevit.errors import OptionError
from edgevit.runtime.addresses.credentials import read_secret
from edgevit.runtime.addresses.destinations import OPTIONS, parse_bytes, parse_sink, parse_sinks
from edgevit.runtime.run.options import RunOptions
from edgevit.runtime.sinks.opening import default_spool_folder, spool_path
from tests.places import DOCS


@pytest.mark.parametrize(
    ("text", "kind", "place"),
    [
        ("text", "text", "-"),
        ("json", "json", "-"),
        ("csv", "csv", "-"),
        ("log/day.txt", "text", "log/day.txt"),
        ("answers.jsonl", "json", "answers.jsonl"),
        ("OUT.CSV", "csv", "OUT.CSV"),
        ("film.avi", "video", "film.avi"),
        ("film.mp4", "video", "film.mp4"),
        ("frames/", "pictures", "frames/"),
        ("/var/lib/pen.3/", "pictures", "/var/lib/pen.3/"),
        ("mqtt://10.0.0.2/farm/pen3", "mqtt", "mqtt://10.0.0.2/farm/pen3"),
        ("MQTTS://me@broker.lan:8884", "mqtt", "MQTTS://me@broker.lan:8884"),
        ("http://[::1]:8000/hook", "webhook", "http://[::1]:8000/hook"),
        ("https://example.org/hook?key=1&send=x", "webhook", "https://example.org/hook?key=1&send=x"),
    ],
)
def test_place_decides_the_kind(text: str, kind: str, place: str) -> None:
    target = parse_sink(text)
    assert (target.kind, target.place, dict(target.options), target.text) == (kind, place, {}, text)


def test_options_are_read() -> None:
    assert parse_sink("a.csv?size=5MB&keep=7&send=events").options == {"size": 5_000_000, "keep": 7, "send": "events"}
    assert parse_sink("mqtt://h/t?retain=no&discovery=homeassistant").options == {
        "retain": False,
        "discovery": "homeassistant",
    }
    hook = parse_sink("https://example.org/hook?send=mine#send=all")
    assert (hook.place, hook.sends) == ("https://example.org/hook?send=mine", "all")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no place for results; expected text, json or csv"),
        ("frames", "is no place for results"),
        ("a.xyz", "is no place for results"),
        ("ftp://host/a.csv", "is no place for results"),
        ("mqtt://", "it names no host; expected something like mqtt://192.168.1.5:1883/farm/pen3"),
        ("mqtt://host:0/a", "is not an address: its port is no number from 1 to 65535"),
        ("mqtt://host:99999/a", "is not an address: its port is no number from 1 to 65535"),
        ("mqtt://host:x/a", "is not an address: its port is no number from 1 to 65535"),
        ("mqtt://host/a b", "holds a space or control character; write a space as %20"),
        ("http://[::1/x", "is not an address: its host has a character that none has"),
        ("mqtt://host/farm/#", "has a #; a topic has none, and options follow a question mark"),
        ("mqtt://host/farm/%23", "has the topic 'farm/#'; a topic has no"),
        ("mqtt://host/a/+/b", "has the topic 'a/+/b'; a topic has no"),
        ("mqtt://host/$SYS", "a topic has no"),
        ("mqtt://host/a?qos=2", "has an option 'qos'; mqtt has send, retain, discovery"),
        ("a.csv?send=all", "has send='all': expected events or results"),
        ("a.csv?keep=1&keep=2", "has keep twice; leave one of them out"),
        ("a.csv?keep=0", "has keep='0': expected a whole number from 1"),
        ("a.csv?size=big", "expected bytes such as 500MB"),
        ("frames/?quota=", "expected bytes such as 500MB"),
        ("mqtt://host/a?retain=maybe", "has retain='maybe': expected yes or no"),
        ("https://host/#header=X-Key", "expected HEADER:NAME, with the NAME of the environment variable"),
        ("https://host/#header=Host:KEY", "this header is the board's own"),
        ("mqtt://host/a?expire_after=soon", "expected a time such as 600s, 10m or 2h"),
        ("https://host/#send=none", "expected events or results or all"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_sink(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["~/a.jsonl", "hard:~/a.jsonl", "hard:~/a.jsonl?quota=1GB"])
def test_a_home_that_no_shell_replaced_is_refused_with_what_it_stands_for(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    with pytest.raises(OptionError, match=r" has a ~, which a shell does not replace there; write /home/me/a.jsonl$"):
        parse_sink(text)


def test_a_place_is_the_same_however_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    for other in ("./a.jsonl", "link/a.jsonl", str(tmp_path / "a.jsonl")):
        with pytest.raises(OptionError, match="twice; leave one of them out"):
            parse_sinks(["a.jsonl", other])
    with pytest.raises(OptionError, match="status= link/a.jsonl is written anew every ten seconds, and to= names it"):
        RunOptions(model="m.onnx", sources=["a.jpg"], to=["a.jsonl"], status="link/a.jsonl")
    assert len(parse_sinks(["a.jsonl", "b.jsonl", "masks:a", "overlays:a"])) == 4


@pytest.mark.parametrize(
    ("text", "variable"),
    [
        ("mqtt://me:hunter2@host/a", "EDGEVIT_MQTT_PASSWORD"),
        ("mqtts://:hunter2@host/a", "EDGEVIT_MQTT_PASSWORD"),
        ("mqtt://me:hunter2/x@host/a", "EDGEVIT_MQTT_PASSWORD"),
        ("https://me:hunter2@host/a", "EDGEVIT_WEBHOOK_PASSWORD"),
        ("https://me:#hunter2@host/a", "EDGEVIT_WEBHOOK_PASSWORD"),
    ],
)
def test_password_on_the_command_line_is_refused_with_the_right_variable(text: str, variable: str) -> None:
    with pytest.raises(OptionError, match=f"give it in {variable}, or in a file whose path {variable}_FILE") as caught:
        parse_sink(text)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "size"), [("500MB", 500_000_000), ("2GiB", 2**31), ("65536", 65536), ("1.5 kb", 1500), ("10B", 10)]
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "0", "MB", "-1MB", "1PB", "1e9", "nan", "५MB", "1,5GB"])
def test_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="quota= is .*, expected bytes such as 500MB, 2GiB or 65536"):
        parse_bytes(text, "--quota")


def test_ten_thousand_random_texts_are_read_or_refused() -> None:
    random = np.random.default_rng(3)
    beginnings = ("", "mqtt://", "http://", "mqtt://h/t?", "a.csv?", "https://h/#", "frames/?")
    for number in range(10_000):
        tail = bytes(random.integers(0, 256, random.integers(0, 16), np.uint8)).decode("latin-1")
        for read in (parse_sink, parse_bytes):
            with contextlib.suppress(OptionError):
                read(beginnings[number % len(beginnings)] + tail)


def test_every_kind_and_option_is_described() -> None:
    text = (DOCS / "sinks.md").read_text()
    assert [name for options in OPTIONS.values() for name in options if f"`{name}=" not in text] == []


def test_secret_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("open sesame\nsecond line\n")
    assert read_secret("S", {"S": "plain"}) == "plain"
    assert read_secret("S", {"S_FILE": str(tmp_path / "secret")}) == "open sesame"
    assert read_secret("S", {"S": ""}) is None


def test_mark_that_windows_puts_before_a_text_is_no_part_of_a_secret(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("open sesame\n", "utf-8-sig")
    assert read_secret("S", {"S_FILE": str(tmp_path / "secret")}) == "open sesame"


def test_secret_that_is_unclear_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for environment, message in (
        ({"S": "a", "S_FILE": "b"}, "S and S_FILE are both set; unset one"),
        ({"S_FILE": str(tmp_path / "none")}, "which cannot be read: No such file"),
        ({"S_FILE": str(tmp_path / "empty")}, "whose first line is empty"),
        ({"S_FILE": str(tmp_path / "binary")}, "it is not text in UTF-8"),
    ):
        with pytest.raises(OptionError, match=message):
            read_secret("S", environment)


def test_spools_lie_where_a_service_or_a_user_may_write() -> None:
    assert default_spool_folder({"STATE_DIRECTORY": "/var/lib/edgevit:/x"}) == Path("/var/lib/edgevit/spool")
    assert default_spool_folder({"XDG_STATE_HOME": "/home/me/state"}) == Path("/home/me/state/edgevit/spool")
    assert default_spool_folder({}) == Path.home() / ".local/state/edgevit/spool"


def test_each_destination_has_a_spool_of_its_own() -> None:
    folder = Path("spool")
    places = ["mqtt://h:1883/a", "mqtt://h:1883/b", "https://h/a", "https://h/a?key=1", "https://h/a?key=2"]
    urls = [parse_sink(place).parts for place in places]
    names = [spool_path(folder, url, url.shown).name for url in urls]
    assert len(set(names)) == 5
    assert all(name.startswith(("mqtt-h-", "https-h-")) and name.endswith(".sqlite") for name in names)
