"""Running an ONNX file with ONNX Runtime.

Threads do not spin while they wait. Measured at 20 pictures a second, sbcformer_xs int8, two threads on a loaded
two-core PC: spinning took 50 to 55 ms of processor time a picture, spinning that stops at the end of each picture
(`session.force_spinning_stop`) 17 to 19, none 10. The median latencies (16 to 19, 14 to 15, 14 to 18 ms) differed by
less than they did from run to run. On an idle machine spinning may win a little latency; a board has better uses for
its power.

The memory arena and memory patterns keep their defaults: without them latency and peak memory (89 MB) were the same
within 3 MB.

On x86 without VNNI the usual int8 kernels add pairs of products in 16 bits, which overflow: a sum of three ones, all at
the end of their ranges, becomes 2.01. The exact kernels are asked for instead, so that a PC answers as the board will.
Measured on an AMD EPYC without VNNI, one thread: sbcformer_xs int8 takes 15.3 ms instead of 11.4, efficientvit_b0 6.0
instead of 5.7. Other processors have only exact kernels.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevit.errors import ClosedError, MissingExtraError, ModelFileError
from edgevit.runtime.backends.session import FORMS, Tensors

_PREAMBLE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .*? failed: ?)?")


class OnnxSession:
    """See edgevit.runtime.backends.session.Session."""

    runtime = "onnxruntime"
    tensors = Tensors()

    def __init__(self, path: Path, threads: int, rank: int | None = 2) -> None:
        options = session_options(threads)
        try:
            self._session = _import_onnxruntime().InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except MemoryError:
            raise
        except Exception as error:  # its errors share no base class
            raise ModelFileError(f"{path} cannot be run by ONNX Runtime: {_one_line(error)}") from error
        self._path = path
        self._input, self.input_shape = _check_input(path, self._session.get_inputs())
        _check_output(path, self._session.get_outputs(), rank)

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        session = self._session
        if session is None:
            raise ClosedError(f"{self._path} was closed; load it again")
        size = self.input_shape[0] or len(batch)
        answers = [self._run_part(session, batch[start : start + size], size) for start in range(0, len(batch), size)]
        return np.concatenate(answers)

    def _run_part(self, session: Any, part: NDArray[np.float32], size: int) -> NDArray[np.float32]:
        """Run up to `size` images; a model of fixed batch gets blank ones for the rest."""
        full = np.zeros((size, *part.shape[1:]), np.float32) if len(part) < size else np.ascontiguousarray(part)
        full[: len(part)] = part
        try:
            (output,) = session.run(None, {self._input: full})
        except MemoryError:
            raise
        except Exception as error:  # its errors share no base class
            raise ModelFileError(f"{self._path} failed on input {full.shape}: {_one_line(error)}") from error
        answer: NDArray[np.float32] = np.asarray(output, np.float32)[: len(part)]
        return answer

    def close(self) -> None:
        self._session = None


def open_backend(path: Path, threads: int, rank: int | None = 2) -> OnnxSession:
    return OnnxSession(path, threads, rank)


def session_options(threads: int) -> Any:
    """Return ONNX Runtime's options for a number of threads that do not spin, and without its own log."""
    runtime = _import_onnxruntime()
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # set explicitly: without, ONNX Runtime pins threads to cores that a container may not own
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # exact int8 on x86 without VNNI, as said above
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.log_severity_level = 4
    return options


def _import_onnxruntime() -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise MissingExtraError("onnxruntime", "running an .onnx file") from error
    return onnxruntime


def _check_input(path: Path, inputs: Any) -> tuple[str, tuple[int, int, int, int]]:
    """Return the only input's name and shape, 0 where it is open."""
    expected = "expected one float32 input (batch, 3, height, width)"
    if len(inputs) != 1:
        raise ModelFileError(f"{path} has {len(inputs)} inputs ({', '.join(i.name for i in inputs)}); {expected}")
    name, kind, axes = inputs[0].name, inputs[0].type, inputs[0].shape
    if kind != "tensor(float)":
        raise ModelFileError(f"{path} takes {kind}; {expected}: export it with a float32 input")
    if len(axes) != 4:
        raise ModelFileError(f"{path} takes an input of shape {axes}; {expected}")
    batch, channels, height, width = (axis if isinstance(axis, int) and axis > 0 else 0 for axis in axes)
    if channels not in (0, 3):
        hint = ": its channels are last (NHWC); export it with channels first (NCHW)" if width == 3 else ""
        raise ModelFileError(f"{path} takes an input of shape {axes}; {expected}{hint}")
    return name, (batch, channels, height, width)


def _check_output(path: Path, outputs: Any, rank: int | None) -> None:
    shapes = [output.shape for output in outputs]
    allowed = FORMS if rank is None else {rank: FORMS[rank]}
    if len(shapes) != 1 or len(shapes[0]) not in allowed:
        expected = " or ".join(allowed.values())
        raise ModelFileError(f"{path} answers with shapes {shapes}; expected one output {expected}")


def _one_line(error: Exception) -> str:
    """Return the part of a C++ error that a user can act on."""
    text = " ".join(str(error).split())
    return _PREAMBLE.sub("", text)[:200]
