"""A session that lacks what macOS or Windows lacks: `EDGEVIT_TEST_SYSTEM=win32 pytest -p tests.other_systems ...`.

What is taken away from edgevit alone is missed by no library, as libraries bring code of their own for those systems.
It is no Mac and no Windows PC: paths have slashes, open files can be renamed, and libraries are those for Linux.
"""

import builtins
import importlib
import multiprocessing
import os
import select
import signal
import socket
import sys
import types
from collections.abc import Mapping
from typing import Any

MODULES = ("fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog", "posix")
"""Modules that Windows does not have; fcntl.F_SETPIPE_SZ and all of what follows is missing on macOS too."""
ATTRIBUTES: dict[str, dict[types.ModuleType, tuple[str, ...]]] = {
    "darwin": {os: ("sched_getaffinity", "sched_setaffinity", "fdatasync", "pipe2", "pidfd_open")},
    "win32": {
        os: (
            *("sched_getaffinity", "sched_setaffinity", "sysconf", "uname", "getloadavg", "nice", "sync", "fdatasync"),
            *("getuid", "geteuid", "getgid", "getegid", "getgroups", "chown", "fchown", "lchown", "fchmod", "statvfs"),
            *("fork", "forkpty", "killpg", "setsid", "getpgid", "posix_spawn", "wait3", "wait4", "waitid"),
            *("mkfifo", "openpty", "pipe2", "readv", "writev", "pread", "pwrite", "pidfd_open", "ctermid"),
            *("O_NONBLOCK", "O_CLOEXEC", "O_NOFOLLOW", "O_DIRECTORY", "O_NOCTTY", "O_SYNC", "O_DSYNC"),
        ),
        signal: ("SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGCHLD", "SIGQUIT", "pthread_kill"),
        select: ("poll", "epoll"),
        socket: ("AF_UNIX", "SOCK_NONBLOCK", "SOCK_CLOEXEC"),
    },
}
"""What a system lacks of modules that it has."""
FOLDERS = ("/proc", "/sys", "/dev/video")
"""Where neither has anything."""

_import, _stat, _select = builtins.__import__, os.stat, select.select


def strip(system: str) -> None:
    """Take away from this process what `system` lacks, before any module of edgevit is imported."""
    assert not [name for name in sys.modules if name.split(".")[0] == "edgevit"], "edgevit was imported before"
    for module, names in ATTRIBUTES[system].items():
        module.__class__ = _lacking(frozenset(names))
    if system == "win32":
        builtins.__import__ = _import_what_there_is
        os.supports_fd = os.supports_fd - {os.chmod}
        os.symlink = _forbidden
        select.select = _select_sockets
    sys.platform = system
    importlib.import_module("edgevit.system.platforms")
    sys.platform = "linux"
    os.stat = _stat_what_there_is
    sys.addaudithook(_refuse_folders)
    multiprocessing.set_start_method("spawn")


def _is_ours(depth: int) -> bool:
    """Tell whether the function that is so many calls up is edgevit's."""
    return str(sys._getframe(depth + 1).f_globals.get("__name__")).split(".")[0] == "edgevit"


def _lacking(names: frozenset[str]) -> type[types.ModuleType]:
    class Lacking(types.ModuleType):
        def __getattribute__(self, name: str) -> Any:
            if name in names and _is_ours(1):
                raise AttributeError(f"module has no attribute {name!r} on this system")
            return super().__getattribute__(name)

    return Lacking


def _import_what_there_is(name: str, globals: Mapping[str, object] | None = None, *others: Any, **named: Any) -> Any:
    if name in MODULES and str((globals or {}).get("__name__")).split(".")[0] == "edgevit":
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return _import(name, globals, *others, **named)


def _is_missing(path: object) -> bool:
    return isinstance(path, str | bytes | os.PathLike) and os.fsdecode(path).startswith(FOLDERS)


def _stat_what_there_is(path: Any, *arguments: Any, **options: Any) -> os.stat_result:
    if _is_missing(path):
        raise FileNotFoundError(2, "No such file or directory", path)
    return _stat(path, *arguments, **options)


def _refuse_folders(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("open", "os.listdir", "os.scandir") and _is_missing(arguments[0]):
        raise FileNotFoundError(2, "No such file or directory", arguments[0])


def _forbidden(*arguments: Any, **options: Any) -> None:
    raise OSError(1314, "A required privilege is not held by the client")


def _select_sockets(readable: Any, writable: Any, exceptional: Any, timeout: float | None = None) -> Any:
    if _is_ours(1) and not all(isinstance(each, socket.socket) for each in (*readable, *writable)):
        raise OSError(10038, "An operation was attempted on something that is not a socket")
    return _select(readable, writable, exceptional, timeout)


if os.environ.get("EDGEVIT_TEST_SYSTEM"):
    strip(os.environ["EDGEVIT_TEST_SYSTEM"])
