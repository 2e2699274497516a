"""What can go wrong for a user: one small class for each mistake, each also the builtin error it is a kind of."""

import re
from collections.abc import Callable, Iterable

_OPTION = r"`[^`]*`|(?<![\w-])--(no-)?([a-z][a-z0-9-]*)([.[][^\s;,]*)?(?:[ =]([A-Z]{2,}\b|[0-9][^\s;,)]*|'[^']*'))?"
"""A command in backquotes, or an option as it is typed with, perhaps, its value."""


class EdgevitError(Exception):
    """Base of all errors whose message is meant for the user; the command line prints it and exits with `exit_code`.

    Messages are written with options as they are typed, "--max-frames 1"; in Python they read max_frames=1, as a
    program's user never types them. A command in `backquotes` stays as it is.
    """

    exit_code = 1

    def __str__(self) -> str:
        # compiled here, as most programs show no error
        return re.sub(_OPTION, _in_python, super().__str__())

    @property
    def command_line_text(self) -> str:
        """The message with options as the command line has them."""
        return super().__str__()

    def __reduce__(self) -> tuple[Callable[..., "EdgevitError"], tuple[object, ...], dict[str, object]]:
        """Let an error travel from one process to another with all it knows, whatever it was made of there."""
        return _made_of, (type(self), *self.args), vars(self)


def _made_of(kind: type[EdgevitError], *arguments: object) -> EdgevitError:
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    return error


def _in_python(match: re.Match[str]) -> str:
    negated, name, part, value = match.groups()
    if name is None:
        return match[0]
    return f"{name.replace('-', '_')}{part or ''}={'False' if negated else value or ''}"


class OptionError(EdgevitError, ValueError):
    """An option's value, or a combination of options, is not allowed."""

    exit_code = 2


class UnknownNameError(EdgevitError, LookupError):
    """No model, profile or other thing of this name exists."""

    exit_code = 2

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        import difflib

        known = list(known)
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}? All: " if close else "choose one of: "
        super().__init__(f"no {kind} named {name!r}; {hint}{', '.join(known)}")


class UnknownModelError(UnknownNameError):
    """No model has this name; there are too many to list them."""

    def __init__(self, name: str, nearest: str | None) -> None:
        hint = f"did you mean {nearest}? " if nearest else ""
        EdgevitError.__init__(self, f"no model named {name!r}; {hint}`edgevit models --all` lists them")


class MissingExtraError(EdgevitError, ImportError):
    """A package of an optional extra is not installed."""

    def __init__(self, package: str, purpose: str, extra: str = "") -> None:
        wanted = f"'edgevit[{extra}]'" if extra else "edgevit"
        super().__init__(f"{package} is not installed, and {purpose} needs it; run: pip install {wanted}")


class UnsupportedSystemError(EdgevitError, NotImplementedError):
    """This operating system lacks what is asked for; a board's Linux has it."""

    exit_code = 2


class ModelFileError(EdgevitError, ValueError):
    """A file is not a model that can be run, or is damaged."""


class ClosedError(EdgevitError, ValueError):
    """A model was used after it was closed."""


class CheckpointError(EdgevitError, ValueError):
    """A weights file cannot be read, or does not fit the model."""


class DownloadError(EdgevitError, OSError):
    """Weights could not be downloaded, or are not what was expected."""


class UpdateError(EdgevitError, RuntimeError):
    """A board could not check for a newer model, or the newer one is not fit to run; the old one stays."""


class ProfileError(EdgevitError, ValueError):
    """A device profile cannot be read, or says something that no board has."""

    exit_code = 2


class DataError(EdgevitError, ValueError):
    """The images to train, calibrate or validate with are not what is needed."""


class ImageError(EdgevitError, ValueError):
    """An image cannot be read, or is not of a kind that can be classified."""


class SourceLostError(EdgevitError, ConnectionError):
    """A camera or stream cannot be opened, stopped, or went away."""

    exit_code = 4


class ProcessLostError(EdgevitError, ConnectionError):
    """Another process of a run on several GPUs has ended before its time."""

    told: bool
    """Whether the other process says why."""

    def __init__(self, told: bool) -> None:
        what = "has failed and says why" if told else "has ended without a word; perhaps memory was used up"
        super().__init__(f"another process of this run {what}; continue from its last checkpoint with --resume")
        self.told = told


class MissingProgramError(EdgevitError, FileNotFoundError):
    """A program that a source is read through is not installed."""


class WorkerError(EdgevitError, RuntimeError):
    """A process that was to answer pictures cannot begin, or dies of all of them."""


class OutputError(EdgevitError, OSError):
    """A result cannot be written where it was asked for."""


class BrokerError(EdgevitError, ConnectionError):
    """An MQTT broker cannot be reached, refuses, or keeps nothing of what is asked for."""


class StatusError(EdgevitError, ValueError):
    """What a board says of itself cannot be read."""


class SiteError(EdgevitError, ValueError):
    """A folder of signed models is not what it should be, or a key that it needs is missing."""


class GateError(EdgevitError):
    """A result was computed but misses its required parity, accuracy or self-test."""

    exit_code = 3
