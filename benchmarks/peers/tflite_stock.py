"""TFLite with nobody's help: litert-torch on the plain model, ai-edge-quantizer's own recipes and calibration."""

from pathlib import Path
from typing import Any

import numpy as np

from peers.row import Call, Floats, Job, Row

FILE = "model.tflite"


def make_float(job: Job, folder: Path) -> None:
    import litert_torch
    import torch

    with torch.no_grad():
        litert_torch.convert(job.network(), (torch.from_numpy(job.image()),)).export(str(folder / FILE))


def make_static(job: Job, folder: Path) -> None:
    from ai_edge_quantizer import quantizer, recipe

    plain = _plain(job, folder)
    made = quantizer.Quantizer(str(plain), recipe.static_wi8_ai8())
    (name,) = _interpreter(plain, 1).get_signature_runner().get_input_details()
    signature = next(iter(_interpreter(plain, 1).get_signature_list()))
    statistics = made.calibrate({signature: [{name: image[None]} for image in job.calibration()]})
    made.quantize(statistics).export_model(str(folder / FILE))
    plain.unlink()


def make_dynamic(job: Job, folder: Path) -> None:
    from ai_edge_quantizer import quantizer, recipe

    plain = _plain(job, folder)
    quantizer.Quantizer(str(plain), recipe.dynamic_wi8_afp32()).quantize().export_model(str(folder / FILE))
    plain.unlink()


def _plain(job: Job, folder: Path) -> Path:
    """Return the float file to quantize."""
    make_float(job, folder)
    return (folder / FILE).rename(folder / "plain.tflite")


def open_file(job: Job, folder: Path, threads: int) -> Call:
    interpreter = _interpreter(folder / FILE, threads)
    interpreter.allocate_tensors()
    given, made = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def call(image: Floats) -> Floats:
        interpreter.set_tensor(given["index"], _stored(image, given))
        interpreter.invoke()
        return _loaded(interpreter.get_tensor(made["index"]), made)

    return call


def _interpreter(path: Path, threads: int) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_path=str(path), num_threads=threads)


def _stored(values: Floats, tensor: dict[str, Any]) -> Any:
    """Return the input as the file keeps it: float32, or int8 by its scale and zero point."""
    if tensor["dtype"] is np.float32:
        return values
    scale, zero = tensor["quantization"]
    return np.clip(np.rint(values / np.float32(scale)) + zero, -128, 127).astype(tensor["dtype"])


def _loaded(values: Any, tensor: dict[str, Any]) -> Floats:
    if tensor["dtype"] is np.float32:
        return np.array(values)
    scale, zero = tensor["quantization"]
    return (values.astype(np.float32) - zero) * np.float32(scale)


CONVERTER = ("torch", "litert_torch", "ai_edge_litert")
QUANTIZER = (*CONVERTER, "ai_edge_quantizer")
ROWS = (
    Row("TFLite fp32", "fp32", "litert-torch, defaults; LiteRT", CONVERTER, make_float, open_file),
    Row("TFLite int8", "int8", "recipe static_wi8_ai8: every operator", QUANTIZER, make_static, open_file),
    Row("TFLite dynamic", "int8", "recipe dynamic_wi8_afp32", QUANTIZER, make_dynamic, open_file),
)
