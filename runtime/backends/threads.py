"""How many threads to use and on which cores: what the user says, else what the board's profile recommends."""

import contextlib
import os
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from edgevit.device_profiles.evidence import VARIABLE, Evidence, read_evidence
from edgevit.errors import OptionError
from edgevit.schema import FieldError, Range, is_whole, read_value
from edgevit.system.platforms import keep_to_cores, usable_cores

if TYPE_CHECKING:
    from edgevit.device_profiles import Profile

VARIABLES = ("EDGEVIT_THREADS", "OMP_NUM_THREADS")
"""Environment variables that set the number of threads, the first one wins."""

MOST_THREADS = 1024
"""More than any machine has processors for: such a number is a mistake, and would take its memory."""
ThreadCount = Annotated[int, Range(1, MOST_THREADS)]
"""How many threads may be asked for."""


@dataclass(frozen=True)
class ThreadPlan:
    """How inference is spread over the cores."""

    count: int
    cores: tuple[int, ...]
    """Numbers of the processors to keep to, all of which the calling thread may use; empty where any will do."""
    why: str


def plan_threads(threads: int | None = None) -> ThreadPlan:
    """Return the plan for this process on this machine.

    Args:
        threads: how many to use; None for EDGEVIT_THREADS, OMP_NUM_THREADS, or what the board's profile recommends.

    Raises:
        OptionError: the number of threads is no ThreadCount.
        UnknownNameError: EDGEVIT_PROFILE names no profile.
        ProfileError: a profile of the user's own is wrong, where one is needed.
    """
    asked = asked_threads(threads, os.environ)
    evidence, allowed = read_evidence(), usable_cores()
    profile = None
    if not (asked and _alike(evidence, allowed)) or os.environ.get(VARIABLE):
        # reading profiles takes as long as several answers of a small model
        from edgevit.device_profiles import detect_profile

        detection = detect_profile(evidence)
        profile = detection.profile
        _log("profile %s: %s", profile.name if profile else "none", detection.why)
    plan = choose_plan(asked, profile, evidence, allowed)
    _log("threads %d on %s: %s", plan.count, _shown(plan.cores), plan.why)
    return plan


def _log(message: str, *values: object) -> None:
    """Note something, if anyone can listen: whoever does has imported logging, which takes long for a first answer."""
    if (logging := sys.modules.get("logging")) is not None:
        logging.getLogger(__name__).info(message, *values)


def asked_threads(threads: int | None, environment: Mapping[str, str]) -> tuple[int, str] | None:
    """Return the number that the caller or the environment asks for, and who asks; None if nobody does."""
    if threads is not None:
        return read_threads(threads), "asked for"
    for variable in VARIABLES:
        if value := environment.get(variable):
            # OMP_NUM_THREADS may be a list, one number for each nesting level
            return threads_of_text(value.split(",")[0], variable), f"{variable} is {value}"
    return None


def read_threads(value: object, name: str = "--threads") -> int:
    """Return a number of threads that somebody asks for.

    Raises:
        OptionError: it is no ThreadCount.
    """
    try:
        return int(read_value(ThreadCount, value, name))
    except FieldError as error:
        raise OptionError(str(error)) from error


def threads_of_text(text: str, name: str = "--threads") -> int:
    """Return a number of threads that is written as text.

    Raises:
        OptionError: it is no ThreadCount.
    """
    digits = text.strip()
    if not is_whole(digits):
        raise OptionError(f"{name} is {text[:60]!r}, expected a whole number from 1 to {MOST_THREADS}")
    return read_threads(int(digits), name)


def choose_plan(
    asked: tuple[int, str] | None, profile: "Profile | None", evidence: Evidence, allowed: frozenset[int]
) -> ThreadPlan:
    """Return the plan for a machine: the number asked for, else the profile's, never on a core not allowed.

    Where fast cores stand beside slow ones, threads keep to the fast ones: the parts of a layer are of equal size, so
    every layer would wait for its slowest thread. More threads than fast cores may be asked for; they go anywhere.
    """
    parts = profile.big_parts if profile else frozenset()
    fast = frozenset(number for number, part in evidence.parts.items() if part in parts) & allowed
    usable = fast or allowed
    if asked:
        count, why = asked
    elif profile and profile.threads.count and profile.threads.count <= len(usable):
        count, why = profile.threads.count, profile.threads.why
    else:
        count, why = len(usable), f"one for each {'fast ' if fast else ''}core that this process may use"
    return ThreadPlan(count, tuple(sorted(fast)) if count <= len(fast) < len(allowed) else (), why)


def _alike(evidence: Evidence, cores: Collection[int]) -> bool:
    """Tell whether these cores are all of one kind, so that no profile prefers some of them."""
    return len({evidence.parts.get(number) for number in cores}) <= 1


@contextlib.contextmanager
def started_on(cores: Collection[int]) -> Iterator[None]:
    """Have threads that are started inside keep to these processors; nothing changes if there are none.

    A thread inherits the affinity of the one that starts it, in ONNX Runtime's pool and in XNNPACK's alike. The calling
    thread gets its own affinity back, and the process is never given a processor that it did not have.
    """
    before = usable_cores()
    keep_to_cores(before & set(cores) or before)
    try:
        yield
    finally:
        keep_to_cores(before)


def _shown(cores: tuple[int, ...]) -> str:
    return f"cores {', '.join(map(str, cores))}" if cores else "any core"
