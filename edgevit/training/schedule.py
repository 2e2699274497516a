"""Image sizes and epochs: what a user writes, and what is left out."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgevit.errors import OptionError
from edgevit.schema import check_options, is_whole, read_number

STRIDE = 32
"""Every model's total stride: image sizes are multiples of it."""

Size = tuple[int, int]
"""(height, width) in pixels."""


@dataclass(frozen=True)
class Schedule:
    """Image sizes and epochs as a user gives them; what is left out depends on the model and on the weights at hand."""

    epochs: float | None = None
    """Passes over the images."""
    imgsz: int | Size | None = None
    """Final image size in pixels: one side of a square, or (height, width)."""
    sizes: str | Sequence[tuple[int | Size, float]] | None = None
    """Both for each size in turn, instead: "96*20,224*1", "96x160*20", or pairs as in `Recipe.sizes`."""

    def __post_init__(self) -> None:
        """Check every value once.

        Raises:
            OptionError: a value is of another type, or `sizes` is given beside one of the others.
        """
        check_options(self)
        if self.sizes is not None and (self.epochs is not None or self.imgsz is not None):
            raise OptionError("--sizes says both sizes and epochs; leave out --imgsz and --epochs")

    @property
    def is_empty(self) -> bool:
        """Whether nothing was given."""
        return self.epochs is None and self.imgsz is None and self.sizes is None

    @property
    def lacks_epochs(self) -> bool:
        """Whether nothing says how many epochs."""
        return self.epochs is None and self.sizes is None

    def phases(self, size: int | Size, epochs: float, *, progressive: bool) -> tuple[tuple[int | Size, float], ...]:
        """Return the `Recipe.sizes` of this schedule, with a size and epochs for those left out.

        Raises:
            OptionError: `sizes` is text of another form.
        """
        if self.sizes is None:
            size = size if self.imgsz is None else self.imgsz
            return default_sizes(size, epochs if self.epochs is None else self.epochs, progressive=progressive)
        return parse_sizes(self.sizes) if isinstance(self.sizes, str) else tuple(self.sizes)


def as_pair(size: int | Size) -> Size:
    """Return (height, width) of a size as it may be written, of which a square is one side."""
    return (size, size) if isinstance(size, int) else size


def as_written(size: Size) -> int | Size:
    """Return (height, width), or the side of a square."""
    return size[0] if size[0] == size[1] else size


def parse_sizes(text: str) -> tuple[tuple[int | Size, float], ...]:
    """Read "96*20,224*1" or "96x160*20": image sizes in pixels, a side or height x width, each with its epochs.

    Raises:
        OptionError: the text is of another form.
    """
    try:
        pairs = [part.split("*") for part in text.split(",")]
        return tuple((_parse_size(size), read_number(epochs)) for size, epochs in pairs)
    except ValueError as error:
        raise OptionError(
            f"--sizes {text!r}: expected SIZE*EPOCHS, comma separated, such as 96*20,224*1, a SIZE being 96 or 96x160"
        ) from error


def _parse_size(text: str) -> int | Size:
    sides = [side.strip() for side in text.split("x")]
    if not all(map(is_whole, sides)) or len(sides) > 2:
        raise ValueError(f"{text!r} is no size")
    return int(sides[0]) if len(sides) == 1 else (int(sides[0]), int(sides[1]))


def default_sizes(size: int | Size, epochs: float, *, progressive: bool) -> tuple[tuple[int | Size, float], ...]:
    """Return all epochs at `size`; or, progressive, two thirds of them at about half of it, which costs a quarter."""
    height, width = as_pair(size)
    half = (-(-height // (2 * STRIDE)) * STRIDE, -(-width // (2 * STRIDE)) * STRIDE)
    if not progressive or half >= (height, width):
        return ((size, epochs),)
    return ((as_written(half), epochs * 2 / 3), (size, epochs / 3))
