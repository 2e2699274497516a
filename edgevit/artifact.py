"""What an exported file says about itself: the versioned metadata document inside every artifact.

The document is JSON under the key `edgevit`; docs/artifact.md describes each field. Reading needs neither onnx nor a
runtime. The file is sealed: the document holds the SHA-256 of the whole file, taken with the digest's own 64
characters set to zero, so a damaged file is told from a sound one on any machine.
"""

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgevit.errors import ModelFileError

SCHEMA = 1
"""Version of the document that this edgevit writes, and the newest that it reads."""

KEY = "edgevit"
UNSEALED = "0" * 64

Precision = Literal["fp32", "fp16", "int8"]


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
    """"center", or "squash": scale to size / crop_pct without keeping the aspect, then crop."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """Subtracted from RGB values in 0..1."""
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    """Divides after the mean is subtracted."""


@dataclass(frozen=True)
class Input:
    """The model's input tensor."""

    name: str
    shape: tuple[int, int, int, int]
    dtype: str = "float32"
    layout: str = "NCHW"
    color: str = "RGB"
    normalized_in_graph: bool = False
    """Whether the graph itself subtracts the mean and divides by the deviation."""


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


@dataclass(frozen=True)
class Calibration:
    """The images that set the ranges of int8 activations."""

    source: str
    """"folder", "synthesized" or "bundled"."""
    images: int
    method: str
    seed: int
    skipped: int = 0
    """Files in the folder that could not be read."""


@dataclass(frozen=True)
class Quantization:
    """How int8 was done."""

    scheme: str
    """Activation and weight types: "U8S8" is uint8 activations, int8 weights."""
    per_channel: bool
    int8_mac_share: float
    """Share of all multiply-accumulates that are computed in int8, counted in the finished graph, 0..1."""
    float_layers: tuple[str, ...]
    """Convolutions and products left in float."""
    calibration: Calibration


@dataclass(frozen=True)
class Parity:
    """How far one step of the export moved the logits from PyTorch's, over the verification images."""

    step: str
    max_abs: float
    cosine: float
    top1_agreement: float
    images: int


@dataclass(frozen=True)
class SelfTest:
    """One reference image, what preprocessing must make of it, and what the model must answer."""

    png: str
    """Base64 of a small PNG."""
    input_indices: tuple[int, ...]
    """Flat C-order indices into the (3, H, W) input."""
    input_values: tuple[float, ...]
    """The input's values there."""
    logits: tuple[float, ...]


@dataclass(frozen=True)
class SelfTests:
    """The self-test's cases and how closely a board must reproduce them."""

    cases: tuple[SelfTest, ...]
    input_tolerance: float
    """Largest absolute difference allowed in the normalized input."""
    logit_tolerance: float
    """Largest difference allowed in a logit, as a share of the largest absolute logit of the case."""


@dataclass(frozen=True)
class Manifest:
    """The whole document."""

    model: str
    task: str
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
    notes: tuple[str, ...] = ()
    """What a user should know: a resized bias table, a raised epsilon."""
    sha256: str = UNSEALED
    schema: int = SCHEMA

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """Read and check a document.

        Raises:
            ModelFileError: it is not valid JSON, of a newer schema, or a field is missing or of a wrong type.
        """
        try:
            document = json.loads(text)
        except json.JSONDecodeError as error:
            raise ModelFileError(
                f"the model's edgevit metadata is not JSON ({error}); export the model again"
            ) from error
        schema = document.get("schema") if isinstance(document, dict) else None
        if not isinstance(schema, int):
            raise ModelFileError("the model's edgevit metadata has no schema version; export the model again")
        if schema > SCHEMA:
            raise ModelFileError(
                f"the model was exported by a newer edgevit (schema {schema}, this one reads up to {SCHEMA}); "
                "run: pip install --upgrade edgevit"
            )
        value = _read(cls, document, "edgevit")
        assert isinstance(value, Manifest)
        return value


def read_manifest(path: Path) -> Manifest | None:
    """Return the document inside a model file, or None if the file is a model that edgevit did not export.

    Raises:
        ModelFileError: the file is missing, not a model, truncated, damaged, or its document is unreadable.
    """
    data = read_model_bytes(path)
    text = read_metadata(data, path).get(KEY)
    if text is None:
        return None
    manifest = Manifest.from_json(text)
    if manifest.sha256 != UNSEALED and seal_digest(data, manifest.sha256) != manifest.sha256:
        raise ModelFileError(
            f"{path} is damaged: its checksum is not the one written at export; copy or export it again"
        )
    return manifest


def read_model_bytes(path: Path) -> bytes:
    """Return the file's bytes, or raise ModelFileError saying why it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ModelFileError(f"{path} does not exist; give the path of an exported model") from error
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}") from error


def read_metadata(data: bytes, path: Path) -> dict[str, str]:
    """Return the key-value pairs of an ONNX file, without the onnx package.

    Raises:
        ModelFileError: the bytes are not an ONNX model, or end too early.
    """
    pairs: dict[str, str] = {}
    has_graph = False
    try:
        for number, value in _protobuf_fields(memoryview(data)):
            if number == _GRAPH:
                has_graph = True
            elif number == _METADATA_PROPS and isinstance(value, memoryview):
                entry = dict(_protobuf_fields(value))
                pairs[_text(entry.get(1))] = _text(entry.get(2))
    except (ValueError, IndexError) as error:
        raise ModelFileError(
            f"{path} is not an ONNX model, or is truncated ({error}); export or copy it again"
        ) from error
    if not has_graph:
        raise ModelFileError(f"{path} is not an ONNX model: it has no graph; give a file written by `edgevit export`")
    return pairs


def seal(data: bytes) -> bytes:
    """Return the model's bytes with the digest filled in; `data` must hold a document whose sha256 is UNSEALED."""
    marker = _digest_field(UNSEALED)
    if data.count(marker) != 1:
        raise ValueError(f"expected the unsealed digest once in the model, found it {data.count(marker)} times")
    return data.replace(marker, _digest_field(hashlib.sha256(data).hexdigest()))


def seal_digest(data: bytes, digest: str) -> str:
    """Return the SHA-256 that a sealed file should carry."""
    return hashlib.sha256(data.replace(_digest_field(digest), _digest_field(UNSEALED))).hexdigest()


def _digest_field(digest: str) -> bytes:
    """Find the document's own digest, which is its last field but one, and no other SHA-256 in it."""
    return f'"sha256":"{digest}","schema":'.encode()


_GRAPH, _METADATA_PROPS = 7, 14
"""Field numbers of ONNX's ModelProto."""


def _protobuf_fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield (field number, value) of one protobuf message; lengths are checked against the bytes there are."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise ValueError(f"no protobuf field at byte {position}")
        if wire == 0:
            value, position = _varint(data, position)
            yield number, value
            continue
        if wire == 2:
            length, position = _varint(data, position)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"no protobuf field at byte {position}")
        if position + length > len(data):
            raise ValueError(f"{position + length - len(data)} bytes are missing at its end")
        yield number, data[position : position + length]
        position += length


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError(f"no protobuf number at byte {position}")


def _text(value: int | memoryview | None) -> str:
    return bytes(value).decode(errors="replace") if isinstance(value, memoryview) else ""


def _read(kind: Any, value: Any, where: str) -> Any:
    """Return a JSON value as the annotated type `kind`, or raise ModelFileError naming the field."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return None if value is None else _read(arguments[0], value, where)
    if origin is Literal:
        _check(value in arguments, value, f"one of {', '.join(map(str, arguments))}", where)
        return value
    if origin is tuple:
        _check(isinstance(value, list), value, "a list", where)
        kinds = [arguments[0]] * len(value) if arguments[-1] is ... else list(arguments)
        _check(len(value) == len(kinds), value, f"{len(kinds)} values", where)
        return tuple(_read(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(kinds, value, strict=True)))
    if origin is dict:
        _check(isinstance(value, Mapping), value, "an object", where)
        return {key: _read(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(kind):
        _check(isinstance(value, Mapping), value, "an object", where)
        hints = typing.get_type_hints(kind)
        fields = {field.name: field for field in dataclasses.fields(kind)}
        for name, field in fields.items():
            required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            _check(name in value or not required, "nothing", "a value", f"{where}.{name}")
        return kind(**{name: _read(hints[name], value[name], f"{where}.{name}") for name in fields if name in value})
    if kind is float:
        _check(isinstance(value, int | float) and not isinstance(value, bool), value, "a number", where)
        return float(value)
    _check(isinstance(value, kind) and (kind is bool or not isinstance(value, bool)), value, kind.__name__, where)
    return value


def _check(condition: bool, found: Any, expected: str, where: str) -> None:
    if not condition:
        shown = found if len(repr(found)) < 60 else type(found).__name__
        raise ModelFileError(f"the model's metadata field {where} is {shown!r}, expected {expected}; export it again")
