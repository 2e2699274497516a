"""A name and four numbers, as --roi and --line take them."""

from collections.abc import Sequence
from typing import Any

from edgevit.errors import OptionError
from edgevit.schema import check_argument


def parse_named(text: str, option: str, form: str, example: str) -> tuple[str, list[float]]:
    """Read "gate=0.1,0.2,0.5,0.5".

    Args:
        text: what was given.
        option: by which option it was given, such as "--roi".
        form: what is expected, for a message.
        example: the same with numbers.

    Raises:
        OptionError: it is something else.
    """
    name, _, numbers = text.partition("=")
    try:
        values = [float(number) for number in numbers.split(",")]
    except ValueError:
        values = []
    if not name.strip() or len(values) != 4:
        raise OptionError(f"{option} is {text!r}, expected {form} such as {example}")
    return name.strip(), values


def check_named(option: str, name: Any, *values: Any) -> None:
    """Raise OptionError if the name that an option, such as "roi", gives is no text, or a value of it no number."""
    check_argument(str, name, f"{option} name")
    check_argument(Sequence[float], values, f"{option} {name}")


def check_names(names: Sequence[str], what: str, option: str) -> None:
    """Raise OptionError if two of what an option names, such as "regions", have the same name."""
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise OptionError(f"two {what} are named {double!r}; give each {option} a name of its own")


def shown(values: Sequence[float]) -> str:
    """Return numbers as an option takes them."""
    return ",".join(f"{value:g}" for value in values)


def in_shares(*values: float) -> bool:
    """Tell whether places in a picture are shares of it, and not pixels."""
    return max(values) <= 1


def check_unit(option: str, name: str, *values: float) -> None:
    """Raise OptionError for places in a picture that are neither shares of it nor whole pixels."""
    if not in_shares(*values) and any(value != round(value) for value in values):
        raise OptionError(
            f"--{option} {name} is {shown(values)}; shares of the picture go from 0 to 1, and pixels are whole numbers"
        )
