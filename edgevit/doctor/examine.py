"""All checks in the order in which a person would look."""

from collections.abc import Callable, Iterator

from edgevit.doctor.board import check_model, check_profile
from edgevit.doctor.camera import check_camera_names, check_camera_users, check_permissions, check_ribbon_camera
from edgevit.doctor.environment import Environment, Finding
from edgevit.doctor.extras import check_extras
from edgevit.doctor.packages import (
    check_holes,
    check_imports,
    check_numpy,
    check_onnxruntime,
    check_opencv,
    check_torch,
)
from edgevit.doctor.power import check_governor, check_temperature, check_throttling
from edgevit.doctor.system import (
    check_card,
    check_clock,
    check_memory,
    check_python,
    check_space,
    check_swap,
    check_userland,
)

Check = Callable[[Environment], Iterator[Finding]]
"""Looks for one trouble; yields nothing where the trouble cannot exist."""

CHECKS: tuple[Check, ...] = (
    check_profile,
    check_userland,
    check_python,
    check_onnxruntime,
    check_numpy,
    check_opencv,
    check_torch,
    check_holes,
    check_imports,
    check_extras,
    check_memory,
    check_swap,
    check_space,
    check_card,
    check_clock,
    check_governor,
    check_throttling,
    check_temperature,
    check_ribbon_camera,
    check_permissions,
    check_camera_names,
    check_camera_users,
    check_model,
)


def examine(env: Environment) -> Iterator[Finding]:
    """Yield what each check finds, as soon as it is known."""
    for check in CHECKS:
        yield from check(env)
