"""What this machine computes with: processor or GPU, threads, and whether bfloat16 pays."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import torch
from torch import Tensor, nn

from edgevit.device_profiles.evidence import cpu_flags
from edgevit.errors import OptionError
from edgevit.runtime.backends.threads import ThreadCount
from edgevit.schema import check_options

BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""Processor features, as /proc/cpuinfo names them, that multiply bfloat16 matrices: x86 twice, then Arm."""


Device = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Hardware:
    """What a user asks to compute with."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    bfloat16: bool | None = None
    """Mixed precision; None: where the hardware has it."""
    threads: ThreadCount | None = None
    """Threads that compute; None: one for each core."""

    def __post_init__(self) -> None:
        """Check every value once.

        Raises:
            OptionError: a value is of another type, or out of its range.
        """
        check_options(self)

    def choose_device(self) -> Device:
        """Return the device, a GPU if there is one where none is named.

        Raises:
            OptionError: "cuda" is asked for and there is none.
        """
        if self.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        if self.device == "cuda" and not torch.cuda.is_available():
            raise OptionError("--device cuda: PyTorch sees no GPU; install its CUDA build, or pass --device cpu")
        return self.device

    def uses_bfloat16(self) -> bool:
        return bfloat16_helps(self.choose_device()) if self.bfloat16 is None else self.bfloat16


def bfloat16_helps(device: str, root: Path = Path("/")) -> bool:
    """Say whether mixed precision is faster here; a processor without the instructions only emulates them."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return not BFLOAT16_FLAGS.isdisjoint(cpu_flags(root))


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
