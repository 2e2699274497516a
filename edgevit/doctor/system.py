"""Checks of the operating system: what was installed, what it has left, and whether it knows the time."""

from collections.abc import Iterator

from edgevit.device_profiles.state import read_memory
from edgevit.doctor.environment import Environment, Finding
from edgevit.schema import is_whole

OLDEST_PYTHON = (3, 11)
LITTLE_MEMORY_MB, TOO_LITTLE_MEMORY_MB = 250, 100
"""A process that runs sbcformer_xs in int8 peaks at 90 MB (measured on x86-64); a camera comes on top."""
LITTLE_SPACE_MB, TOO_LITTLE_SPACE_MB = 500, 100
SMALL_BOARD_MB = 1024
WORN = 0x0A
"""eMMC's life_time counts in tenths; 0x0a is 90 to 100 % used, by JEDEC's standard for eMMC."""


def check_userland(env: Environment) -> Iterator[Finding]:
    """ONNX Runtime has no wheels for 32-bit systems; a 64-bit kernel below a 32-bit system hides the reason."""
    if env.bits == 64:
        yield Finding("userland", "ok", f"64-bit {env.machine}")
        return
    kernel = " on a 64-bit kernel" if env.machine in ("aarch64", "x86_64") else ""
    yield Finding(
        "userland",
        "fail",
        f"this Python is 32-bit{kernel} ({env.machine}); ONNX Runtime exists for 64-bit systems only",
        "write the 64-bit Raspberry Pi OS to the card: rpi-imager",
    )


def check_python(env: Environment) -> Iterator[Finding]:
    """Wheels of ONNX Runtime begin at Python 3.11, and so does edgevit."""
    found = ".".join(map(str, env.version))
    if env.version >= OLDEST_PYTHON:
        yield Finding("python", "ok", f"Python {found}")
    else:
        yield Finding(
            "python",
            "fail",
            f"Python {found}; edgevit needs 3.11 or newer, which Raspberry Pi OS has since Bookworm",
            "write a current Raspberry Pi OS to the card: rpi-imager",
        )


def check_memory(env: Environment) -> Iterator[Finding]:
    """A board that runs out of memory kills the largest process, often this one."""
    available = read_memory(env.root).available_mb
    if not available:
        return
    level = "fail" if available < TOO_LITTLE_MEMORY_MB else "warn" if available < LITTLE_MEMORY_MB else "ok"
    remedy = "" if level == "ok" else "see what holds it, and stop it: ps aux --sort=-rss | head"
    yield Finding("memory", level, f"{available} MB of memory are available", remedy)  # type: ignore[arg-type]


def check_swap(env: Environment) -> Iterator[Finding]:
    """A small board without swap dies where one with it slows down."""
    memory = read_memory(env.root)
    if memory.total_mb and memory.total_mb <= SMALL_BOARD_MB and not memory.swap_mb:
        yield Finding("swap", "warn", f"{memory.total_mb} MB of memory and no swap", "sudo apt install zram-tools")
    elif memory.total_mb:
        yield Finding("swap", "ok", f"{memory.swap_mb} MB of swap for {memory.total_mb} MB of memory")


def check_space(env: Environment) -> Iterator[Finding]:
    """A full card stops logs, spools and updates."""
    level = "fail" if env.free_mb < TOO_LITTLE_SPACE_MB else "warn" if env.free_mb < LITTLE_SPACE_MB else "ok"
    remedy = "" if level == "ok" else "sudo apt clean; pip cache purge; sudo journalctl --vacuum-size=50M"
    yield Finding("space", level, f"{env.free_mb} MB are free here", remedy)  # type: ignore[arg-type]


def check_card(env: Environment) -> Iterator[Finding]:
    """A dying SD card is mounted read-only, counts file system errors, or tells its age."""
    mounts = [line.split() for line in env.text("proc/mounts").splitlines()]
    options = [words[3].split(",") for words in mounts if len(words) > 3 and words[1] == "/" and words[2] == "ext4"]
    errors = sum(int(text) for text in _texts(env, "sys/fs/ext4/*/errors_count") if is_whole(text))
    ages = [int(age, 16) for text in _texts(env, "sys/block/mmcblk*/device/life_time") for age in _hexadecimals(text)]
    if options and "ro" in options[-1]:
        yield Finding(
            "card", "fail", "the file system is mounted read-only, as Linux does after errors", "replace the SD card"
        )
    elif errors:
        yield Finding(
            "card",
            "warn",
            f"the file system has counted {errors} errors",
            "back up, then check it at the next start: add fsck.mode=force to /boot/firmware/cmdline.txt",
        )
    elif any(age >= WORN for age in ages):
        yield Finding("card", "warn", "the storage says that 90 % of its life is used", "back up and replace it")
    elif options:
        yield Finding("card", "ok", "no file system errors")


def check_clock(env: Environment) -> Iterator[Finding]:
    """Most boards have no clock of their own: before the first synchronization, times of events are wrong."""
    if (env.root / "run/systemd/timesync/synchronized").exists():
        yield Finding("clock", "ok", "synchronized")
        return
    answer = env.run("timedatectl", "show", "--property=NTPSynchronized", "--value", timeout_s=10)
    if answer is None or answer.code != 0:
        return
    if answer.out.strip() == "yes":
        yield Finding("clock", "ok", "synchronized")
    else:
        yield Finding(
            "clock",
            "warn",
            "not synchronized: times of events may be wrong, and TLS certificates refused",
            "sudo timedatectl set-ntp true",
        )


def _texts(env: Environment, pattern: str) -> list[str]:
    return [env.text(str(path.relative_to(env.root))) for path in env.files(pattern)]


def _hexadecimals(text: str) -> list[str]:
    return [
        word for word in text.split() if word.startswith("0x") and all(c in "0123456789abcdefABCDEF" for c in word[2:])
    ]
