"""What is to be exported, and how: all that decides the file's content besides the weights' values."""

from dataclasses import dataclass
from pathlib import Path

from edgevit.artifact import Precision
from edgevit.errors import OptionError
from edgevit.export.calibrate import Method

OPSETS = (17, 18, 19, 20, 21)
"""ONNX operator sets that can be written; from 20 on GELU is a single operator."""

MIN_CALIBRATION_IMAGES = 16


@dataclass(frozen=True)
class Recipe:
    """One export. Values are checked on construction.

    Raises:
        OptionError: a value is not allowed, or two contradict each other.
    """

    model: str
    weights: str | None = None
    """A file, a registry entry's name, "random", or None for the model's default."""
    precision: Precision = "fp32"
    num_classes: int | None = None
    labels: Path | None = None
    data: Path | None = None
    """Folder of images, searched recursively, to calibrate with and to verify on."""
    synthesized: bool = False
    """Make calibration images from the weights' own BatchNorm statistics instead of reading `data`."""
    method: Method | None = None
    """How calibration turns values into ranges; the family's preset unless given."""
    calibration_images: int = 256
    max_drop: float | None = None
    """Float back blocks until int8 loses at most this much accuracy, in percentage points."""
    evaluation_images: int = 1000
    """How many images of `data`, none of them used to calibrate, decide on `max_drop`."""
    imgsz: int | None = None
    """Side of the square input in pixels; the model's own unless given."""
    batch: int = 1
    opset: int = 20
    simplify: bool = True
    target: str = "generic"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.opset not in OPSETS:
            raise OptionError(f"--opset {self.opset} is not supported; choose one of {', '.join(map(str, OPSETS))}")
        if self.batch < 1:
            raise OptionError(f"--batch {self.batch} is not possible; give 1 or more")
        if self.num_classes is not None and self.num_classes < 2:
            raise OptionError(f"--num-classes {self.num_classes} is not possible; give 2 or more")
        if self.calibration_images < MIN_CALIBRATION_IMAGES:
            raise OptionError(
                f"--calibration-images {self.calibration_images} is too few; give at least {MIN_CALIBRATION_IMAGES}"
            )
        if self.synthesized and self.data is not None:
            raise OptionError("--calibration synthesized and --data both name the calibration images; give one of them")
        if self.max_drop is not None and self.precision != "int8":
            raise OptionError("--max-drop is a budget for --int8; give both, or none")
        if self.max_drop is not None and not 0 <= self.max_drop <= 100:
            raise OptionError(f"--max-drop {self.max_drop:g} is no share of accuracy; give percentage points, 0 to 100")
        if self.precision == "int8" and not self.simplify:
            raise OptionError("--int8 needs the simplified graph; leave out --no-simplify")


def default_output(recipe: Recipe) -> Path:
    """Return the file name for a recipe: sbcformer_xs-int8.onnx; plain float has no suffix."""
    suffix = {"fp32": "", "fp16": "-half", "int8": "-int8"}[recipe.precision]
    return Path(f"{recipe.model}{suffix}.onnx")
