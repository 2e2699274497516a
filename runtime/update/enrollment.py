"""Which site a board trusts, what it follows there, and where the model goes: told once, kept for root alone."""

import dataclasses
import json
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from edgevit.errors import OptionError, OutputError
from edgevit.schema import FieldError, read_json, read_value
from edgevit.system.files import make_folders, replacing

FILE = "update.json"
"""Its name, in the folder of the service's settings."""
SUFFIXES = (".onnx", ".tflite")
"""What a model's name can end with."""
CHANNEL = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Names that are the same in addresses, on FAT and in patterns of paths."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Enrollment:
    """What a board was told when it was enrolled."""

    site: str
    """Address of the folder that holds `metadata` and `targets`: http, https or file."""
    target: str
    """A channel and a model's name, such as "stable/farm.onnx"."""
    into: Path
    """The folder that holds the model, absolute."""
    service: str
    """The systemd unit that runs it."""
    user: bool
    """Whether that is a unit of the user's own service manager."""
    board: str
    """Chosen at random once: with the board's serial number and a model's digest it says in which share this one is."""
    root: str
    """The document that says whose keys are trusted, the site's first root."""

    def __post_init__(self) -> None:
        parse_target(self.target)
        check_site(self.site)

    @property
    def channel(self) -> str:
        return parse_target(self.target)[0]

    @property
    def model(self) -> Path:
        """The file that runs."""
        return self.into / parse_target(self.target)[1]


def parse_target(text: str) -> tuple[str, str]:
    """Return the channel and the file's name of "stable/farm.onnx".

    Raises:
        OptionError: it is not of this form.
    """
    channel, _, model = text.partition("/")
    if not (CHANNEL.fullmatch(channel) and MODEL.fullmatch(model) and PurePosixPath(model).suffix in SUFFIXES):
        raise OptionError(f"--target is {text!r}, expected a channel and a model's name such as stable/farm.onnx")
    return channel, model


def check_site(text: str) -> str:
    """Return a site's address as one text, whatever blanks and slashes it ends with; a path becomes file://.

    Raises:
        OptionError: it is no address of a folder.
    """
    if text.startswith("/"):
        return Path(os.path.normpath(text)).as_uri()
    try:
        parts = urlsplit(text.strip())
        is_here = parts.netloc in ("", "localhost") and parts.path.startswith("/")
        good = is_here if parts.scheme == "file" else parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        raise OptionError(f"the site is {text.rpartition('@')[2]!r}, which is no address") from None
    if "@" in parts.netloc:
        raise OptionError("the site's address holds a name or a password, and signed models need none; leave it out")
    # urlsplit leaves out some controls within the text
    if not good or parts.query or parts.fragment or _CONTROL.search(text.strip()):
        raise OptionError(
            f"the site is {text!r}, expected the address of a folder such as https://example.org/farm, or "
            "file:///media/stick"
        )
    path = parts.path.rstrip("/")
    return f"file://{path or '/'}" if parts.scheme == "file" else f"{parts.scheme}://{parts.netloc}{path}"


def new_board() -> str:
    """Return a name that no other board has."""
    return secrets.token_hex(16)


def write_enrollment(path: Path, enrollment: Enrollment) -> None:
    """Write it whole or not at all, for its owner alone.

    Raises:
        OutputError: the folder does not take it.
    """
    document = dataclasses.asdict(enrollment) | {"into": str(enrollment.into)}
    try:
        make_folders(path.parent, mode=0o711)
        with replacing(path, durable=True, mode=0o600) as temporary:
            temporary.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    except OSError as error:
        hint = "; run it with sudo, or use --user" if isinstance(error, PermissionError) else ""
        raise OutputError(f"{path} cannot be written: {error.strerror or error}{hint}") from error


def read_enrollment(path: Path) -> Enrollment:
    """Return what `write_enrollment` wrote.

    Raises:
        OptionError: the board was not enrolled, or not by this user.
    """
    advice = "run: edgevit update enroll SITE --root 1.root.json --target stable/farm.onnx --into DIR"
    try:
        enrollment = read_value(Enrollment, read_json(path.read_text("utf-8")), FILE)
    except FileNotFoundError as error:
        raise OptionError(f"this board follows no site yet ({path} does not exist); {advice}") from error
    except OSError as error:
        raise OptionError(f"{path} cannot be read: {error.strerror or error}; run it with sudo") from error
    except (FieldError, ValueError) as error:
        raise OptionError(f"{path} is damaged ({error}); {advice} --force") from error
    assert isinstance(enrollment, Enrollment)
    # earlier versions wrote it as it was typed
    return dataclasses.replace(enrollment, site=check_site(enrollment.site))
