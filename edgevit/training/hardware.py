"""What this machine computes with: processor or GPU, threads, and whether bfloat16 pays."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import torch
from torch import Tensor, nn

from edgevit.errors import OptionError

BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""Processor features, as /proc/cpuinfo names them, that multiply bfloat16 matrices: x86 twice, then Arm."""


def choose_device(name: str) -> str:
    """Return "cuda" or "cpu" for "auto", "cuda" or "cpu".

    Raises:
        OptionError: "cuda" is asked for and there is none.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise OptionError("--device cuda: PyTorch sees no GPU; install its CUDA build, or pass --device cpu")
    return name


def bfloat16_helps(device: str, cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Say whether mixed precision is faster here; a processor without the instructions only emulates them."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return False
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith(("flags", "Features"))), [])
    return not BFLOAT16_FLAGS.isdisjoint(flags)


class FloatGroupedConv2d(nn.Conv2d):
    """A grouped convolution that computes in float32 under autocast."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


def keep_grouped_convolutions_float(model: nn.Module) -> None:
    """Exempt grouped and depthwise convolutions from mixed precision, in place; names and weights stay the same.

    PyTorch's bfloat16 backward pass of a grouped convolution is so slow on a processor that without it one training
    step of efficientvit_b0 takes less than half of the time.
    """
    for module in model.modules():
        if type(module) is nn.Conv2d and module.groups > 1:
            module.__class__ = FloatGroupedConv2d


def use_threads(count: int | None) -> None:
    """Compute with `count` threads, or PyTorch's own choice; OpenCV gets one for each reader of images."""
    if count is not None:
        torch.set_num_threads(count)
    cv2.setNumThreads(1)


@contextlib.contextmanager
def plain_memory_error() -> Iterator[None]:
    """Raise MemoryError where PyTorch says in its own ways that memory is used up."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise MemoryError(str(error)) from error
        raise
