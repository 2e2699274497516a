"""What is known of each board, and what follows from it; needs nothing but the standard library."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgevit.device_profiles.detect import Detection as Detection
    from edgevit.device_profiles.detect import detect_profile as detect_profile
    from edgevit.device_profiles.library import GENERIC as GENERIC
    from edgevit.device_profiles.library import all_profiles as all_profiles
    from edgevit.device_profiles.library import find_profile as find_profile
    from edgevit.device_profiles.library import list_profiles as list_profiles
    from edgevit.device_profiles.library import read_profile as read_profile
    from edgevit.device_profiles.profile import Profile as Profile

_HOMES = {
    "Detection": "edgevit.device_profiles.detect",
    "detect_profile": "edgevit.device_profiles.detect",
    "GENERIC": "edgevit.device_profiles.library",
    "all_profiles": "edgevit.device_profiles.library",
    "find_profile": "edgevit.device_profiles.library",
    "list_profiles": "edgevit.device_profiles.library",
    "read_profile": "edgevit.device_profiles.library",
    "Profile": "edgevit.device_profiles.profile",
}
"""Name to its module, imported when it is asked for: what a machine is can be read without profiles."""

__all__ = list(_HOMES)  # noqa: PLE0605 (all are text)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'edgevit.device_profiles' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
