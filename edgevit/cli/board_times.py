"""What models take on the board that most users have: one basis for every time that is shown of it."""

from edgevit.device_profiles import find_profile
from edgevit.export.estimate.estimate import conditions, milliseconds
from edgevit.models.zoo.registry import get_spec
from edgevit.models.zoo.sizes import SizedWork, find_works

BOARD = "rpi4"
"""The board that is spoken of where none is named."""


def board_basis() -> str:
    """Return what the times suppose, "3 threads at 1.8 GHz": how `edgevit run` uses the board."""
    threads, mhz = conditions(find_profile(BOARD))
    return f"{threads} threads at {mhz / 1000:.1f} GHz"


def board_ms(work: SizedWork) -> float:
    """Return the milliseconds that counted work takes on the board, estimated."""
    return milliseconds(work.instructions, work.misses, *conditions(find_profile(BOARD)))


def own_ms(name: str, format_: str = "onnx", precision: str = "int8") -> float | None:
    """Return the milliseconds of one image of a model's own size, estimated; None where the work was not counted."""
    wanted = get_spec(name).preprocess.size, format_, precision
    found = [work for work in find_works(name) if (work.size, work.format, work.precision) == wanted]
    return board_ms(found[0]) if found else None
