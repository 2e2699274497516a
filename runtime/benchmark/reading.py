"""Reading what a command of edgevit wrote as JSON."""

from pathlib import Path
from typing import TypeVar

from edgevit.artifact.files import read_regular
from edgevit.errors import DataError
from edgevit.schema import FieldError, read_json, read_value
from edgevit.text import decode_text

Document = TypeVar("Document")


def read_written(kind: type[Document], path: Path, *, what: str, root: str, option: str, command: str) -> Document:
    """Return the document in a file, checked.

    Args:
        kind: the dataclass that it is.
        path: the file.
        what: the document in words, for messages.
        root: what its fields are said to be of.
        option: that writes it, such as "--json".
        command: the whole command that writes this file.

    Raises:
        DataError: the file cannot be read or is something else.
    """
    try:
        value = read_value(kind, read_json(decode_text(read_regular(path))), root)
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}; give what `edgevit benchmark {option}` wrote"
        ) from error
    except FieldError as error:
        raise DataError(f"{path} is no {what}: {error}; write it with `edgevit benchmark {option}`") from error
    except ValueError as error:
        raise DataError(f"{path} is no JSON that can be read: {error}; write it with `{command}`") from error
    assert isinstance(value, kind)
    return value
