"""What `--to` says: a file, a folder, a broker (options after a question mark) or a web address (after a hash)."""

import dataclasses
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from edgevit.errors import OptionError
from edgevit.runtime.addresses.address import Address, parse_address, resolve, scheme_of

SENDS = ("events", "results", "all")
"""What a sink may be asked to take: what happened, the answer for each frame, or both."""
FORMS = (
    "text, json or csv (stdout); NAME.txt, .jsonl, .csv, .avi or .mp4; FOLDER/; hard:FOLDER, masks:FOLDER, "
    "overlays:FOLDER or labels:FOLDER; mqtt://HOST/TOPIC; https://..."
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
EXAMPLES = {"mqtt": "mqtt://192.168.1.5:1883/farm/pen3", "webhook": "https://example.org/hook"}
FOLDERS = ("hard", "masks", "overlays", "labels")
"""Kinds whose name stands before a folder: hard:DIR."""
NAMED_AS_SOURCES = {"masks": ".png", "overlays": ".jpg"}
"""Kinds whose files are pictures, each named as the one that it is about, to their suffix."""
STDOUT = "-"

REPEATED = ("header",)
"""Options that may be given several times."""
OWN_HEADERS = (
    *("connection", "content-length", "content-type", "host", "transfer-encoding"),
    *("webhook-id", "webhook-signature", "webhook-timestamp"),
)

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


@dataclass(frozen=True)
class Target:
    """Where records go."""

    kind: str
    """A key of OPTIONS."""
    place: str = field(repr=False)
    """A path, an address without options, or STDOUT."""
    options: Mapping[str, Any]
    """Those that were given, read."""
    text: str = field(repr=False)
    """As it was written."""
    url: Address | None = None
    """The parts of an address; None of anything else."""

    @property
    def name(self) -> str:
        """What may be shown."""
        if self.url is not None:
            return self.url.site if self.kind == "webhook" else self.url.shown
        return "stdout" if self.place == STDOUT else self.place

    @property
    def identity(self) -> str:
        """The place as it is compared with others: a path without links and without ways around."""
        return self.place if self.url is not None or self.place == STDOUT else os.path.realpath(self.place)

    @property
    def parts(self) -> Address:
        """The parts of an address, for what goes over a network."""
        if self.url is None:
            raise TypeError(f"{self.name} is no address")
        return self.url

    @property
    def sends(self) -> str | None:
        """What of SENDS was asked for; None for the kind's own choice."""
        value = self.options.get("send")
        return None if value is None else str(value)


def takes_errors(target: Target) -> bool:
    """Tell whether pictures without an answer may have a row there, as they may where rows have no columns."""
    return target.kind == "json" and target.sends != "events"


def parse_sink(text: str, environment: Mapping[str, str] = os.environ) -> Target:
    """Read what follows `--to`; "secret:NAME" stands for what the secret NAME holds.

    Raises:
        OptionError: it names no kind of sink, an option that its kind does not have, a password, or no secret.
    """
    given, text = text, resolve(text, "--to", environment)
    if text in ("text", "json", "csv"):
        return Target(text, STDOUT, {}, text)
    if (scheme := scheme_of(text)) is not None:
        return _address(text, scheme, hidden=text != given)
    place, _, query = text.partition("?")
    kind = _kind(text, place)
    if kind in FOLDERS:
        place = place.partition(":")[2]
    if place.startswith("~/"):
        home = os.path.expanduser(place)
        raise OptionError(f"--to {text!r} has a ~, which a shell does not replace there; write {home}")
    return Target(kind, place, _options(text, kind, query), text)


def parse_sinks(texts: Iterable[str], environment: Mapping[str, str] = os.environ) -> tuple[Target, ...]:
    """Read what follows each `--to`.

    Raises:
        OptionError: one cannot be read, or stands twice.
    """
    targets = tuple(parse_sink(text, environment) for text in texts)
    # a picture's mask and its overlay may lie side by side
    places = [(target.kind if target.kind in FOLDERS else "", target.identity) for target in targets]
    for target, place in zip(targets, places, strict=True):
        if places.count(place) > 1:
            shown = "stdout" if target.place == STDOUT else target.name
            raise OptionError(f"--to names {shown} twice; leave one of them out")
    return targets


def parse_bytes(text: str, name: str = "a size") -> int:
    """Read "500MB", "1.5GiB" or "4096": bytes."""
    match = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*([A-Za-z]{0,3})", text.strip())
    if not match or match[2].upper() not in _UNITS or float(match[1]) == 0:
        raise OptionError(f"{name} is {text!r}, expected bytes such as 500MB, 2GiB or 65536")
    return round(float(match[1]) * _UNITS[match[2].upper()])


def _kind(text: str, place: str) -> str:
    kind, colon, folder = place.partition(":")
    if colon and folder and kind in FOLDERS:
        return kind
    if place.endswith(("/", os.sep)):
        return "pictures"
    suffix = re.search(r"\.[A-Za-z0-9]+$", place)
    if not suffix or suffix[0].lower() not in SUFFIXES:
        # an address whose beginning is missing or damaged may hold a password
        shown = "" if "@" in text else f" {text!r}"
        raise OptionError(f"--to{shown} is no place for results; expected {FORMS}")
    return SUFFIXES[suffix[0].lower()]


def _address(text: str, scheme: str, *, hidden: bool) -> Target:
    """Read an address; `hidden` if it does not stand on the command line."""
    if scheme not in SCHEMES:
        raise OptionError(f"--to {scheme}://... is no place for results; expected {FORMS}")
    kind = SCHEMES[scheme]
    url = parse_address(text, "--to", EXAMPLES[kind])
    shown = url.site if kind == "webhook" else f"{url.scheme}://{url.place}{url.path}"
    if url.password is not None and not hidden:
        # it could be read in the list of processes
        variable = f"EDGEVIT_{kind.upper()}_PASSWORD"
        raise OptionError(
            f"--to {shown} holds a password that everybody on this machine can read; leave USER@ and give it in "
            f"{variable}, or in a file whose path {variable}_FILE holds"
        )
    # a web address has a query of its own, but what follows # is never sent
    if kind == "webhook":
        return Target(kind, url.bare, _options(shown, kind, url.fragment), text, url)
    if url.fragment or text.endswith("#"):
        raise OptionError(f"--to {shown} has a #; a topic has none, and options follow a question mark")
    topic = unquote(url.path.strip("/"))
    if set("+#\0") & set(topic) or topic.startswith("$"):
        raise OptionError(f"--to {shown} has the topic {topic!r}; a topic has no + or # and does not begin with $")
    options = _options(shown, kind, url.query)
    url = dataclasses.replace(url, query="")
    return Target(kind, url.full, options, text, url)


def _options(shown: str, kind: str, query: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    known = OPTIONS[kind]
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            raise OptionError(f"--to {shown!r} has an option {name!r}; {kind} has {', '.join(known) or 'none'}")
        try:
            read = known[name](value)
        except ValueError as error:
            raise OptionError(f"--to {shown!r} has {name}={value!r}: {error}") from error
        if name in found and name not in REPEATED:
            raise OptionError(f"--to {shown!r} has {name} twice; leave one of them out")
        found[name] = (*found.get(name, ()), *read) if name in REPEATED else read
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


def _seconds(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,6})([smhd]?)", text)
    if not match or int(match[1]) == 0:
        raise ValueError("expected a time such as 600s, 10m or 2h")
    return int(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def _header(text: str) -> tuple[tuple[str, str]]:
    """Read "X-Api-Key:FARM_KEY": a header, and the secret that holds its value."""
    name, _, variable = text.partition(":")
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
        raise ValueError("expected HEADER:NAME, with the NAME of the environment variable that holds its value")
    if name.lower() in OWN_HEADERS:
        raise ValueError("this header is the board's own")
    return ((name, variable),)


def _text(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError("expected text")
    return text


Reader = Callable[[str], Any]
_SEND: dict[str, Reader] = {"send": _one_of(*SENDS)}
_ROTATED: dict[str, Reader] = {**_SEND, "size": parse_bytes, "keep": _whole}

OPTIONS: dict[str, dict[str, Reader]] = {
    "text": _ROTATED,
    "json": _ROTATED,
    "csv": {**_ROTATED, "send": _one_of("events", "results"), "rows": _one_of("pictures", "boxes")},
    "pictures": {**_SEND, "quota": parse_bytes},
    "hard": {"quota": parse_bytes},
    "masks": {},
    "overlays": {},
    "labels": {},
    "video": {"fps": _whole},
    "mqtt": {
        **_SEND,
        "retain": _yes,
        "discovery": _text,
        "client": _text,
        "expire_after": _seconds,
        "ca": _text,
        "cert": _text,
        "key": _text,
        "check": _text,
    },
    "webhook": {**_SEND, "header": _header},
}
"""Kind of sink to its options and what reads them; docs/sinks.md describes them."""
