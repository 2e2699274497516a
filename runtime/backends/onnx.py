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
instead of 5.7. VNNI's own kernels are exact, so there they are not asked for: ONNX Runtime may take others then, which
answer the same and take twice as long (sbcformer_xs 10.4 ms instead of 5.3 on an Intel Xeon with AVX-VNNI, AVX-512 and
AMX). Other processors have only exact kernels.
"""

import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.files import FilePath, open_model
from edgevit.device_profiles.evidence import cpu_flags
from edgevit.errors import ClosedError, MissingExtraError, ModelFileError
from edgevit.runtime.backends.onnx_tensor import check_input, check_output, open_sides, scores
from edgevit.runtime.backends.session import LONGEST_REASON, Output, Tensors, choose_outputs, path_is_text

VNNI = {"avx512_vnni", "avx_vnni"}
"""Processor features, as /proc/cpuinfo names them, that add int8 products in 32 bits."""
_PREAMBLE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .*? failed: ?)?")
_SIGNATURE = re.compile(r"^/\S+\.(?:cc|h|cpp|hpp):\d+ \S.*?\)(?: const)? (?=[A-Z])")
"""File, line and function, such as "/onnxruntime/core/graph/model.cc:180 onnxruntime::Model::Model(ModelProto&&) "."""


class OnnxSession:
    """See edgevit.runtime.backends.session.Session."""

    runtime = "onnxruntime"

    def __init__(
        self,
        path: FilePath,
        threads: int,
        rank: int | None = 2,
        output: str | None = None,
        outputs: Sequence[str] | None = None,
    ) -> None:
        options = session_options(threads)
        try:
            model = os.fspath(path) if path_is_text(path) else _read(path)
            self._session = _import_onnxruntime().InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except MemoryError:
            raise
        except Exception as error:  # its errors share no base class
            raise ModelFileError(f"{path} cannot be run by ONNX Runtime: {_one_line(error)}") from error
        self._path = path
        self._input = check_input(path, self._session.get_inputs())
        self.input_shape = self._input.shape
        declared = [Output(each.name, open_sides(each.shape)) for each in self._session.get_outputs()]
        if outputs is None:
            name, self._singly = check_output(path, self._session.get_outputs(), rank, output)
            self._outputs, self._scores_only = [name], rank == 2
        else:
            self._outputs = [declared[place].name for place in choose_outputs(path, declared, outputs)]
            self._singly = self._scores_only = False
        given = self._input
        self.tensors = Tensors(given.dtype.name, given.layout, given.limits, self._outputs[0], outputs=tuple(declared))

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.run_outputs(batch)[0]

    def run_outputs(self, batch: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        session = self._session
        if session is None:
            raise ClosedError(f"{self._path} was closed; load it again")
        size = self.input_shape[0] or (1 if self._singly else len(batch))
        answers = [self._run_part(session, batch[start : start + size], size) for start in range(0, len(batch), size)]
        return tuple(np.concatenate(each) for each in zip(*answers, strict=True))

    def _run_part(self, session: Any, part: NDArray[np.float32], size: int) -> list[NDArray[np.float32]]:
        """Run up to `size` images; a model of fixed batch gets blank ones for the rest."""
        full = np.zeros((size, *part.shape[1:]), np.float32) if len(part) < size else np.ascontiguousarray(part)
        full[: len(part)] = part
        try:
            answers = session.run(self._outputs, {self._input.name: self._input.store(full)})
        except MemoryError:
            raise
        except Exception as error:  # its errors share no base class
            raise ModelFileError(f"{self._path} failed on input {full.shape}: {_one_line(error)}") from error
        if self._scores_only:
            answers = [scores(self._path, answers[0], size)]
        return [self._of_pictures(answer, size)[: len(part)] for answer in answers]

    def _of_pictures(self, answer: Any, size: int) -> NDArray[np.float32]:
        values = np.asarray(answer, np.float32)
        if values.ndim == 0 or len(values) != size:
            raise ModelFileError(
                f"{self._path} answers with shape {values.shape} for {size} pictures; expected (batch, ...)"
            )
        return values

    def close(self) -> None:
        self._session = None


def open_backend(
    path: FilePath,
    threads: int,
    rank: int | None = 2,
    output: str | None = None,
    outputs: Sequence[str] | None = None,
) -> OnnxSession:
    return OnnxSession(path, threads, rank, output, outputs)


def session_options(threads: int) -> Any:
    """Return ONNX Runtime's options for a number of threads that do not spin, and without its own log."""
    runtime = _import_onnxruntime()
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # set explicitly: without, ONNX Runtime pins threads to cores that a container may not own
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if VNNI.isdisjoint(cpu_flags()):
        # exact int8 on x86, as said above; where the features are not known, too
        options.add_session_config_entry("session.x64quantprecision", "1")
    options.log_severity_level = 4
    return options


def _read(path: FilePath) -> bytes:
    """Return a model itself, which ONNX Runtime takes where its path is no text."""
    with open_model(path) as file:
        return file.read()


def _import_onnxruntime() -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise MissingExtraError("onnxruntime", "running an .onnx file") from error
    return onnxruntime


def _one_line(error: Exception) -> str:
    """Return what a C++ error says, without where in the C++ code it comes from."""
    text = _PREAMBLE.sub("", " ".join(str(error).split()))
    return _SIGNATURE.sub("", text)[:LONGEST_REASON]
