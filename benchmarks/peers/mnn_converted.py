"""MNN, converted from the stock ONNX file; int8 is of weights alone.

The converter's C function is called directly: MNN.tools.mnnconvert installs a package and sends statistics on use.
"""

from pathlib import Path

import numpy as np

from peers.onnxruntime_stock import export_stock
from peers.row import Call, Floats, Job, Row

FILE = "model.mnn"


def make_float(job: Job, folder: Path) -> None:
    _convert(job, folder)


def make_int8(job: Job, folder: Path) -> None:
    _convert(job, folder, "--weightQuantBits", "8")


def _convert(job: Job, folder: Path, *options: str) -> None:
    import _tools

    plain = folder / "plain.onnx"
    export_stock(job, plain)
    command = ["mnnconvert", "-f", "ONNX", "--modelFile", str(plain), "--MNNModel", str(folder / FILE), *options]
    _tools.mnnconvert([*command, "--bizCode", "edgevit"])
    plain.unlink()
    if not (folder / FILE).exists():
        raise RuntimeError("MNN's converter wrote no file")


def open_float(job: Job, folder: Path, threads: int) -> Call:
    return _open(folder, threads, "normal")


def open_int8(job: Job, folder: Path, threads: int) -> Call:
    return _open(folder, threads, "low")  # compute in int8 too, with activations quantized picture by picture


def _open(folder: Path, threads: int, memory: str) -> Call:
    import MNN

    net = MNN.Interpreter(str(folder / FILE))
    session = net.createSession({"backend": "CPU", "numThread": threads, "precision": "high", "memory": memory})
    given, made = net.getSessionInput(session), net.getSessionOutput(session)
    shape, classes = given.getShape(), made.getShape()

    def call(image: Floats) -> Floats:
        given.copyFrom(MNN.Tensor(shape, MNN.Halide_Type_Float, image, MNN.Tensor_DimensionType_Caffe))
        net.runSession(session)
        logits = np.zeros(classes, np.float32)
        answer = MNN.Tensor(classes, MNN.Halide_Type_Float, logits, MNN.Tensor_DimensionType_Caffe)
        made.copyToHostTensor(answer)
        return np.array(answer.getNumpyData(), np.float32).reshape(1, -1)

    return call


PACKAGES = ("torch", "onnx", "onnxscript", "MNN")
ROWS = (
    Row("MNN fp32", "fp32", "from ONNX", PACKAGES, make_float, open_float),
    Row("MNN int8 weights", "int8", "--weightQuantBits 8, memory low", PACKAGES, make_int8, open_int8),
)
ABSENT = {"MNN int8": "mnnquant of the wheel aborts (std::length_error); its weight quantization is measured instead"}
