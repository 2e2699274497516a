"""No secret of an address is in anything that is printed, published, stored or in the list of processes."""

import dataclasses
import logging
import random
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgevit.errors import EdgevitError, OptionError
from edgevit.runtime.addresses.address import parse_address, resolve
from edgevit.runtime.addresses.destinations import parse_sink, parse_sinks
from edgevit.runtime.events.event import Event
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import event_record
from edgevit.runtime.sinks.opening import SinkContext, open_sinks
from edgevit.runtime.sources.connections import Connection
from edgevit.runtime.sources.frames import Clock
from edgevit.runtime.sources.grammar import Source, parse_source
from edgevit.runtime.sources.live import Live
from edgevit.runtime.sources.options import SourceOptions
from edgevit.runtime.sources.stop import Stop

Run = Callable[..., tuple[int, str, str]]

SECRET = "hay5tack"
SOURCES = {
    # what is typed: user and password that it means, or None if it is refused
    "rtsp://farm:hay5tack@127.0.0.1:1/live": ("farm", "hay5tack"),
    "rtsp://me@farm.org:hay5tack@127.0.0.1/": ("me@farm.org", "hay5tack"),
    "rtsp://farm:hay5tack/pw@127.0.0.1/x": ("farm", "hay5tack/pw"),
    "rtsp://farm:pw/hay5tack@127.0.0.1:1/x": ("farm", "pw/hay5tack"),
    "rtsp://farm:hay5tack?pw@127.0.0.1/x": ("farm", "hay5tack?pw"),
    "rtsp://farm:pw?hay5tack@127.0.0.1/x": ("farm", "pw?hay5tack"),
    "rtsp://farm:hay5tack#pw@127.0.0.1/x": ("farm", "hay5tack#pw"),
    "rtsp://farm:#hay5tack@127.0.0.1/x": ("farm", "#hay5tack"),
    "rtsp://farm:p:hay5tack@127.0.0.1/x": ("farm", "p:hay5tack"),
    "rtsp://farm:p@hay5tack@127.0.0.1/x": ("farm", "p@hay5tack"),
    "rtsp://farm:hay5tack%40%2F@127.0.0.1/x": ("farm", "hay5tack@/"),
    "rtsp://:hay5tack@127.0.0.1/x": ("", "hay5tack"),
    "rtsp://hay5tack@127.0.0.1/x": ("hay5tack", None),
    "rtsp://hay5tack:@127.0.0.1/x": ("hay5tack", ""),
    "RTSPS://farm:hay5tack@[::1]:322/x": ("farm", "hay5tack"),
    "http://farm:hay5tack@127.0.0.1:1/video": ("farm", "hay5tack"),
    "http://127.0.0.1:1/s?user=admin&password=hay5tack": (None, None),
    "http://127.0.0.1:1/s?channel=2&pwd=hay5tack": (None, None),
    "http://127.0.0.1:1/s?loginuse=a&loginpas=hay5tack#x": (None, None),
    "http://127.0.0.1:1/s?hay5tack": (None, None),
    "http://127.0.0.1:1/s?hay5tack=1": (None, None),
    "http://127.0.0.1:1/s#hay5tack": (None, None),
    "http://127.0.0.1:1/s?user=me@farm.org&password=hay5tack": (None, None),
    "rtsp://127.0.0.1:1/user=admin_password=hay5tack_channel=1_stream=0.sdp": (None, None),
    "rtsp://127.0.0.1:1/user=admin&password=hay5tack&channel=1": (None, None),
    "rtsp://farm:12/hay5tack@127.0.0.1/x": None,
    "rtsp://farm:p@hay5tack/w@127.0.0.1/x": None,
    "rtsp://farm:hay5/tack@hay5tack@127.0.0.1/x": None,
    "rtsp://farm:hay 5tack hay5tack@127.0.0.1/x": None,
    "http://farm:hay5tack@127.0.0.1:99999": None,
    "http://farm:hay5tack@/x": None,
    "http://farm:hay5tack": None,
    "http://farm:hay5tack@[::1": None,
    "tcp://farm:hay5tack@127.0.0.1": None,
    "rtmp://farm:hay5tack@127.0.0.1/x": None,
    "rtsp:/farm:hay5tack@127.0.0.1/x": None,
    "farm:hay5tack@127.0.0.1/x": None,
}
SINKS = {
    "https://127.0.0.1:1/hook?key=hay5tack": True,
    "http://127.0.0.1:1/services/T0/hay5tack": True,
    "http://127.0.0.1:1/hook?a=1&b=hay5tack#send=all": True,
    "mqtt://farm:hay5tack@127.0.0.1/a": False,
    "mqtt://farm:hay5tack/x@127.0.0.1/a": False,
    "mqtt://farm:#hay5tack@127.0.0.1/a": False,
    "mqtt://127.0.0.1/a?password=hay5tack": False,
    "mqtts://:hay5tack@127.0.0.1/a": False,
    "https://farm:hay5tack@127.0.0.1/": False,
    "https://farm:hay5tack": False,
    "ftp://farm:hay5tack@127.0.0.1/a.csv": False,
    "farm:hay5tack@127.0.0.1/hook": False,
}


def refusal(read: Callable[[], Any]) -> str:
    with pytest.raises(EdgevitError) as caught:
        read()
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_the_list_is_long_enough() -> None:
    assert len(SOURCES) + len(SINKS) >= 40
    assert all(SECRET in text for text in (*SOURCES, *SINKS))


@pytest.mark.parametrize("text", SOURCES)
def test_secret_of_a_source_is_not_shown(text: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    login = SOURCES[text]
    if login is None:
        assert SECRET not in refusal(lambda: parse_source(text, {}))
        return
    source = parse_source(text, {})
    assert (source.parts.user, source.parts.password) == login
    # written out in full it can be read in one way only
    assert parse_address(source.address, "the source", "") == dataclasses.replace(source.parts, fragment="")
    shown = [source.name, repr(source), *told_by_a_source_that_repeats_its_address(source, text)]
    assert [line for line in (*shown, caplog.text) if SECRET in line] == []
    assert source.name.startswith(("rtsp://", "RTSPS://", "http://"))


def told_by_a_source_that_repeats_its_address(source: Source, text: str) -> list[str]:
    """Return the events of a source that cannot be reached, whose library repeats what it was asked for."""

    def connect(source: Source, options: SourceOptions) -> Connection:
        raise OSError(f"no route to {text} alias {source.address}")

    live = Live(source, connect, SourceOptions(), Stop(), Clock(), random.Random(0))
    try:
        event = next(iter(live))
    finally:
        live.close()
    assert isinstance(event, Event)
    assert event.facts["reason"].startswith("no route to ")
    return [event.to_json()]


@pytest.mark.parametrize("text", SINKS)
def test_secret_of_a_destination_is_not_shown_or_stored(
    text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    around = SinkContext(spool=tmp_path, environment={})
    if not SINKS[text]:
        assert SECRET not in refusal(lambda: open_sinks(parse_sinks([text], around.environment), around))
        return
    sinks = open_sinks(parse_sinks([text], around.environment), around)
    try:
        sinks.write(event_record(Event("label", Moment("pen", 0, 0.0, 0.0), {"label": "fox"})))
        until_s = time.monotonic() + 60
        while not sinks.backlogs()[0].away:
            assert time.monotonic() < until_s
            time.sleep(0.01)
        told = str(sinks.backlogs()[0])
    finally:
        sinks.close()
    assert "records wait" in caplog.text
    assert [each for each in (told, caplog.text, repr(parse_sink(text, {}))) if SECRET in each] == []
    assert [path for path in tmp_path.iterdir() if SECRET in path.name or SECRET.encode() in path.read_bytes()] == []
    assert SECRET not in refusal(lambda: open_sinks(parse_sinks([text, text], around.environment), around))


@pytest.mark.parametrize("text", [text for text, login in SOURCES.items() if login is not None])
def test_secret_of_a_source_is_not_in_a_service_but_in_a_file_for_it(
    text: str, run: Run, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    hook = "http://127.0.0.1:1/hook?key=hay5tack"
    code, out, err = run("service", "install", "--user", tiny_model, text, "--to", hook, f"--to={hook}2#send=all")
    assert code == 0, err
    unit = (tmp_path / "systemd/user/edgevit.service").read_text()
    assert [each for each in (out, err, unit) if SECRET in each] == []
    # what the process is started with, and what systemd gives it, are together what was asked for
    (line,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    secrets = dict(each.split(":", 1) for each in settings(unit, "LoadCredential"))
    arguments = shlex.split(line.removeprefix("ExecStart=").replace("$$", "$").replace("%%", "%"))
    given = {"CREDENTIALS_DIRECTORY": str(Path(secrets["EDGEVIT_SOURCE"]).parent)} if secrets else {}
    model = arguments.index(str(tiny_model))
    assert resolve(arguments[model + 1], "the source", given) == text
    assert resolve(arguments[model + 3], "--to", given) == hook
    assert resolve(arguments[model + 5], "--to", given) == f"{hook}2#send=all"
    for path in map(Path, secrets.values()):
        assert path.stat().st_mode & 0o777 == 0o600


def settings(unit: str, name: str) -> list[str]:
    return [line.partition("=")[2] for line in unit.splitlines() if line.startswith(f"{name}=")]


def test_login_of_the_environment_is_used_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hay5tack/ #\n")
    given = {"EDGEVIT_SOURCE_USER": "farm", "EDGEVIT_SOURCE_PASSWORD_FILE": str(tmp_path / "password")}
    source = parse_source("rtsp://10.0.0.7/yard", given)
    assert (source.name, source.address) == ("rtsp://10.0.0.7/yard", "rtsp://farm:hay5tack%2F%20%23@10.0.0.7/yard")
    # a login that is typed is the one that is meant
    assert parse_source("rtsp://me:own@10.0.0.7/yard", given).parts.password == "own"
    assert parse_source("rtsp://me@10.0.0.7/yard", given).parts.user == "me"
    assert parse_source("tcp://10.0.0.7:8888", given).address == "tcp://10.0.0.7:8888"
    with pytest.raises(OptionError, match="EDGEVIT_SOURCE_PASSWORD is set, but nothing says whose it is"):
        parse_source("rtsp://10.0.0.7/yard", {"EDGEVIT_SOURCE_PASSWORD": "hay5tack"})


def test_whole_address_may_be_a_secret(tmp_path: Path) -> None:
    (tmp_path / "FARM").write_text("rtsp://farm:hay5tack@10.0.0.7/yard\n")
    assert parse_source("secret:FARM", {"CREDENTIALS_DIRECTORY": str(tmp_path)}).name == "rtsp://farm:***@10.0.0.7/yard"
    # what does not stand on the command line may hold a password
    assert parse_sink("secret:HOOK", {"HOOK": "https://farm:hay5tack@h/#send=all"}).parts.password == "hay5tack"
    with pytest.raises(OptionError, match="to= is secret:HOOK, but HOOK is not set; set it, or HOOK_FILE"):
        parse_sink("secret:HOOK", {})
    with pytest.raises(OptionError, match="expected secret:NAME"):
        parse_source("secret:../etc/shadow", {})


def test_harmless_parameters_are_shown_so_that_two_cameras_differ() -> None:
    names = [parse_source(f"http://h/s?channel={number}&token=hay5tack").name for number in (1, 2)]
    assert names == ["http://h/s?channel=1&***", "http://h/s?channel=2&***"]
