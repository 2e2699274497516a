"""What a machine is, read from /proc: pure functions over the texts, and those that read them."""

import os
import struct
from typing import TYPE_CHECKING, NamedTuple

from edgevit.schema import is_whole
from edgevit.system.platforms import machine_architecture

if TYPE_CHECKING:
    from edgevit.device_profiles.profile import Feature

Folder = str | os.PathLike[str]
VARIABLE = "EDGEVIT_PROFILE"
"""Environment variable that names the profile and so ends all guessing."""

CPUINFO_NAMES: dict[str, "Feature"] = {
    "asimd": "asimd",
    "asimdhp": "fp16",
    "asimddp": "dotprod",
    "i8mm": "i8mm",
    "bf16": "bf16",
    "sve": "sve",
    "avx2": "avx2",
    "avx512f": "avx512f",
    "avx512_vnni": "avx512_vnni",
    "avx_vnni": "avx_vnni",
}
"""Words of the Features (Arm) and flags (x86) lines of /proc/cpuinfo."""

AT_HWCAP, AT_HWCAP2 = 16, 26
HWCAP_BITS: dict[tuple[int, int], "Feature"] = {
    (AT_HWCAP, 1): "asimd",
    (AT_HWCAP, 10): "fp16",
    (AT_HWCAP, 20): "dotprod",
    (AT_HWCAP, 22): "sve",
    (AT_HWCAP2, 13): "i8mm",
    (AT_HWCAP2, 14): "bf16",
}
"""(entry, bit) of the auxiliary vector in AArch64: arch/arm64/include/uapi/asm/hwcap.h of Linux."""


class Evidence(NamedTuple):
    """What is known of a machine before any profile is consulted."""

    board: str
    """The board's name, from its device tree; "" on a PC."""
    machine: str
    """As uname says: "aarch64"; of a 32-bit process "32-bit"."""
    parts: dict[int, str]
    """Processor number to "CPU implementer:CPU part"; empty on x86."""
    features: frozenset["Feature"]
    """What every core has."""


def read_evidence(root: Folder = "/") -> Evidence:
    """Read this machine's evidence, or that of a tree of files made like it."""
    cpuinfo = _text(root, "proc/cpuinfo")
    machine = machine_architecture()
    # a container may hide the device tree, but not cpuinfo
    board = _text(root, "proc/device-tree/model") or _last_value(cpuinfo, "Model")
    try:
        with open(os.path.join(root, "proc/self/auxv"), "rb") as file:
            auxv = read_auxv(file.read())
    except OSError:
        auxv = {}
    features = hwcap_features(auxv) if machine == "aarch64" else frozenset()
    return Evidence(board.rstrip("\0\n"), machine, core_parts(cpuinfo), features or cpuinfo_features(cpuinfo))


def machine_name(root: Folder = "/") -> str:
    """Return the board's name, or else the processor's, or else its architecture."""
    evidence = read_evidence(root)
    return evidence.board or _last_value(_text(root, "proc/cpuinfo"), "model name") or evidence.machine


def cpu_flags(root: Folder = "/") -> frozenset[str]:
    """Return what /proc/cpuinfo says that every core has, in the kernel's words: "asimddp", "avx512_bf16"."""
    return _flags(_text(root, "proc/cpuinfo"))


def read_auxv(data: bytes) -> dict[int, int]:
    """Return the entries of /proc/self/auxv: pairs of words as wide as a pointer, ended by a zero."""
    pair = struct.Struct("PP")
    entries = pair.iter_unpack(data[: len(data) // pair.size * pair.size])
    return {kind: value for kind, value in entries if kind}


def hwcap_features(auxv: dict[int, int]) -> frozenset["Feature"]:
    """Return the features in the auxiliary vector of an AArch64 process.

    The kernel tells them to the process itself, so they hold in an emulator too, where /proc/cpuinfo is the host's.
    """
    return frozenset(feature for (entry, bit), feature in HWCAP_BITS.items() if auxv.get(entry, 0) >> bit & 1)


def cpuinfo_features(cpuinfo: str) -> frozenset["Feature"]:
    """Return the features that every core of /proc/cpuinfo has."""
    return frozenset(CPUINFO_NAMES[word] for word in _flags(cpuinfo) & CPUINFO_NAMES.keys())


def core_parts(cpuinfo: str) -> dict[int, str]:
    """Return "CPU implementer:CPU part" of each processor of an Arm machine's /proc/cpuinfo."""
    parts, number, implementer = {}, -1, ""
    for name, value in _fields(cpuinfo):
        if name == "processor" and is_whole(value):
            number, implementer = int(value), ""
        elif name == "CPU implementer":
            implementer = value.lower()
        elif name == "CPU part" and implementer and number >= 0:
            parts[number] = f"{implementer}:{value.lower()}"
    return parts


def _flags(cpuinfo: str) -> frozenset[str]:
    lines = [words.split() for name, words in _fields(cpuinfo) if name in ("Features", "flags")]
    return frozenset(lines[0]).intersection(*lines[1:]) if lines else frozenset()


def _last_value(cpuinfo: str, key: str) -> str:
    return next((value for name, value in reversed(_fields(cpuinfo)) if name == key), "")


def _fields(cpuinfo: str) -> list[tuple[str, str]]:
    pairs = [line.partition(":") for line in cpuinfo.splitlines()]
    return [(name.strip(), value.strip()) for name, colon, value in pairs if colon]


def _text(root: Folder, name: str) -> str:
    try:
        with open(os.path.join(root, name), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
