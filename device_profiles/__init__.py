"""What is known of each board, and what follows from it; needs nothing but the standard library."""

from edgevit.device_profiles.detect import Detection, detect_profile
from edgevit.device_profiles.library import GENERIC, all_profiles, find_profile, list_profiles, read_profile
from edgevit.device_profiles.profile import Profile

__all__ = [
    "GENERIC",
    "Detection",
    "Profile",
    "all_profiles",
    "detect_profile",
    "find_profile",
    "list_profiles",
    "read_profile",
]
