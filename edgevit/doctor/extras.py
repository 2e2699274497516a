"""Checks of the package's extras: which are installed, and which a model or a service of this board lacks."""

import itertools
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgevit.artifact.files import file_suffix
from edgevit.doctor.environment import Environment, Finding
from edgevit.errors import OptionError
from edgevit.runtime.addresses.destinations import parse_sink
from edgevit.runtime.service.place import unit_folder

EXTRAS = {
    "tflite": ("ai-edge-litert",),
    "mqtt": ("paho-mqtt",),
    "serve": ("prometheus-client",),
    "update": ("tuf",),
    "fleet": ("paho-mqtt", "tuf", "securesystemslib", "cryptography"),
}
"""Extra of setup.cfg that a board, or the machine that looks after boards, may need, to what it installs."""
INSTEAD = {"ai-edge-litert": "tflite-runtime"}
"""Distribution to an older one that does as well."""
COMMANDS = ("fleet", "update")
"""Commands of edgevit that need the extra of their name."""
SERVING = ("run", "collect")
"""Commands that may have a page, with /metrics."""


def check_extras(env: Environment) -> Iterator[Finding]:
    """A service says what it lacks in its log alone, where nobody looks who expects messages or a newer model."""
    lacks = {extra: [name for name in names if not _has(env, name)] for extra, names in EXTRAS.items()}
    present = ", ".join(extra for extra in EXTRAS if not lacks[extra])
    absent = ", ".join(extra for extra in EXTRAS if lacks[extra])
    yield Finding("extras", "ok", f"present: {present or 'none'}; absent: {absent or 'none'}")
    for who, extra in dict.fromkeys(_needs(env)):
        if lacks[extra]:
            text = f"{who} needs {' and '.join(lacks[extra])}, which this Python does not have"
            yield Finding("extras", "warn", text, f"{shlex.quote(env.python)} -m pip install 'edgevit[{extra}]'")


def _has(env: Environment, name: str) -> bool:
    return name in env.packages or INSTEAD.get(name) in env.packages


def _needs(env: Environment) -> Iterator[tuple[str, str]]:
    """Yield who needs which extra: the model that was given, and the services of this Python."""
    if env.model is not None and file_suffix(env.model) == ".tflite":
        yield str(env.model), "tflite"
    for user in (False, True):
        for path in env.files(f"{str(unit_folder(user)).lstrip('/')}/*.service"):
            for line in env.text(str(path.relative_to(env.root))).splitlines():
                for extra in needed_extras(_words(line), env.python):
                    # its page needs none
                    yield f"/metrics of {path.name}" if extra == "serve" else path.name, extra


def _words(line: str) -> list[str]:
    """Return the words of a unit's command line; none of any other line, or of one that cannot be read."""
    setting, _, command = line.partition("=")
    try:
        return shlex.split(command) if setting == "ExecStart" else []
    except ValueError:
        return []


def needed_extras(command: Sequence[str], python: str) -> Iterator[str]:
    """Yield the extras that a command line needs; none if it is not of the edgevit of this `python`."""
    names = [Path(word).name for word in command]
    if "edgevit" not in names or Path(command[0]).parent != Path(python).parent:
        return
    called, *arguments = command[names.index("edgevit") + 1 :] or [""]
    if called in COMMANDS:
        yield called
    if called == "run":
        if any(file_suffix(word) == ".tflite" for word in arguments):
            yield "tflite"
        if any(map(_is_broker, _values(arguments, "--to"))):
            yield "mqtt"
    if called in SERVING and any(_values(arguments, "--serve")):
        yield "serve"


def _values(arguments: Sequence[str], option: str) -> Iterator[str]:
    """Yield what is given with an option, in both of its forms: --to X and --to=X."""
    for word, following in itertools.pairwise((*arguments, "")):
        name, sign, value = word.partition("=")
        if name == option:
            yield value if sign else following


def _is_broker(place: str) -> bool:
    try:
        return parse_sink(place, {}).kind == "mqtt"
    except OptionError:  # such as a secret, which only the service is told
        return False
