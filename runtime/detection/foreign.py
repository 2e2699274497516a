"""Detection models that edgevit did not export: which of the known forms one has, and how its pictures are prepared.

Known are Ultralytics' ONNX and TFLite files by their metadata, YOLOX' ONNX files, others that answer in the same ways,
and TFLite files that end in TFLite_Detection_PostProcess, as SSD and EfficientDet-Lite do.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgevit.artifact import onnx
from edgevit.artifact.files import FilePath, file_suffix
from edgevit.artifact.manifest import Preprocess
from edgevit.artifact.reading import read_graph
from edgevit.errors import ModelFileError, OptionError
from edgevit.runtime.backends.session import Session, open_session
from edgevit.runtime.backends.tflite_operators import output_places, read_needs
from edgevit.runtime.detection.decode import BoxDecoder
from edgevit.runtime.detection.tables import CentreTable, FinishedTable, SsdOutputs, Unit
from edgevit.runtime.foreign import UserMetadata, foreign_preprocess, input_size, known_labels
from edgevit.schema import read_json

POSTPROCESS = "TFLite_Detection_PostProcess"
STRIDES = (8, 16, 32)
ANCHORS = 3
"""Anchors of a place in YOLOv5."""
MOST_FINISHED = 1000
"""A table of six columns and no more rows than this holds finished boxes."""
KNOWN = (
    "one output (1, 4 + classes, N), (1, N, 5 + classes) or (1, N, 6), as Ultralytics and YOLOX give it, or the four "
    f"of {POSTPROCESS}"
)

ULTRALYTICS = UserMetadata(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
"""Preparation of pictures: RGB in 0..1 in a letterbox..."""
YOLOX = UserMetadata(mean=(0.0, 0.0, 0.0), std=(1 / 255,) * 3, bgr=True)
"""...blue, green and red from 0 to 255 in a letterbox..."""
SSD = UserMetadata(squash=True)
"""...or squashed, and normalized as the file says."""


@dataclass(frozen=True)
class ForeignDetector:
    """What `load` needs to open a detection model that edgevit did not export."""

    session: Session
    preprocess: Preprocess
    labels: tuple[str, ...]
    decoder: BoxDecoder


def is_detector(path: FilePath, metadata: Mapping[str, str], told: UserMetadata) -> bool:
    """Tell from what a foreign file declares whether it finds boxes.

    Raises:
        ModelFileError: it does something else that edgevit cannot do for a foreign model.
    """
    task = metadata.get("task")
    if task in ("segment", "pose", "obb"):
        raise ModelFileError(
            f"{path} says that its task is {task!r}, which edgevit runs for models of its own export alone; give one "
            "for 'detect' or 'classify'"
        )
    if task == "detect" or (file_suffix(path) == ".tflite" and output_places(path, POSTPROCESS)):
        return True
    outputs = [each for each in read_graph(path).outputs if told.output in (None, each.name)]
    shape = outputs[0].shape if len(outputs) == 1 else None
    return shape is not None and len(shape) == 3 and 1 not in shape[1:]


def open_detector(
    path: FilePath, threads: int | None, told: UserMetadata, metadata: Mapping[str, str]
) -> ForeignDetector:
    """Open a foreign detection model, and ask it once about a black picture to see how it answers.

    Raises:
        ModelFileError: its outputs have no form that is known; the message names them.
        OptionError: something that must be told was not, or does not fit the model.
    """
    places = output_places(path, POSTPROCESS) if file_suffix(path) == ".tflite" else None
    if places is not None and (len(places) != 4 or -1 in places):
        raise ModelFileError(f"{path} does not give all four outputs of its {POSTPROCESS}; export it again")
    names = [str(place) for place in places or ()] if told.output is None else [told.output]
    session = open_session(path, threads, outputs=names)
    try:
        return _look(path, session, told, metadata, finished=places is not None)
    except BaseException:
        session.close()
        raise


def _look(
    path: FilePath, session: Session, told: UserMetadata, metadata: Mapping[str, str], *, finished: bool
) -> ForeignDetector:
    for name, value in (("outputs", told.outputs), ("crop_pct", told.crop_pct)):
        if value is not None:
            raise OptionError(f"{path} finds objects, and {name} means nothing for that; leave it out")
    size = _size(path, session, told, metadata)
    blank = np.zeros((1, 3, *size), np.float32)
    shapes = [output.shape[1:] for output in session.run_outputs(blank)]
    labels = known_labels(told, metadata)
    if labels is None:
        raise OptionError(
            f"{path} was not exported by edgevit, so its class names are unknown: give labels (--labels FILE, one name "
            "a line)"
        )
    if finished:
        decoder: BoxDecoder = SsdOutputs(size, len(labels))
        usual = SSD
    else:
        decoder, usual = _table_decoder(path, session, shapes, size, len(labels), metadata)
    decoder.check(shapes, len(labels))
    return ForeignDetector(session, _preprocess(path, session, told, usual, size, metadata), labels, decoder)


def _table_decoder(
    path: FilePath,
    session: Session,
    shapes: Sequence[tuple[int, ...]],
    size: tuple[int, int],
    classes: int,
    metadata: Mapping[str, str],
) -> tuple[BoxDecoder, UserMetadata]:
    """Return what reads the only output, a table, and how pictures are prepared unless the user says otherwise."""
    if len(shapes) != 1 or len(shapes[0]) != 2:
        raise ModelFileError(f"{path} finds objects, but has {_seen(session)}; expected {KNOWN}")
    unit: Unit = "shares" if file_suffix(path) == ".tflite" and "stride" in metadata else "pixels"
    rows, columns = shapes[0]
    cells = sum(math.ceil(size[0] / stride) * math.ceil(size[1] / stride) for stride in STRIDES)
    if columns == 6 and rows <= MOST_FINISHED and rows not in (cells, ANCHORS * cells):
        return FinishedTable(size, classes, unit), ULTRALYTICS
    upright = rows > columns
    places, width = (rows, columns) if upright else (columns, rows)
    if width == 4 + classes:
        return CentreTable(size, classes, unit, columns=not upright), ULTRALYTICS
    if width != 5 + classes:
        raise ModelFileError(
            f"{path} has {_seen(session)}, with {width} numbers for each of {places} places, but there are {classes} "
            f"labels; expected {4 + classes}, or {5 + classes} with an objectness: give one label for each class"
        )
    if places != cells or "stride" in metadata:
        return CentreTable(size, classes, unit, objectness=True, columns=not upright), ULTRALYTICS
    # where boxes are decoded in the graph, it has an exp for their sides
    raw = not _computes_exp(path)
    table = CentreTable(size, classes, "strides" if raw else "pixels", objectness=True, columns=not upright)
    return replace(table, strides=STRIDES) if raw else table, YOLOX


def _computes_exp(path: FilePath) -> bool:
    if file_suffix(path) == ".tflite":
        return any(operator.name == "EXP" for operator in read_needs(path).operators)
    return "Exp" in onnx.operators(path)


def _preprocess(
    path: FilePath,
    session: Session,
    told: UserMetadata,
    usual: UserMetadata,
    size: tuple[int, int],
    metadata: Mapping[str, str],
) -> Preprocess:
    """Return the preprocessing: what the user says, else what is usual for models that answer in this way."""
    # integer inputs say themselves what their levels stand for
    integers = session.tensors.limits is not None
    told = replace(
        told,
        imgsz=size,
        crop_pct=1.0,
        interpolation=told.interpolation or "bilinear",
        mean=told.mean if told.mean is not None or integers else usual.mean,
        std=told.std if told.std is not None or integers else usual.std,
        # YOLOX before 0.2 normalized, and took RGB
        bgr=usual.bgr if told.bgr is None and told.mean is None else told.bgr,
    )
    squash = usual.squash if told.squash is None else told.squash
    steps = foreign_preprocess(path, session, told, metadata)
    return replace(steps, crop_mode="squash" if squash else "letterbox")


def _size(path: FilePath, session: Session, told: UserMetadata, metadata: Mapping[str, str]) -> tuple[int, int]:
    """Return the input's (height, width): the graph's own, else what the user says, else what the metadata says."""
    stored = _stored_size(metadata) if told.imgsz is None and 0 in session.input_shape[2:] else None
    return input_size(path, session, stored or told.imgsz)


def _stored_size(metadata: Mapping[str, str]) -> tuple[int, int] | None:
    """Return Ultralytics' imgsz, [height, width]; None if it is not there."""
    try:
        sides = read_json(metadata.get("imgsz", ""))
    except ValueError:
        return None
    if isinstance(sides, list) and len(sides) == 2 and all(type(side) is int and side > 0 for side in sides):
        return sides[0], sides[1]
    return None


def _seen(session: Session) -> str:
    return f"the outputs {', '.join(map(str, session.tensors.outputs))}"
