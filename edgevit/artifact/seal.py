"""The seal of a file: the SHA-256 of all of it, taken with the digest's own 64 characters set to zero."""

import hashlib

from edgevit.artifact.files import FilePath, open_model

UNSEALED = "0" * 64


def seal(data: bytes) -> bytes:
    """Return the model's bytes with the digest filled in; `data` must hold a document whose sha256 is UNSEALED."""
    marker = _digest_field(UNSEALED)
    if data.count(marker) != 1:
        raise ValueError(f"expected the unsealed digest once in the model, found it {data.count(marker)} times")
    return data.replace(marker, _digest_field(hashlib.sha256(data).hexdigest()))


def file_digest(path: FilePath, digest: str) -> str:
    """Return the SHA-256 that a file sealed with `digest` should carry, reading it piece by piece."""
    marker = _digest_field(digest)
    total = hashlib.sha256()
    kept = b""
    with open_model(path) as file:
        while piece := file.read(_PIECE):
            # a marker may lie across two pieces, so the last bytes of each wait for the next
            window = (kept + piece).replace(marker, _digest_field(UNSEALED))
            total.update(memoryview(window)[: -len(marker)])
            kept = window[-len(marker) :]
    total.update(kept)
    return total.hexdigest()


_PIECE = 1 << 20


def _digest_field(digest: str) -> bytes:
    """Find the document's own digest, which is its last field but one, and no other SHA-256 in it."""
    return f'"sha256":"{digest}","schema":'.encode()
