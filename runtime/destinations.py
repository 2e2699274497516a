"""What `--to` says: a file, a folder, a broker (options after a question mark) or a web address (after a hash)."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from edgevit.errors import OptionError

SENDS = ("events", "results", "all")
"""What a sink may be asked to take: what happened, the answer for each frame, or both."""
FORMS = (
    "text, json or csv (stdout); NAME.txt, .jsonl, .csv, .avi or .mp4; FOLDER/; hard:FOLDER, masks:FOLDER or "
    "overlays:FOLDER; mqtt://HOST/TOPIC; https://..."
)

SUFFIXES = {
    ".txt": "text",
    ".log": "text",
    ".jsonl": "json",
    ".ndjson": "json",
    ".json": "json",
    ".csv": "csv",
    ".avi": "video",
    ".mp4": "video",
    ".mkv": "video",
}
SCHEMES = {"mqtt": "mqtt", "mqtts": "mqtt", "http": "webhook", "https": "webhook"}
FOLDERS = ("hard", "masks", "overlays")
"""Kinds whose name stands before a folder: hard:DIR."""
STDOUT = "-"

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


@dataclass(frozen=True)
class Target:
    """Where records go."""

    kind: str
    """A key of OPTIONS."""
    place: str
    """A path, an address without options, or STDOUT."""
    options: Mapping[str, Any]
    """Those that were given, read."""
    text: str
    """As it was written."""

    @property
    def sends(self) -> str | None:
        """What of SENDS was asked for; None for the kind's own choice."""
        value = self.options.get("send")
        return None if value is None else str(value)


def parse_sink(text: str) -> Target:
    """Read what follows `--to`.

    Raises:
        OptionError: it names no kind of sink, an option that its kind does not have, or a password.
    """
    if text in ("text", "json", "csv"):
        return Target(text, STDOUT, {}, text)
    kind = _kind(text, text.partition("?")[0])
    # a web address has a query of its own, but what follows # is never sent
    place, _, query = text.partition("#" if kind == "webhook" else "?")
    if kind in ("mqtt", "webhook"):
        _check_address(text, place)
    if kind in FOLDERS:
        place = place.partition(":")[2]
    return Target(kind, place, _options(text, kind, query), text)


def parse_sinks(texts: Iterable[str]) -> tuple[Target, ...]:
    """Read what follows each `--to`.

    Raises:
        OptionError: one cannot be read, or stands twice.
    """
    targets = tuple(parse_sink(text) for text in texts)
    # a picture's mask and its overlay may lie side by side
    places = [(target.kind if target.kind in FOLDERS else "", target.place) for target in targets]
    for place in places:
        if places.count(place) > 1:
            raise OptionError(f"--to names {'stdout' if place[1] == STDOUT else place[1]} twice; leave one of them out")
    return targets


def parse_size(text: str, name: str = "a size") -> int:
    """Read "500MB", "1.5GiB" or "4096": bytes."""
    match = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*([A-Za-z]{0,3})", text.strip())
    if not match or match[2].upper() not in _UNITS or float(match[1]) == 0:
        raise OptionError(f"{name} is {text!r}, expected bytes such as 500MB, 2GiB or 65536")
    return round(float(match[1]) * _UNITS[match[2].upper()])


def _kind(text: str, place: str) -> str:
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", place)
    if scheme and scheme[1].lower() in SCHEMES:
        return SCHEMES[scheme[1].lower()]
    kind, colon, folder = place.partition(":")
    if not scheme and colon and folder and kind in FOLDERS:
        return kind
    suffix = re.search(r"\.[A-Za-z0-9]+$", place)
    if not scheme and place.endswith("/"):
        return "pictures"
    if scheme or not suffix or suffix[0].lower() not in SUFFIXES:
        raise OptionError(f"--to {text!r} is no place for results; expected {FORMS}")
    return SUFFIXES[suffix[0].lower()]


def _check_address(text: str, place: str) -> None:
    if not text.isprintable() or " " in text:
        # not repeated: a password may be in it
        raise OptionError("an address after --to holds a space or control character; write a space as %20")
    try:
        parts = urlsplit(place)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise OptionError(f"--to {text!r} is no address: {error}") from error
    if parts.password is not None:
        # it could be read in the list of processes; it must not be repeated here either
        raise OptionError(
            f"--to {parts.scheme}://{host} holds a password that everybody on this machine can read; give it in "
            "EDGEVIT_MQTT_PASSWORD or EDGEVIT_MQTT_PASSWORD_FILE, or sign with EDGEVIT_WEBHOOK_SECRET"
        )
    if not host or port == 0:
        raise OptionError(f"--to {text!r} is no address; expected one such as mqtt://192.168.1.5:1883/farm/pen3")
    if parts.username is not None and not parts.scheme.lower().startswith("mqtt"):
        raise OptionError(
            f"--to {text!r} holds a user, which a web address here cannot; sign with EDGEVIT_WEBHOOK_SECRET"
        )
    topic = unquote(place.partition("//")[2].partition("/")[2].strip("/"))
    if parts.scheme.lower().startswith("mqtt") and (set("+#\0") & set(topic) or topic.startswith("$")):
        raise OptionError(f"--to {text!r} has the topic {topic!r}; a topic has no + or # and does not begin with $")


def _options(text: str, kind: str, query: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    known = OPTIONS[kind]
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            raise OptionError(f"--to {text!r} has an option {name!r}; {kind} has {', '.join(known) or 'none'}")
        try:
            found[name] = known[name](value)
        except ValueError as error:
            raise OptionError(f"--to {text!r} has {name}={value!r}: {error}") from error
    return found


def _one_of(*values: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in values:
            raise ValueError(f"expected {' or '.join(values)}")
        return text

    return read


def _whole(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) == 0:
        raise ValueError("expected a whole number from 1")
    return int(text)


def _yes(text: str) -> bool:
    return _one_of("yes", "no")(text) == "yes"


def _text(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError("expected text")
    return text


Reader = Callable[[str], Any]
_SEND: dict[str, Reader] = {"send": _one_of(*SENDS)}
_ROTATED: dict[str, Reader] = {**_SEND, "size": parse_size, "keep": _whole}

OPTIONS: dict[str, dict[str, Reader]] = {
    "text": _ROTATED,
    "json": _ROTATED,
    "csv": {**_ROTATED, "send": _one_of("events", "results")},
    "pictures": {**_SEND, "quota": parse_size},
    "hard": {"quota": parse_size},
    "masks": {},
    "overlays": {},
    "video": {"fps": _whole},
    "mqtt": {
        **_SEND,
        "retain": _yes,
        "discovery": _text,
        "client": _text,
        "ca": _text,
        "cert": _text,
        "key": _text,
    },
    "webhook": _SEND,
}
"""Kind of sink to its options and what reads them; docs/sinks.md describes them."""
