"""Which profile fits the machine that this runs on."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

from edgevit.device_profiles.evidence import VARIABLE, Evidence, read_evidence
from edgevit.device_profiles.library import find_profile, likely_profiles
from edgevit.device_profiles.profile import Profile
from edgevit.schema import is_whole

GENERIC = (
    ("aarch64", "dotprod", "generic-armv8.2-dotprod"),
    ("aarch64", "asimd", "generic-armv8.0"),
    ("x86_64", None, "x86-64"),
    ("AMD64", None, "x86-64"),
)
"""Machine, needed feature, profile: the first that fits a board that no profile names."""


@dataclass(frozen=True)
class Detection:
    """The profile found, and how."""

    profile: Profile | None
    """None where no profile fits, as on 32-bit systems."""
    why: str


def detect_profile(evidence: Evidence | None = None) -> Detection:
    """Return the profile of EDGEVIT_PROFILE, or else the one that fits the evidence, this machine's unless given.

    Raises:
        UnknownNameError: EDGEVIT_PROFILE names no profile.
        ProfileError: the profile there, or one in the configuration directory, is wrong.
    """
    if name := os.environ.get(VARIABLE):
        return Detection(find_profile(name), f"{VARIABLE} is {name}")
    evidence = evidence or read_evidence()
    generic = [name for machine, _, name in GENERIC if machine == evidence.machine]
    return match_profile(evidence, likely_profiles(evidence.board, generic))


def match_profile(evidence: Evidence, profiles: Iterable[Profile]) -> Detection:
    """Return the profile with the longest matching beginning of the board's name, or a generic one by features."""
    profiles = list(profiles)
    lengths = [
        max((len(start) for start in p.device_tree if _begins(evidence.board, start)), default=0) for p in profiles
    ]
    if any(lengths):
        return Detection(profiles[lengths.index(max(lengths))], f"the board says it is {evidence.board!r}")
    known = {profile.name: profile for profile in profiles}
    for machine, feature, name in GENERIC:
        if evidence.machine == machine and (feature is None or feature in evidence.features) and name in known:
            having = f" with {', '.join(sorted(evidence.features))}" if evidence.features else ""
            unknown = f", and no profile knows the board {evidence.board!r}" if evidence.board else ""
            return Detection(known[name], f"the processor is {machine}{having}{unknown}")
    return Detection(None, f"no profile fits a {evidence.machine} processor")


def _begins(board: str, start: str) -> bool:
    """Tell whether the board's name begins with `start`, and not with a longer number: "Pi 50" is no "Pi 5"."""
    following = board[len(start) : len(start) + 1]
    return board.startswith(start) and not is_whole(following)
