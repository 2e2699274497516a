"""OpenVINO, and int8 by NNCF as its documentation advises for models with attention; also on edgevit's int8 graph."""

import sys
from pathlib import Path
from typing import Any
from unittest import mock

from peers.row import Call, Floats, Job, Row

FILE, OWN_FILE = "model.xml", "model.onnx"


def _without_telemetry() -> None:
    """Let OpenVINO and NNCF find no package to send statistics of use with."""
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]


def _converted(job: Job) -> Any:
    _without_telemetry()
    import openvino
    import torch

    example = torch.from_numpy(job.image())
    return openvino.convert_model(job.network(), example_input=example, input=list(example.shape))


def make_float(job: Job, folder: Path) -> None:
    model = _converted(job)
    import openvino

    openvino.save_model(model, folder / FILE, compress_to_fp16=False)


def make_int8(job: Job, folder: Path) -> None:
    model = _converted(job)
    import nncf
    import openvino

    images = list(job.calibration()[:, None])
    made = nncf.quantize(model, nncf.Dataset(images), subset_size=len(images), model_type=nncf.ModelType.TRANSFORMER)
    openvino.save_model(made, folder / FILE, compress_to_fp16=False)


def make_own(job: Job, folder: Path) -> None:
    """Export as edgevit does, but with activation functions that OpenVINO can fuse instead of lookups."""
    from edgevit.export.onnx import quantize
    from edgevit.export.pipeline import export
    from edgevit.export.recipe import Recipe

    data = job.pictures if job.pictures.exists() else None
    with mock.patch.object(quantize, "use_lookups", lambda model: model):
        export(Recipe(job.model, job.weights, "onnx", "int8", data=data), folder / OWN_FILE)


def open_file(job: Job, folder: Path, threads: int) -> Call:
    _without_telemetry()
    import openvino

    # without the last, processors with bfloat16 arithmetic would use it
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    (path,) = (folder / name for name in (FILE, OWN_FILE) if (folder / name).exists())
    request = openvino.Core().compile_model(path, "CPU", options).create_infer_request()

    def call(image: Floats) -> Floats:
        (logits,) = request.infer([image]).values()
        return logits  # type: ignore[no-any-return]

    return call


ROWS = (
    Row("OpenVINO fp32", "fp32", "convert_model", ("torch", "openvino"), make_float, open_file),
    Row("OpenVINO int8", "int8", "NNCF, TRANSFORMER", ("torch", "openvino", "nncf"), make_int8, open_file),
    Row(
        "OpenVINO on edgevit int8",
        "int8",
        "edgevit export --int8, no lookups",
        ("torch", "onnx", "onnxsim", "onnxruntime", "openvino"),
        make_own,
        open_file,
    ),
)
