"""Secrets of a service: out of its command line, into files that only root reads and that systemd passes on.

https://systemd.io/CREDENTIALS/
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgevit.errors import OutputError
from edgevit.runtime.addresses.address import HIDDEN
from edgevit.runtime.addresses.credentials import read_secret
from edgevit.runtime.addresses.destinations import Target, parse_sink
from edgevit.runtime.sources.grammar import Source, parse_source
from edgevit.system.files import make_folders, replacing

_SECRET = "secret:"
_OF_SOURCE = ("EDGEVIT_SOURCE_USER", "EDGEVIT_SOURCE_PASSWORD")
_OF_SINK = {
    "mqtt": ("EDGEVIT_MQTT_USER", "EDGEVIT_MQTT_PASSWORD"),
    "webhook": ("EDGEVIT_WEBHOOK_USER", "EDGEVIT_WEBHOOK_PASSWORD", "EDGEVIT_WEBHOOK_SECRET"),
}
_OF_PAGE = ("EDGEVIT_SERVE_TOKEN",)


@dataclass(frozen=True)
class Credential:
    """One secret of a service."""

    name: str
    """By which systemd passes it on: that of the environment variable that it stands for."""
    path: Path
    """The file that systemd reads it from."""
    value: str | None = field(default=None, repr=False)
    """What is to be written there; None if the file is there already."""


def hide_addresses(arguments: Sequence[str], sources: int, folder: Path) -> tuple[list[str], list[Credential]]:
    """Take each address that may not be shown as it is out of a command line.

    Args:
        arguments: the sources, then the options of `edgevit run`, each as a word of its own.
        sources: how many there are.
        folder: of the service's secrets.

    Returns:
        The arguments with secret:NAME in place of such addresses, and these.
    """
    kept, found = list(arguments), list[Credential]()

    def hide(place: int, name: str) -> None:
        found.append(Credential(name, folder / name, kept[place]))
        kept[place] = f"{_SECRET}{name}"

    for place in range(sources):
        source = parse_source(kept[place], {}) if not kept[place].startswith(_SECRET) else None
        if source is not None and source.url is not None and not source.url.is_shown_whole:
            hide(place, "EDGEVIT_SOURCE" if sources == 1 else f"EDGEVIT_SOURCE_{place + 1}")
    for place in range(sources, len(kept)):
        if kept[place - 1] == "--to" and not kept[place].startswith(_SECRET):
            target = parse_sink(kept[place], {})
            if target.kind == "webhook" and HIDDEN in target.parts.site:
                hide(place, f"EDGEVIT_TO_{place}")
    return kept, found


def used_secrets(
    sources: Iterable[Source], targets: Iterable[Target], texts: Iterable[str], *, page: bool
) -> list[str]:
    """Return the names of the variables that a run may read secrets from.

    Args:
        sources: what the run reads.
        targets: where its results go.
        texts: all sources and --to, as they were given.
        page: whether it serves one.
    """
    names = list(_OF_SOURCE) if any(source.url is not None for source in sources) else []
    for target in targets:
        names += [*_OF_SINK.get(target.kind, ()), *(variable for _, variable in target.options.get("header", ()))]
    names += [text.removeprefix(_SECRET) for text in texts if text.startswith(_SECRET)]
    return list(dict.fromkeys([*names, *(_OF_PAGE if page else ())]))


def find_secrets(names: Iterable[str], folder: Path, environment: Mapping[str, str] = os.environ) -> list[Credential]:
    """Return those secrets that are there: in a file that the environment names, in the environment, or in `folder`.

    Raises:
        OptionError: one is there twice, or its file cannot be read.
    """
    found = []
    for name in names:
        if read_secret(name, environment) is not None:
            path = environment.get(f"{name}_FILE")
            found.append(
                Credential(name, Path(os.path.abspath(path)))
                if path
                else Credential(name, folder / name, environment.get(name))
            )
        elif (folder / name).exists():
            found.append(Credential(name, folder / name))
    return found


def write_secrets(credentials: Iterable[Credential]) -> None:
    """Write those that have a value, each whole or not at all, for their owner alone.

    Raises:
        OutputError: one cannot be written.
    """
    for credential in credentials:
        if credential.value is None:
            continue
        try:
            make_folders(credential.path.parent, mode=0o711)
            with replacing(credential.path, durable=True, mode=0o600) as temporary:
                temporary.write_text(f"{credential.value}\n", "utf-8")
        except OSError as error:
            hint = "; run it with sudo, or use --user" if isinstance(error, PermissionError) else ""
            raise OutputError(f"{credential.path} cannot be written: {error.strerror or error}{hint}") from error
