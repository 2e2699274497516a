"""ONNX Runtime with nobody's help: PyTorch's own exporter, default options, default quantization."""

from pathlib import Path
from typing import Any

from peers.row import Call, Floats, Job, Row

FILE = "model.onnx"


def export_stock(job: Job, path: Path) -> None:
    """Write what torch.onnx.export makes of the model by default, weights in the same file."""
    import torch

    example = (torch.from_numpy(job.image()),)
    torch.onnx.export(job.network(), example, path, verbose=False, external_data=False)


def make_float(job: Job, folder: Path) -> None:
    export_stock(job, folder / FILE)


def make_int8(job: Job, folder: Path) -> None:
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    plain = folder / "plain.onnx"
    export_stock(job, plain)

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.inputs = iter(job.calibration())

        def get_next(self) -> dict[str, Any] | None:
            image = next(self.inputs, None)
            return None if image is None else {"x": image[None]}

    quantize_static(plain, folder / FILE, Reader())
    plain.unlink()


def open_file(job: Job, folder: Path, threads: int) -> Call:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(folder / FILE, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def call(image: Floats) -> Floats:
        logits: Floats = session.run(None, {name: image})[0]
        return logits

    return call


PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime")
ROWS = (
    Row("ONNX Runtime fp32", "fp32", "torch.onnx.export, defaults", PACKAGES, make_float, open_file),
    Row("ONNX Runtime int8", "int8", "quantize_static, defaults", PACKAGES, make_int8, open_file),
)
