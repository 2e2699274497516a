"""What an exported file says about itself: the versioned metadata document inside every artifact.

The document is JSON under the key `edgevit`; docs/artifact.md describes each field. Reading needs neither onnx nor a
runtime. The file is sealed: the document holds the SHA-256 of the whole file, taken with the digest's own 64
characters set to zero, so a damaged file is told from a sound one on any machine.
"""

import dataclasses
import importlib
import json
from dataclasses import dataclass
from typing import Any, Literal

from edgevit.artifact.cases import INPUT_TOLERANCE_LEVELS, LOGIT_TOLERANCE, MISSING_BOXES, SCORE_TOLERANCE, SelfTests
from edgevit.artifact.checks import require
from edgevit.artifact.files import FilePath, file_suffix
from edgevit.artifact.seal import UNSEALED, file_digest
from edgevit.errors import ModelFileError
from edgevit.schema import FieldError, read_json, read_value

SCHEMA = 1
"""Version of the document that this edgevit writes, and the newest that it reads."""

READERS = {".onnx": "edgevit.artifact.onnx", ".tflite": "edgevit.artifact.tflite"}
"""File suffix to the module that reads such a file's key-value pairs (`read_metadata`, or one of them, `read_document`)
and finds weights that lie in another file (`external_file`); any other is taken for ONNX."""

KEY = "edgevit"

INTERPOLATIONS = ("bicubic", "bilinear")
CROP_MODES = ("center", "squash", "letterbox")
CHANNELS = ("RGB", "BGR", "L")
DECODES = ("yolox", "retina", "corners", "joined")

MOST_LABELS = 100_000
Precision = Literal["fp32", "fp16", "int8", "dynamic"]
""""fp16": stored weights only. "dynamic": int8 weights, activations quantized while the model runs."""


@dataclass(frozen=True)
class Preprocess:
    """From an RGB image of any size to the model's input, in timm's vocabulary."""

    size: tuple[int, int]
    """(height, width) of the model's input, in pixels."""
    interpolation: str = "bicubic"
    """"bicubic" or "bilinear", antialiased when shrinking, as Pillow computes them."""
    crop_pct: float = 0.875
    """The short side is first scaled to size / crop_pct, then the centre is cropped."""
    crop_mode: str = "center"
    """"center"; "squash": scale to size / crop_pct without keeping the aspect, then crop; or "letterbox": scale the
    whole picture until one side fits, put it into the upper left corner, and fill the rest with `fill`."""
    fill: int = 114
    """Level, 0..255, of what a letterbox leaves free."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """Subtracted from RGB values in 0..1."""
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    """Divides after the mean is subtracted."""
    channels: str = "RGB"
    """The order that the model takes: "RGB", "BGR", or "L", brightness alone (given three times where it takes three).
    Mean and deviation are in the order of RGB whatever it is."""
    levels: tuple[float, float] | None = None
    """Which levels of a picture of 16 bits or of floating-point numbers are black and white; pictures of 8 bits have
    their own. None where such a picture's whole range is meant."""

    def __post_init__(self) -> None:
        """Raise ValueError for values that no preprocessing can follow."""
        require(min(self.size) > 0, "size", self.size, "two positive numbers")
        require(self.interpolation in INTERPOLATIONS, "interpolation", self.interpolation, " or ".join(INTERPOLATIONS))
        require(self.crop_mode in CROP_MODES, "crop_mode", self.crop_mode, " or ".join(CROP_MODES))
        require(0 <= self.fill <= 255, "fill", self.fill, "a level from 0 to 255")
        require(self.crop_mode != "letterbox" or self.crop_pct == 1, "crop_pct", self.crop_pct, "1 with a letterbox")
        require(0 < self.crop_pct <= 1, "crop_pct", self.crop_pct, "more than 0, at most 1")
        require(min(self.std) > 0, "std", self.std, "three positive numbers")
        require(self.channels in CHANNELS, "channels", self.channels, " or ".join(CHANNELS))
        require(self.levels is None or self.levels[0] < self.levels[1], "levels", self.levels, "a low and a high one")


@dataclass(frozen=True)
class Input:
    """The model's input tensor."""

    name: str
    shape: tuple[int, int, int, int]
    dtype: str = "float32"
    layout: str = "NCHW"
    color: str = "RGB"
    normalized_in_graph: bool = False
    """Whether the graph itself subtracts the mean and divides by the deviation; it then takes RGB in 0..1."""


@dataclass(frozen=True)
class HeldOut:
    """Which pictures of its folder a training did not see, so that they are found there again.

    A picture is known by its path's hash: the first 16 hexadecimal digits of the SHA-256 of its path below the folder
    (below train/, if that is there), with slashes, in Unicode's composed form.
    """

    split: Literal["folder", "hash"]
    """"folder": all of train/ was trained on. "hash": what has a hash, as a share of 2^64, of at least `fraction`."""
    images: int
    """How many pictures were held out."""
    trained: int
    """How many were trained on."""
    fraction: float = 0.0
    exceptions: tuple[str, ...] = ()
    """Hashes of pictures for which the rule is turned round, so that of each class some are held out."""
    sample: tuple[tuple[str, int], ...] = ()
    """Hash and size in bytes of some pictures that were trained on: a folder that has them is the training's."""
    elsewhere: tuple[str, ...] = ()
    """Hashes of pictures in other parts of the folder that the weights which training started from had seen."""


@dataclass(frozen=True)
class Weights:
    """Where the weights come from."""

    source: str
    """File name, registry entry, or "random"."""
    sha256: str
    license: str
    trained: bool
    """False for random weights: the answers mean nothing."""
    note: str = ""
    held_out: HeldOut | None = None
    """What `edgevit train` kept from training; None where that is not known."""


@dataclass(frozen=True)
class Calibration:
    """The images that set the ranges of int8 activations."""

    source: str
    """"folder", "synthesized", "bundled" or "drawn"."""
    images: int
    method: str
    seed: int
    skipped: int = 0
    """Files in the folder that could not be read."""


@dataclass(frozen=True)
class Quantization:
    """How int8 was done."""

    scheme: str
    """Activation and weight types: "U8S8" is uint8 activations, int8 weights; weights have a scale per channel."""
    int8_mac_share: float
    """Share of all multiply-accumulates that are computed in int8, counted in the finished graph, 0..1."""
    float_layers: tuple[str, ...]
    """Convolutions and products left in float."""
    calibration: Calibration | None = None
    """None where activations have no fixed ranges: dynamic."""


@dataclass(frozen=True)
class BoxParity:
    """How far one step of the export moved the boxes of a detector from PyTorch's, over the verification images."""

    found: int
    """Boxes that PyTorch finds, at the model's own threshold."""
    lost: int
    """Those of them that no box of their class overlaps by half after the step."""
    new: int
    """Boxes after the step that overlap none of PyTorch's."""
    shift_px: float
    """How far a side has moved at most, in pixels of the input, where PyTorch's score reaches the threshold."""
    score_difference: float
    """How far a score has changed there at most."""


@dataclass(frozen=True)
class Parity:
    """How far one step of the export moved the answers from PyTorch's, over the verification images."""

    step: str
    max_abs: float
    """Largest difference of a logit; of a detector, of any raw number."""
    cosine: float
    """The mean over images; a detector has that of its output with the lowest."""
    top1_agreement: float
    """Share of images or pixels that keep their class; of PyTorch's boxes, share of those that are found again."""
    images: int
    source: str = ""
    """Which images they are."""
    boxes: BoxParity | None = None
    """None for models that find no boxes."""


@dataclass(frozen=True)
class MaskOutput:
    """What a segmentation model's answer means."""

    stride: int
    """It answers for one cell of stride x stride pixels of its input."""
    palette: tuple[tuple[int, int, int], ...]
    """RGB of each class."""
    classes_in_graph: bool = False
    """Whether the graph answers with class numbers (B, 1, H / stride, W / stride) instead of logits of every class."""


@dataclass(frozen=True)
class BoxOutput:
    """What a detection model's answers mean: raw numbers for each of many places, (B, places, ...) each.

    Places are in rows, from the upper left, the finest level first; with anchors, those of one place follow each other.
    """

    decode: str
    """"yolox": x, y, log width, log height in units of the level's stride, from the cell's corner. "retina": the same
    as differences from an anchor, in units of its sides, from its centre. "corners": left, top, right, bottom in pixels
    of the input. "joined": one output (B, 4 + classes, places) with the centre's x and y, width and height in pixels of
    the input, and the score of each class, 0..1."""
    strides: tuple[int, ...]
    """Pixels of the input between the places of each level."""
    boxes: str
    """Name of the output (B, places, 4)."""
    scores: str
    """Name of the output (B, places, classes): logits."""
    objectness: str = ""
    """Name of the output (B, places, 1): logits; empty where the model has none."""
    threshold: float = 0.25
    """Score, 0..1, below which a box is not told unless the user says another."""
    overlap: float = 0.5
    """Intersection over union above which the less sure of two boxes of one class is left out."""

    def __post_init__(self) -> None:
        """Raise ValueError for values that nothing can be decoded with."""
        require(self.decode in DECODES, "decode", self.decode, " or ".join(DECODES))
        require(bool(self.strides) and min(self.strides) > 0, "strides", self.strides, "positive numbers")
        require(bool(self.boxes and self.scores), "boxes and scores", (self.boxes, self.scores), "names of outputs")
        require(0 <= self.threshold <= 1, "threshold", self.threshold, "a number from 0 to 1")
        require(0 < self.overlap <= 1, "overlap", self.overlap, "more than 0, at most 1")

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the graph's outputs in the order in which they are taken: boxes, objectness if any, scores."""
        return tuple(dict.fromkeys(name for name in (self.boxes, self.objectness, self.scores) if name))


@dataclass(frozen=True)
class Manifest:
    """The whole document."""

    model: str
    task: str
    """"classify", "segment" or "detect"."""
    input: Input
    preprocess: Preprocess
    labels: tuple[str, ...]
    weights: Weights
    precision: Precision
    target: str
    tools: dict[str, str]
    """Versions of what made the file."""
    parity: tuple[Parity, ...] = ()
    quantization: Quantization | None = None
    selftest: SelfTests | None = None
    pixels: MaskOutput | None = None
    """Mask output of a segmentation model; None for other models."""
    boxes: BoxOutput | None = None
    """Outputs of a detection model; None for other models."""
    notes: tuple[str, ...] = ()
    """What a user should know: a resized bias table, a raised epsilon."""
    sha256: str = UNSEALED
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        """Raise ValueError for labels without number, or a self-test that nothing could fail."""
        require(len(self.labels) <= MOST_LABELS, "labels", f"{len(self.labels)} names", f"at most {MOST_LABELS}")
        if self.selftest is None:
            return
        input_limit = INPUT_TOLERANCE_LEVELS / 255 / min(1.0, *self.preprocess.std)
        limits = {
            "input_tolerance": input_limit,
            "logit_tolerance": LOGIT_TOLERANCE,
            "score_tolerance": SCORE_TOLERANCE,
            "missing_boxes": MISSING_BOXES,
        }
        for name, limit in limits.items():
            found = getattr(self.selftest, name)
            require(0 <= found <= limit, f"selftest.{name}", found, f"at most {limit:.4g}")

    @property
    def host_preprocess(self) -> Preprocess:
        """What is left to do before the model: its preprocessing, less a normalisation that the graph does itself."""
        if not self.input.normalized_in_graph:
            return self.preprocess
        return dataclasses.replace(self.preprocess, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))

    def to_json(self) -> str:
        """Return the document as one line.

        Raises:
            ValueError: a figure is NaN or infinite, which JSON cannot hold.
        """
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """Read and check a document.

        Raises:
            ModelFileError: it is not valid JSON, of a newer schema, or a field is missing or of a wrong type.
        """
        try:
            document = read_json(text)
        except ValueError as error:
            raise ModelFileError(
                f"the model's edgevit metadata is not JSON ({error}); export the model again"
            ) from error
        schema = document.get("schema") if isinstance(document, dict) else None
        if type(schema) is not int or schema < 1:
            raise ModelFileError("the model's edgevit metadata has no schema version; export the model again")
        if schema > SCHEMA:
            raise ModelFileError(
                f"the model was exported by a newer edgevit (schema {schema}, this one reads up to {SCHEMA}); "
                "update it: `git pull` in its clone; for a board, `make board-wheel` there and pip install the wheel"
            )
        try:
            value = read_value(cls, document, "edgevit")
        except FieldError as error:
            raise ModelFileError(f"the model's metadata field {error}; export it again") from error
        assert isinstance(value, Manifest)
        return value


def mirrored_keys(manifest: Manifest) -> dict[str, str]:
    """Return the flat keys that generic viewers know from Ultralytics' files, to be written beside KEY."""
    batch, _, height, width = manifest.input.shape
    return {
        "description": f"{manifest.model} {manifest.precision}, exported by edgevit",
        "task": manifest.task,
        "names": json.dumps({str(index): label for index, label in enumerate(manifest.labels)}, ensure_ascii=False),
        "imgsz": json.dumps([height, width]),
        "batch": str(batch),
        "stride": "32",
        "license": manifest.weights.license,
    }


def read_metadata(path: FilePath) -> dict[str, str]:
    """Return the key-value pairs inside a model file: edgevit's document under KEY, and what other tools wrote.

    Raises:
        ModelFileError: the file is missing, not a model, truncated or damaged.
    """
    pairs: dict[str, str] = _reader(path).read_metadata(path)
    return pairs


def _reader(path: FilePath) -> Any:
    return importlib.import_module(READERS.get(file_suffix(path), READERS[".onnx"]))


def read_manifest(path: FilePath) -> Manifest | None:
    """Return the document inside a model file, or None if the file is a model that edgevit did not export.

    Raises:
        ModelFileError: the file is missing, not a model, truncated, damaged, or its document is unreadable.
    """
    text: str | None = _reader(path).read_document(path, KEY)
    if text is None:
        return None
    manifest = Manifest.from_json(text)
    if file_digest(path, manifest.sha256) != manifest.sha256:
        raise ModelFileError(
            f"{path} is damaged: its checksum is not the one written at export; copy or export it again"
        )
    outside = _reader(path).external_file(path)
    if outside is not None:
        raise ModelFileError(
            f"{path} takes weights from another file, {outside!r}, which its checksum does not cover; export it again"
        )
    return manifest
