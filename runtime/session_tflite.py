"""Running a TFLite file with ai-edge-litert, or with the older tflite-runtime 2.14."""

import importlib
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevit.errors import MissingExtraError, ModelFileError, OptionError
from edgevit.runtime.session import Tensors
from edgevit.tflite_operators import read_needs

RUNTIMES = {"ai_edge_litert": "ai-edge-litert", "tflite_runtime": "tflite-runtime"}
"""Module to package, the preferred one first; both have the same `interpreter.Interpreter`."""
TYPES = ("float32", "int8", "uint8")
EXPECTED = "expected one input (batch, height, width, 3) or (batch, 3, height, width) of float32, int8 or uint8"


@dataclass(frozen=True)
class Tensor:
    """An input or output of the graph."""

    index: int
    dtype: str
    shape: tuple[int, ...]
    """0 where it is open."""
    scale: float
    """One step of an integer tensor; 0 for float."""
    zero_point: int

    @property
    def limits(self) -> tuple[float, float] | None:
        """What the lowest and the highest level of an integer tensor stand for; None for float."""
        if self.dtype == "float32":
            return None
        levels = np.iinfo(self.dtype)
        return self.scale * (levels.min - self.zero_point), self.scale * (levels.max - self.zero_point)

    @property
    def holds_softmax(self) -> bool:
        """Whether an integer tensor has the levels that TFLite prescribes for a softmax: of 1/256, from zero."""
        return self.limits is not None and self.scale == 1 / 256 and self.limits[0] == 0

    def quantize(self, values: NDArray[np.float32]) -> NDArray[Any]:
        """Return float values as the tensor holds them: value = scale * (stored - zero_point)."""
        if self.dtype == "float32":
            return np.ascontiguousarray(values, np.float32)
        limits = np.iinfo(self.dtype)
        steps = values * np.float32(1 / self.scale)
        steps += np.float32(self.zero_point)
        np.rint(steps, out=steps)
        return np.clip(steps, limits.min, limits.max, out=steps).astype(self.dtype)

    def dequantize(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        if self.dtype == "float32":
            return np.asarray(stored, np.float32)
        return (stored.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)


class TfliteSession:
    """See edgevit.runtime.session.Session."""

    def __init__(self, path: Path, threads: int) -> None:
        interpreter_class = _import_interpreter(path)
        self._path = path
        # an interpreter holds one image's tensors, so only one thread at a time may use it
        self._lock = threading.Lock()
        try:
            # XNNPACK, the library of fast kernels, is on unless asked otherwise
            self._interpreter = interpreter_class(model_path=str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelFileError(
                f"{path} cannot be run by {_package(interpreter_class)}: {_one_line(error)}"
            ) from error
        self._input = _check_input(path, self._interpreter.get_input_details())
        self._output = _check_output(path, self._interpreter.get_output_details())
        channels_last = self._input.shape[3] == 3
        self._order = (0, 2, 3, 1) if channels_last else (0, 1, 2, 3)
        batch, *rest = (self._input.shape[self._order.index(axis)] for axis in range(4))
        self.input_shape: tuple[int, int, int, int] = (batch, rest[0], rest[1], rest[2])
        self.tensors = Tensors(
            self._input.dtype, "NHWC" if channels_last else "NCHW", self._input.limits, self._output.holds_softmax
        )

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        # a model of open batch size is asked about one image at a time: others would have it allocate anew
        size = self.input_shape[0] or 1
        answers = [self._run_part(batch[start : start + size], size) for start in range(0, len(batch), size)]
        return np.concatenate(answers)

    def _run_part(self, part: NDArray[np.float32], size: int) -> NDArray[np.float32]:
        """Run up to `size` images; a model of fixed batch gets blank ones for the rest."""
        if blank := size - len(part):
            full = np.concatenate([part, np.zeros((blank, *part.shape[1:]), np.float32)])
            return self._run_part(full, size)[: len(part)]
        stored = self._input.quantize(part.transpose(self._order))
        with self._lock:
            interpreter = self._interpreter
            if interpreter is None:
                raise ValueError(f"{self._path} was closed; load it again")
            try:
                answer = self._invoke(interpreter, stored)
            except (ValueError, RuntimeError) as error:
                raise ModelFileError(f"{self._path} failed on input {part.shape}: {_one_line(error)}") from error
        return self._output.dequantize(answer).reshape(size, -1)

    def _invoke(self, interpreter: Any, stored: NDArray[Any]) -> Any:
        if 0 in self._input.shape[1:] and tuple(interpreter.get_input_details()[0]["shape"]) != stored.shape:
            interpreter.resize_tensor_input(self._input.index, stored.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(self._input.index, stored)
        interpreter.invoke()
        return interpreter.get_tensor(self._output.index)

    def close(self) -> None:
        with self._lock:
            self._interpreter = None


def open_backend(path: Path, threads: int) -> TfliteSession:
    return TfliteSession(path, threads)


def _import_interpreter(path: Path) -> Any:
    """Return the Interpreter class of the preferred runtime that is installed and can run this file.

    Raises:
        MissingExtraError: none is installed.
        ModelFileError: the file needs a newer one, or is not a TFLite model.
        OptionError: the one that is installed does not work with the numpy that is installed.
    """
    needs = read_needs(path)
    for module, package in RUNTIMES.items():
        try:
            found = importlib.import_module(f"{module}.interpreter")
        except ModuleNotFoundError as error:
            if error.name is not None and error.name.split(".")[0] == module:
                continue
            raise MissingExtraError(
                f"{error.name}, a part of {package},", "running a .tflite file", "tflite"
            ) from error
        if module == "tflite_runtime":
            _check_old_runtime(path, needs.fault)
        return found.Interpreter
    raise MissingExtraError("ai-edge-litert", "running a .tflite file", "tflite")


def _check_old_runtime(path: Path, fault: str | None) -> None:
    if int(np.__version__.split(".")[0]) > 1:
        # its import succeeds, but the interpreter raises SystemError after a page of advice for programmers
        raise OptionError(
            f"tflite-runtime 2.14 does not work with numpy {np.__version__}; run: pip install ai-edge-litert, "
            "or pip install 'numpy<2'"
        )
    if fault is not None:
        raise ModelFileError(f"{path} cannot be run by tflite-runtime 2.14: {fault}; run: pip install ai-edge-litert")


def _package(interpreter_class: Any) -> str:
    return RUNTIMES[interpreter_class.__module__.split(".")[0]]


def _check_input(path: Path, details: Any) -> Tensor:
    if len(details) != 1:
        raise ModelFileError(f"{path} has {len(details)} inputs ({', '.join(d['name'] for d in details)}); {EXPECTED}")
    tensor = _tensor(details[0])
    if tensor.dtype not in TYPES:
        raise ModelFileError(f"{path} takes {tensor.dtype}; {EXPECTED}")
    if len(tensor.shape) != 4 or 3 not in (tensor.shape[1], tensor.shape[3]):
        raise ModelFileError(f"{path} takes an input of shape {tensor.shape}; {EXPECTED}")
    return _with_scale(path, tensor)


def _check_output(path: Path, details: Any) -> Tensor:
    tensors = [_tensor(detail) for detail in details]
    shapes = [tensor.shape for tensor in tensors]
    # older classifiers answer (batch, 1, 1, classes)
    if len(shapes) != 1 or len(shapes[0]) < 2 or any(side != 1 for side in shapes[0][1:-1]):
        raise ModelFileError(f"{path} answers with shapes {shapes}; expected one output (batch, classes)")
    if tensors[0].dtype not in TYPES:
        raise ModelFileError(f"{path} answers with {tensors[0].dtype}; expected float32, int8 or uint8")
    return _with_scale(path, tensors[0])


def _tensor(detail: Any) -> Tensor:
    scale, zero_point = detail["quantization"]
    shape = tuple(max(0, int(side)) for side in detail.get("shape_signature", detail["shape"]))
    return Tensor(int(detail["index"]), np.dtype(detail["dtype"]).name, shape, float(scale), int(zero_point))


def _with_scale(path: Path, tensor: Tensor) -> Tensor:
    if tensor.dtype != "float32" and not tensor.scale > 0:
        raise ModelFileError(f"{path} has an {tensor.dtype} tensor without a scale; export it again")
    return tensor


def _one_line(error: Exception) -> str:
    """Return the part of a C++ error that a user can act on."""
    return " ".join(str(error).split())[:200]
