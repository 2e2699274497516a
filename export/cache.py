"""Results of long work, kept by a hash of all that they depend on, so that a broken run goes on where it was."""

import hashlib
import json
import logging
from collections.abc import Callable
from typing import Any

from edgevit.models.weights.download import cache_dir
from edgevit.schema import read_json
from edgevit.system.files import make_folders, replacing

log = logging.getLogger(__name__)


def content_key(*parts: bytes | str) -> str:
    """Return a digest of the parts, each with its length, so that they cannot run into one another."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def cached(kind: str, key: str, compute: Callable[[], Any]) -> Any:
    """Return the JSON value kept under a key, or compute it and keep it.

    A cache that cannot be read or written is only a lost shortcut: the value is computed.
    """
    path = cache_dir() / kind / f"{key}.json"
    try:
        return read_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        log.info("cache %s is not readable (%s)", path, error)
    value = compute()
    try:
        make_folders(path.parent)
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(value), encoding="utf-8")
    except OSError as error:
        log.info("cache %s is not writable (%s)", path, error)
    return value
