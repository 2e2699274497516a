"""Running a TFLite file with ai-edge-litert, or with the older tflite-runtime 2.14."""

import _thread
import importlib
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.files import FilePath
from edgevit.errors import ClosedError, MissingExtraError, ModelFileError, OptionError
from edgevit.runtime.backends.session import LONGEST_REASON, Output, Tensors, choose_outputs, path_is_text
from edgevit.runtime.backends.tflite_tensor import check_input, check_number, check_output, read_tensor

RUNTIMES = {"ai_edge_litert": "ai-edge-litert", "tflite_runtime": "tflite-runtime"}
"""Module to package, the preferred one first; both have the same `interpreter.Interpreter`."""


class TfliteSession:
    """See edgevit.runtime.backends.session.Session."""

    def __init__(
        self,
        path: FilePath,
        threads: int,
        rank: int | None = 2,
        output: str | None = None,
        outputs: Sequence[str] | None = None,
    ) -> None:
        interpreter_class = _import_interpreter(path)
        self._path = path
        self.runtime = _package(interpreter_class)
        # an interpreter holds one image's tensors, so only one thread at a time may use it
        self._lock = _thread.allocate_lock()
        try:
            # XNNPACK, the library of fast kernels, is on unless asked otherwise
            name = os.fspath(path) if path_is_text(path) else os.fsencode(path)
            self._interpreter = interpreter_class(model_path=name, num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelFileError(
                f"{path} cannot be run by {_package(interpreter_class)}: {_one_line(error)}"
            ) from error
        self._input = check_input(path, self._interpreter.get_input_details())
        details = self._interpreter.get_output_details()
        declared = [Output(detail["name"], read_tensor(detail).shape) for detail in details]
        if outputs is None:
            self._outputs = [check_output(path, details, rank, output)]
            # a map of scores has its four axes; scores alone may have some of one
            self._scores_only = rank == 2 or max(self._outputs[0].shape[2:], default=1) <= 1
        else:
            self._outputs = [check_number(path, details[at]) for at in choose_outputs(path, declared, outputs)]
            self._scores_only = False
        layout = "NHWC" if self._input.channels_last else "NCHW"
        self.input_shape = self._input.image_shape
        self.tensors = Tensors(
            self._input.dtype,
            layout,
            self._input.limits,
            self._outputs[0].index,
            tuple(declared),
            probabilities=self._outputs[0].holds_softmax,
            int8_tolerance=0.15,
        )

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.run_outputs(batch)[0]

    def run_outputs(self, batch: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        # a model of open batch size is asked about one image at a time: others would have it allocate anew
        size = self.input_shape[0] or 1
        answers = [self._run_part(batch[start : start + size], size) for start in range(0, len(batch), size)]
        return tuple(np.concatenate(each) for each in zip(*answers, strict=True))

    def _run_part(self, part: NDArray[np.float32], size: int) -> list[NDArray[np.float32]]:
        """Run up to `size` images; a model of fixed batch gets blank ones for the rest."""
        if blank := size - len(part):
            full = np.concatenate([part, np.zeros((blank, *part.shape[1:]), np.float32)])
            return [values[: len(part)] for values in self._run_part(full, size)]
        with self._lock:
            interpreter = self._interpreter
            if interpreter is None:
                raise ClosedError(f"{self._path} was closed; load it again")
            try:
                answers = self._invoke(interpreter, part)
            except (ValueError, RuntimeError) as error:
                raise ModelFileError(f"{self._path} failed on input {part.shape}: {_one_line(error)}") from error
        loaded = [output.load(answer) for output, answer in zip(self._outputs, answers, strict=True)]
        return [values.reshape(size, -1) for values in loaded] if self._scores_only else loaded

    def _invoke(self, interpreter: Any, part: NDArray[np.float32]) -> list[Any]:
        shape, own = self._input.stored_shape(part), self._input.shape
        if 0 not in own[1:] and shape[1:] != own[1:]:
            raise ValueError(f"it takes {own}")
        if 0 in own[1:] and tuple(interpreter.get_input_details()[0]["shape"]) != shape:
            interpreter.resize_tensor_input(self._input.index, shape)
            interpreter.allocate_tensors()
        # not kept: the interpreter refuses to run while anyone looks into its memory
        self._input.store(part, interpreter.tensor(self._input.index)())
        interpreter.invoke()
        return [interpreter.get_tensor(output.index) for output in self._outputs]

    def close(self) -> None:
        with self._lock:
            self._interpreter = None


def open_backend(
    path: FilePath,
    threads: int,
    rank: int | None = 2,
    output: str | None = None,
    outputs: Sequence[str] | None = None,
) -> TfliteSession:
    return TfliteSession(path, threads, rank, output, outputs)


def _import_interpreter(path: FilePath) -> Any:
    """Return the Interpreter class of the preferred runtime that is installed and can run this file.

    Raises:
        MissingExtraError: none is installed.
        ModelFileError: the file needs a newer one.
        OptionError: the one that is installed does not work with the numpy that is installed.
    """
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
            _check_old_runtime(path)
        return found.Interpreter
    raise MissingExtraError("ai-edge-litert", "running a .tflite file", "tflite")


def _check_old_runtime(path: FilePath) -> None:
    if int(np.__version__.split(".")[0]) > 1:
        # its import succeeds, but the interpreter raises SystemError after a page of advice for programmers
        raise OptionError(
            f"tflite-runtime 2.14 does not work with numpy {np.__version__}; run: pip install ai-edge-litert, "
            "or pip install 'numpy<2'"
        )
    # a newer runtime says itself what it lacks
    from edgevit.runtime.backends.tflite_operators import read_needs

    fault = read_needs(path).fault
    if fault is not None:
        raise ModelFileError(f"{path} cannot be run by tflite-runtime 2.14: {fault}; run: pip install ai-edge-litert")


def _package(interpreter_class: Any) -> str:
    return RUNTIMES[interpreter_class.__module__.split(".")[0]]


def _one_line(error: Exception) -> str:
    """Return the part of a C++ error that a user can act on."""
    return " ".join(str(error).split())[:LONGEST_REASON]
