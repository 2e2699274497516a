"""Read a file of weights without running anything in it: .pt .pth .pth.tar .safetensors to named tensors."""

import argparse
import pickle
import re
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgevit.errors import CheckpointError, MissingExtraError

NESTINGS = ("state_dict_ema", "model_ema", "state_dict", "model", "module")
"""Where trainers keep the weights inside a checkpoint. Averaged weights first: they are what a trainer evaluates."""

_DAMAGE = (
    *(RuntimeError, EOFError, ValueError, LookupError, AttributeError, TypeError, AssertionError, ArithmeticError),
    *(struct.error, MemoryError),
)
"""What PyTorch's reader raises for files that are damaged."""

_FOREIGN_CODE = re.compile(r"GLOBAL (\S+)|Unsupported (?:class|global) (\S+)|function <?(\S+?)>?(?: |$)")


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Return the tensors in a file of weights, on the CPU, under the names that the file gives them.

    Of Python objects only tensors, plain containers and argparse.Namespace (which the reference trainer stores) are
    read; nothing in the file is ever executed.

    Raises:
        CheckpointError: the file is missing, empty, truncated, not a file of weights, or holds Python code.
    """
    head = _read_head(path)
    try:
        content = _read_safetensors(path) if _is_safetensors(head) else _read_torch(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    return _tensors(_unwrap(content), path)


def _read_head(path: Path) -> bytes:
    """Return the first bytes, having refused what is plainly no file of weights."""
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; give the file of weights in it (.pt, .pth or .safetensors)")
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} does not exist; give the path of a .pt, .pth or .safetensors file") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
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
    try:
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
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


def _damaged(path: Path) -> str:
    size = path.stat().st_size
    return f"{path} ({size:,} bytes) is truncated, damaged or not a PyTorch file; copy or download it again"


def _unwrap(content: Any) -> Any:
    """Follow NESTINGS down to the mapping that holds the tensors."""
    while isinstance(content, Mapping):
        inner = next((content[key] for key in NESTINGS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    return content


def _tensors(content: Any, path: Path) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not a state dict of named tensors")
    strange = [key for key in content if not isinstance(key, str)]
    if strange:
        raise CheckpointError(
            f"{path} names its entries by {type(strange[0]).__name__} ({strange[0]!r}), not by layer; "
            "save model.state_dict()"
        )
    tensors = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        keys = ", ".join(list(content)[:5]) or "nothing"
        raise CheckpointError(f"{path} holds no weights, only: {keys}; expected a state dict of named tensors")
    return tensors
