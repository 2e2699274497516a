"""What is to be exported, and how: all that decides the file's content besides the weights' values."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from edgevit.artifact.manifest import Precision
from edgevit.device_profiles import GENERIC, Profile, find_profile
from edgevit.device_profiles.profile import Scheme
from edgevit.errors import OptionError
from edgevit.models.zoo.registry import get_spec

Format = Literal["onnx", "tflite"]
Method = Literal["minmax", "percentile", "entropy", "mse"]
METHODS: tuple[Method, ...] = get_args(Method)
Ends = Literal["float", "int8", "uint8"]
Layout = Literal["file", "frigate"]
Gelu = Literal["exact", "tanh"]

SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "tflite": ".tflite"}
FRIGATE_SIZE = 224
"""Side in pixels of the pictures that Frigate gives a classifier."""

OPSETS = (17, 18, 19, 20, 21)
"""ONNX operator sets that can be written; from 20 on GELU is a single operator."""

MIN_CALIBRATION_IMAGES = 16


@dataclass(frozen=True)
class Recipe:
    """One export. Values are checked on construction.

    Raises:
        OptionError: a value is not allowed, or two contradict each other.
        EdgevitError: the target has no device profile.
    """

    model: str
    weights: str | None = None
    """A file, a registry entry's name, "random", or None for the model's default."""
    format: Format = "onnx"
    precision: Precision = "fp32"
    io: Ends = "float"
    """Type of an int8 TFLite model's input and output; integer inputs take raw pixels."""
    layout: Layout = "file"
    """"frigate": a folder with model.tflite, which answers with probabilities, and labelmap.txt."""
    gelu: Gelu = "exact"
    """Form of a TFLite file's GELU: tanh is quicker in tflite-runtime 2.14."""
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
    imgsz: int | tuple[int, int] | None = None
    """Side of a square input, or (height, width), in pixels; the model's own unless given."""
    batch: int = 1
    opset: int = 20
    simplify: bool = True
    argmax: bool = False
    """Let a segmentation graph answer with class numbers instead of logits."""
    target: str = GENERIC
    """Name or path of a device profile."""
    scheme: Scheme | None = None
    """Types of int8 activations and weights; the target's unless given."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.opset not in OPSETS:
            raise OptionError(f"--opset {self.opset} is not supported; choose one of {', '.join(map(str, OPSETS))}")
        if self.format == "onnx":
            self._check_onnx()
        else:
            self._check_tflite()
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
        if self.scheme is not None and self.precision != "int8":
            raise OptionError(f"--scheme {self.scheme} names the types of --int8; give both, or none")
        if self.target != GENERIC:
            find_profile(self.target)
        if self.precision == "int8" and not self.simplify:
            raise OptionError("--int8 needs the simplified graph; leave out --no-simplify")

    def _check_onnx(self) -> None:
        if self.precision == "dynamic":
            raise OptionError("--precision dynamic exists for TFLite only; give --format tflite too, or --int8 instead")
        if self.io != "float":
            raise OptionError(f"--io {self.io} exists for TFLite only; give --format tflite too")
        if self.layout != "file":
            raise OptionError(f"--layout {self.layout} exists for TFLite only; give --format tflite too")
        if self.gelu != "exact":
            raise OptionError(f"--gelu {self.gelu} exists for TFLite only; give --format tflite too")

    def _check_tflite(self) -> None:
        if not self.simplify:
            raise OptionError("--no-simplify is for ONNX; leave it out with --format tflite")
        if self.scheme not in (None, "S8S8"):
            raise OptionError(f"--scheme {self.scheme} is for ONNX; TFLite's int8 is S8S8: leave it out")
        if self.io != "float" and self.precision != "int8":
            raise OptionError(f"--io {self.io} needs an int8 model; give --int8 too")
        if self.layout == "frigate" and (self.io, self.batch) != ("uint8", 1):
            raise OptionError(
                "--layout frigate takes one uint8 picture at a time; give --int8 --io uint8 and no --batch"
            )
        if self.layout == "frigate" and self.imgsz not in (None, FRIGATE_SIZE, (FRIGATE_SIZE, FRIGATE_SIZE)):
            raise OptionError(
                f"--layout frigate with --imgsz {self.size_text} is not possible: Frigate gives pictures of "
                f"{FRIGATE_SIZE} pixels; leave out --imgsz"
            )

    @property
    def input_size(self) -> tuple[int, int] | None:
        """(height, width) in pixels; None for the model's own."""
        return (self.imgsz, self.imgsz) if isinstance(self.imgsz, int) else self.imgsz

    @property
    def size_text(self) -> str:
        """The size as --imgsz has it."""
        size = self.input_size or ()
        return "x".join(dict.fromkeys(map(str, size)))

    @property
    def board(self) -> Profile | None:
        """The target's profile; None for a file that is to run anywhere."""
        return None if self.target == GENERIC else find_profile(self.target)


def default_output(recipe: Recipe) -> Path:
    """Return the file name for a recipe: sbcformer_xs-int8.onnx; plain float has no suffix. A layout is a folder."""
    name = get_spec(recipe.model).name
    if recipe.layout != "file":
        return Path(f"{name}-{recipe.layout}")
    precision = {"fp32": "", "fp16": "-half", "dynamic": "-dynamic", "int8": "-int8"}[recipe.precision]
    return Path(f"{name}{precision}{SUFFIXES[recipe.format]}")
