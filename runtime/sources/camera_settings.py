"""What a camera is asked for besides a size: exposure, white balance and focus, in plain words."""

from dataclasses import dataclass

from edgevit.errors import OptionError
from edgevit.runtime.sources.sampling import parse_duration
from edgevit.schema import is_whole

WHITE_BALANCES = {
    "incandescent": 2800,
    "tungsten": 3200,
    "fluorescent": 4000,
    "indoor": 4500,
    "daylight": 5500,
    "cloudy": 6500,
}
"""Kinds of light by libcamera's names, and their colour temperature in kelvin for cameras that know only that."""
KELVIN = (1000, 20000)


@dataclass(frozen=True)
class CameraSettings:
    """None of each leaves it as the camera has it."""

    exposure: float | str | None = None
    """Seconds, or "auto"."""
    white_balance: int | str | None = None
    """Kelvin, one of WHITE_BALANCES, or "auto"."""
    focus: float | str | None = None
    """A USB camera's own steps, dioptres (1 / distance in metres) of a Raspberry Pi's, or "auto"."""

    @property
    def kelvin(self) -> int | str | None:
        """The white balance without names of lights."""
        return WHITE_BALANCES.get(str(self.white_balance), self.white_balance)


def parse_settings(
    exposure: str | float | None, white_balance: str | int | None, focus: str | float | None
) -> CameraSettings:
    """Read --exposure ("auto", "10ms", seconds), --white-balance ("auto", "daylight", kelvin) and --focus.

    Raises:
        OptionError: one is something else.
    """
    return CameraSettings(
        exposure if exposure is None or exposure == "auto" else parse_duration(exposure, "--exposure"),
        None if white_balance is None else _white_balance(str(white_balance).lower()),
        None if focus is None else _focus(str(focus).lower()),
    )


def _white_balance(text: str) -> int | str:
    if text == "auto" or text in WHITE_BALANCES:
        return text
    number = text.removesuffix("k")
    if is_whole(number) and KELVIN[0] <= int(number) <= KELVIN[1]:
        return int(number)
    raise OptionError(
        f"--white-balance is {text!r}, expected auto, {', '.join(WHITE_BALANCES)}, or a colour temperature such as 5500"
    )


def _focus(text: str) -> float | str:
    if text == "auto":
        return text
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 10_000:
        raise OptionError(f"--focus is {text!r}, expected auto or a number from 0 (far away) on")
    return number
