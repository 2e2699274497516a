"""Read a file of weights without running anything in it: .pt .pth .pth.tar .safetensors to named tensors."""

import argparse
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgevit.artifact.files import open_regular
from edgevit.errors import CheckpointError, MissingExtraError
from edgevit.models.weights.containers import at_place, find_state_dicts, is_average

SLACK_BYTES = 1 << 24
"""By how much the parts of a zip archive may be larger than it: PyTorch stores weights as they are, but packs code."""
COUNTERS = ("n_averaged",)
"""Entries of PyTorch's AveragedModel that are no weights."""

_HEAD = 512
"""Bytes by which a format is told."""
_DAMAGE = (
    *(RuntimeError, EOFError, ValueError, LookupError, AttributeError, TypeError, AssertionError, ArithmeticError),
    *(struct.error, MemoryError),
)
"""What PyTorch's reader raises for files that are damaged."""


class _Aside:
    """Stands for a value beside the weights: it takes whatever makes the real one, and keeps nothing of it."""

    def __init__(self, *arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def _empty_dict(*arguments: Any) -> dict[Any, Any]:
    return {}


def _empty_list(*arguments: Any) -> list[Any]:
    return []


SAFE: list[Any] = [
    argparse.Namespace,
    (_empty_dict, "collections.defaultdict"),
    (_empty_list, "collections.deque"),
    *(
        (_Aside, name)
        for name in (
            *(f"builtins.{name}" for name in ("list", "dict", "int", "float", "str", "set", "tuple", "bool")),
            *(f"datetime.{name}" for name in ("datetime", "date", "time", "timedelta", "timezone")),
            *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
            *("numpy.dtype", "numpy.ndarray"),
            *(
                f"{module}.{name}"
                for module in ("pathlib", "pathlib._local")
                for name in ("Path", "PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
            ),
        )
    ),
]
"""What trainers store beside weights, by the names that a pickle gives it, and what is made in its place."""

_FOREIGN_CODE = re.compile(r"GLOBAL (\S+)|Unsupported (?:class|global) (\S+)|function <?(\S+?)>?(?: |$)")


@dataclass(frozen=True)
class Checkpoint:
    """The weights of a file, and where in it they lay."""

    tensors: dict[str, Tensor]
    """On the CPU, under the names that the file gives them."""
    key: str
    """Names of the containers around them, outermost first, joined by "/"; empty for a bare state dict."""
    others: tuple[str, ...] = ()
    """Keys of the other weights in the file."""

    @property
    def choice(self) -> str:
        """One line that says which weights were taken, where there are several or they are averaged; else empty."""
        averaged = _is_averaged(self.key)
        if not self.others and not averaged:
            return ""
        others = f"; the file also holds {', '.join(map(repr, self.others))}" if self.others else ""
        return f"took the {'averaged weights' if averaged else 'weights'} {self.key!r}{others}"


def read_state_dict(path: Path, key: str | None = None) -> dict[str, Tensor]:
    """Return the tensors of `read_checkpoint`."""
    return read_checkpoint(path, key).tensors


def read_checkpoint(path: Path, key: str | None = None) -> Checkpoint:
    """Return the weights in a file: those under `key`, else averaged ones where there are some, else the last step's.

    Of Python objects only tensors, plain containers and values that trainers store beside weights (SAFE) are read;
    nothing in the file is ever executed.

    Args:
        path: a .pt, .pth, .pth.tar or .safetensors file.
        key: names of the containers around the wanted weights, joined by "/", such as "ema/0.9998".

    Raises:
        CheckpointError: the file is missing, empty, truncated, not a file of weights, holds Python code, or has no
            weights under `key`.
    """
    head = _read_head(path)
    try:
        content = _read_safetensors(path) if _is_safetensors(head) else _read_torch(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    places = find_state_dicts(content)
    found = places.named
    if key is not None:
        chosen = found.get(key, at_place(content, key))
        if chosen is None:
            known = ", ".join(map(repr, found)) or "none but the whole file"
            raise CheckpointError(f"{path} has no weights under {key!r}; it has: {known}")
        return Checkpoint(_tensors(chosen, path), key, tuple(other for other in found if other != key))
    if not found:
        return Checkpoint(_tensors(content, path), "")
    best = next(iter(found))
    if places.nameless and not _is_averaged(best):
        raise CheckpointError(
            f"{path} holds averaged weights under {places.nameless[0]!r} without the names of their layers; save them "
            f"with names, or take the last step's with --weights {path}:{best}"
        )
    return Checkpoint(_tensors(found[best], path), best, tuple(found)[1:])


def read_beside(path: Path, key: str) -> Any:
    """Return what a PyTorch file holds under a key beside the weights, which are not read; None where it has no such.

    Raises:
        CheckpointError: the file would unpack to much more than its size.
    """
    try:
        with open_regular(path) as file:
            if _is_safetensors(file.read(_HEAD)):
                return None
        _refuse_inflated(path)
        with torch.serialization.safe_globals(SAFE), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, pickle.UnpicklingError, *_DAMAGE):  # whoever reads the weights says so
        return None
    return content.get(key) if isinstance(content, Mapping) else None


def _is_averaged(key: str) -> bool:
    return any(map(is_average, key.split("/")))


def _read_head(path: Path) -> bytes:
    """Return the first bytes, having refused what is plainly no file of weights."""
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; give the file of weights in it (.pt, .pth or .safetensors)")
    try:
        with open_regular(path) as file:
            head = file.read(_HEAD)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} does not exist; give the path of a .pt, .pth or .safetensors file") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    if not head:
        raise CheckpointError(f"{path} is empty; copy or download it again")
    if problem := describe_page(head):
        raise CheckpointError(f"{path} is {problem}, not weights; download it again")
    return head


def describe_page(head: bytes) -> str | None:
    """Say what the first bytes of a failed download are, or None if they may be weights."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<!--")):
        return "an HTML page"
    if text.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer"
    return None


def _is_safetensors(head: bytes) -> bool:
    """Tell the format by content: eight bytes of length, then a JSON header."""
    return head[8:9] == b"{"


def _read_safetensors(path: Path) -> Mapping[Any, Any]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ModuleNotFoundError as error:
        raise MissingExtraError("safetensors", f"reading {path.name}", "export") from error
    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"{path} is truncated or damaged ({error}); copy or download it again") from error


def _read_torch(path: Path) -> Any:
    _refuse_inflated(path)
    try:
        with torch.serialization.safe_globals(SAFE), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is worth saying is said below, once
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = _FOREIGN_CODE.search(str(error))
        if found is None:
            raise CheckpointError(_damaged(path)) from error
        name = next(group for group in found.groups() if group)
        raise CheckpointError(
            f"{path} holds Python code ({name}), which is never run; save the weights alone: "
            "torch.save(model.state_dict(), FILE)"
        ) from error
    except _DAMAGE as error:
        if "TorchScript" in str(error):
            raise CheckpointError(
                f"{path} is a TorchScript program, not weights; save them with torch.save(model.state_dict(), FILE)"
            ) from error
        raise CheckpointError(_damaged(path)) from error


def _refuse_inflated(path: Path) -> None:
    """Refuse a zip archive whose entries would take much more room than the file."""
    try:
        with zipfile.ZipFile(path) as archive:
            inflated = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, *_DAMAGE):
        return  # an older format, or damage, which PyTorch's reader tells
    if inflated > path.stat().st_size + SLACK_BYTES:
        raise CheckpointError(
            f"{path} would unpack to {inflated / 1e6:,.0f} MB from {path.stat().st_size / 1e6:,.0f}: PyTorch stores "
            "weights uncompressed; save the weights again with torch.save(model.state_dict(), FILE)"
        )


def _damaged(path: Path) -> str:
    size = path.stat().st_size
    return f"{path} ({size:,} bytes) is truncated, damaged or not a PyTorch file; copy or download it again"


def _tensors(content: Any, path: Path) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not a state dict of named tensors")
    strange = [key for key in content if not isinstance(key, str)]
    if strange:
        raise CheckpointError(
            f"{path} names its entries by {type(strange[0]).__name__} ({strange[0]!r}), not by layer; "
            "save model.state_dict()"
        )
    tensors = {key: value for key, value in content.items() if isinstance(value, Tensor) and key not in COUNTERS}
    if not tensors:
        keys = ", ".join(key[:60] for key in list(content)[:5]) or "nothing"
        raise CheckpointError(
            f"{path} holds no weights, only: {keys}; expected a state dict of named tensors{_advise(content, path)}"
        )
    return tensors


def _advise(content: Mapping[Any, Any], path: Path) -> str:
    """Return how to choose one of the entries that hold tensors under names that no trainer known here uses."""
    holding = (
        key
        for key, value in content.items()
        if isinstance(value, Mapping) and any(isinstance(entry, Tensor) for entry in value.values())
    )
    first = next(holding, None)
    return "" if first is None else f"; choose with --weights {path}:{first}"
