"""What is to be exported, and how: all that decides the file's content besides the weights' values."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from edgevit.artifact.manifest import Precision
from edgevit.device_profiles import GENERIC, Profile, find_profile
from edgevit.device_profiles.profile import Scheme
from edgevit.errors import OptionError
from edgevit.models.zoo.registry import get_spec
from edgevit.models.zoo.spec import Task
from edgevit.schema import Range, Seed, check_options, named_fields, option_name

Format = Literal["onnx", "tflite"]
Method = Literal["minmax", "percentile"]
METHODS: tuple[Method, ...] = get_args(Method)
Ends = Literal["float", "int8", "uint8"]
Layout = Literal["file", "frigate"]
Gelu = Literal["exact", "tanh"]

SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "tflite": ".tflite"}
FRIGATE_SIZE = 224
"""Side in pixels of the pictures that Frigate gives a classifier."""

TFLITE_ONLY = {"io": "float", "gelu": "exact"}
"""Options that ONNX files do not have, to the value that asks for nothing."""

OPSETS = (17, 18, 19, 20, 21)
"""ONNX operator sets that can be written; from 20 on GELU is a single operator."""

DEFAULT_OPSET = 20

MIN_CALIBRATION_IMAGES = 16
CALIBRATION_IMAGES = 256
CALIBRATION = ("synthesized", "method", "calibration_images")
"""Options of int8's calibration."""


@named_fields
@dataclass(frozen=True)
class Recipe:
    """One export. Values are checked on construction.

    Raises:
        OptionError: a value is not allowed, or two contradict each other.
        EdgevitError: the target has no device profile.
    """

    model: str
    weights: str | Path | None = None
    """A file, a registry entry's name, "random", or None for the model's default."""
    format: Format = "onnx"
    precision: Precision = "fp32"
    io: Ends = "float"
    """Type of an int8 TFLite model's input and output; integer inputs take raw pixels."""
    layout: Layout = "file"
    """"frigate": a folder with labelmap.txt and model.tflite, which answers with probabilities, or of a detector
    model.onnx, whose one output Frigate calls yolo-generic."""
    gelu: Gelu = "exact"
    """Form of a TFLite file's GELU: tanh is quicker in tflite-runtime 2.14."""
    num_classes: Annotated[int, Range(2)] | None = None
    labels: Path | None = None
    data: Path | None = None
    """Folder of images to calibrate with, those trained on if that is known, and to judge by, the others."""
    unlabelled: bool = False
    """Whether the sub-folders of `data` are no classes, so that only agreement with float is measured."""
    synthesized: bool = False
    """Make calibration images from the weights' own BatchNorm statistics instead of reading `data`."""
    method: Method | None = None
    """How calibration turns values into ranges: their extremes, "minmax", which is the default, or all but a few at
    each end."""
    calibration_images: Annotated[int, Range(MIN_CALIBRATION_IMAGES)] = CALIBRATION_IMAGES
    max_drop: Annotated[float, Range(0, 100)] | None = None
    """Float back blocks until int8 loses at most this much accuracy, in percentage points."""
    evaluation_images: int = 1000
    """How many images of `data`, none of them used to calibrate, decide on `max_drop`."""
    imgsz: int | tuple[int, int] | None = None
    """Side of a square input, or (height, width), in pixels; the layout's, else the weights' own, unless given."""
    levels: tuple[float, float] | None = None
    """Which levels of pictures of more than eight bits are black and white; the weights' own unless given."""
    batch: Annotated[int, Range(1)] = 1
    opset: int = DEFAULT_OPSET
    simplify: bool = True
    argmax: bool = False
    """Let a segmentation graph answer with class numbers instead of logits."""
    nms: bool = False
    """Let a detector's graph itself leave out the less sure of two boxes on one object."""
    target: str = GENERIC
    """Name or path of a device profile."""
    scheme: Scheme | None = None
    """Types of int8 activations and weights; the target's unless given."""
    seed: Seed = 0

    def __post_init__(self) -> None:
        check_options(self)
        if self.opset not in OPSETS:
            raise OptionError(f"--opset {self.opset} is not supported; choose one of {', '.join(map(str, OPSETS))}")
        if self.format == "onnx":
            self._check_onnx()
        else:
            self._check_tflite()
        if self.layout == "frigate":
            self._check_frigate(get_spec(self.model).task)
        if self.synthesized and self.data is not None:
            raise OptionError(
                "`--calibration synthesized` and --data both name the calibration images; give one of them"
            )
        if self.unlabelled and self.data is None:
            raise OptionError("--unlabelled is about the sub-folders of --data; give both, or none")
        if self.precision != "int8":
            self._check_float()
        if self.target != GENERIC:
            find_profile(self.target)
        if self.precision == "int8" and not self.simplify:
            raise OptionError("--int8 needs the simplified graph; leave out --no-simplify")

    def _check_float(self) -> None:
        if self.max_drop is not None:
            raise OptionError("--max-drop is a budget for --int8; give both, or none")
        if self.scheme is not None:
            raise OptionError(f"--scheme {self.scheme!r} names the types of --int8; give both, or none")
        if self.synthesized or self.method is not None:
            given = "synthesized" if self.synthesized else self.method
            raise OptionError(f"`--calibration {given}` is about the calibration of --int8; give both, or none")
        if self.calibration_images != CALIBRATION_IMAGES:
            raise OptionError(
                f"--calibration-images {self.calibration_images} is about the calibration of --int8; give both, or none"
            )

    def _check_onnx(self) -> None:
        if self.precision == "dynamic":
            raise OptionError("--precision 'dynamic' is for TFLite; give --format 'tflite' too, or --int8 instead")
        for name, plain in TFLITE_ONLY.items():
            if (value := getattr(self, name)) != plain:
                raise OptionError(f"{option_name(name)} {value!r} is for TFLite; give --format 'tflite' too")

    def _check_tflite(self) -> None:
        if not self.simplify:
            raise OptionError("--no-simplify is for ONNX; leave it out with --format 'tflite'")
        if self.opset != DEFAULT_OPSET:
            raise OptionError(f"--opset {self.opset} is for ONNX; leave it out with --format 'tflite'")
        if self.scheme not in (None, "S8S8"):
            raise OptionError(f"--scheme {self.scheme!r} is for ONNX; TFLite's int8 is S8S8: leave it out")
        if self.io != "float" and self.precision != "int8":
            raise OptionError(f"--io {self.io!r} needs an int8 model; give --int8 too")

    def _check_frigate(self, task: Task) -> None:
        if task == "detect":
            if (self.format, self.batch, self.nms) != ("onnx", 1, False):
                raise OptionError(
                    "--layout 'frigate' writes a detector as ONNX for one picture at a time, whose boxes Frigate sorts "
                    "out itself; leave out --format, --batch and --nms"
                )
            return
        if self.format != "tflite":
            raise OptionError("--layout 'frigate' is for TFLite; give --format 'tflite' too")
        if (self.io, self.batch) != ("uint8", 1):
            raise OptionError(
                "--layout 'frigate' takes one uint8 picture at a time; give --int8, --io 'uint8' and no --batch"
            )
        if self.input_size != layout_size(self.layout, task):
            raise OptionError(
                f"--layout 'frigate' with --imgsz {self.size_text} is not possible: Frigate gives pictures of "
                f"{FRIGATE_SIZE} pixels; leave out --imgsz"
            )

    @property
    def input_size(self) -> tuple[int, int] | None:
        """(height, width) in pixels: what was given, or the layout's; None for the weights' own."""
        if self.imgsz is None:
            return layout_size(self.layout, get_spec(self.model).task)
        return (self.imgsz, self.imgsz) if isinstance(self.imgsz, int) else self.imgsz

    @property
    def size_text(self) -> str:
        """The size as --imgsz has it."""
        size = self.input_size or ()
        return "x".join(dict.fromkeys(map(str, size)))

    @property
    def calibration_method(self) -> Method:
        """The method that was asked for, or the default."""
        return self.method or METHODS[0]

    @property
    def int8_scheme(self) -> Scheme:
        """Types of int8 activations and weights in ONNX: those asked for, or the target's."""
        return self.scheme or (self.board.quantization.scheme if self.board else "U8S8")

    @property
    def board(self) -> Profile | None:
        """The target's profile; None for a file that is to run anywhere."""
        return None if self.target == GENERIC else find_profile(self.target)


FRIGATE_OPTIONS: dict[Task, dict[str, Any]] = {
    "classify": {"io": "uint8", "format": "tflite", "precision": "int8"},
    "detect": {"format": "onnx"},
}
"""Task to what follows from Frigate's layout: it gives a classifier raw pixels, a detector levels in 0..1."""


def layout_size(layout: str | None, task: Task) -> tuple[int, int] | None:
    """Return the (height, width) that files of a layout take, in pixels; None for any."""
    return (FRIGATE_SIZE, FRIGATE_SIZE) if layout == "frigate" and task == "classify" else None


def default_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's options with those that follow from others.

    The format is the layout's, else what was found better on the target.
    """
    target = given.get("target", GENERIC)
    chosen = {"layout": "file", "io": "float", "format": "onnx", "precision": "fp32"}
    if given.get("layout") == "frigate":
        chosen |= FRIGATE_OPTIONS.get(get_spec(given["model"]).task, {})
    elif isinstance(target, str) and target != GENERIC:
        chosen["format"] = find_profile(target).format.preferred
    return chosen | {name: value for name, value in given.items() if value is not None or name not in chosen}


def default_output(recipe: Recipe) -> Path:
    """Return the file name for a recipe: sbcformer_xs-int8.onnx; plain float has no suffix. A layout is a folder."""
    name = get_spec(recipe.model).name
    if recipe.layout != "file":
        return Path(f"{name}-{recipe.layout}")
    precision = {"fp32": "", "fp16": "-half", "dynamic": "-dynamic", "int8": "-int8"}[recipe.precision]
    return Path(f"{name}{precision}{SUFFIXES[recipe.format]}")
