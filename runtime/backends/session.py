"""A model that answers: what each backend offers, and which backend opens which file."""

import importlib
import os
from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edgevit.artifact.files import FilePath, file_suffix
from edgevit.artifact.manifest import Manifest
from edgevit.errors import ModelFileError, OptionError
from edgevit.runtime.backends.threads import plan_threads, started_on

SESSIONS = {".onnx": "edgevit.runtime.backends.onnx", ".tflite": "edgevit.runtime.backends.tflite"}
"""File suffix to the module whose `open_backend(path, threads, rank, output)` returns a Session."""

FORMS = {2: "(batch, classes)", 4: "(batch, classes, height, width)"}
"""Axes of an answer, to what they are."""

LONGEST_REASON = 2000
"""Letters of a runtime's error that are shown: it may quote any amount of the file."""


class Output(NamedTuple):
    """An output as the graph declares it."""

    name: str
    shape: tuple[int, ...]
    """0 where it is open."""

    def __str__(self) -> str:
        return f"{self.name} {'x'.join(str(side or '?') for side in self.shape) or 'without axes'}"


class Tensors(NamedTuple):
    """How the graph itself keeps what `run` takes and returns as float32 (B, 3, H, W) and (B, classes)."""

    dtype: str = "float32"
    """Element type of the input."""
    layout: str = "NCHW"
    limits: tuple[float, float] | None = None
    """What the lowest and the highest level of an integer input stand for; None for float."""
    output: str | int = ""
    """What the graph calls the first output that is taken: a name in ONNX, a number in TFLite."""
    outputs: tuple["Output", ...] = ()
    """All outputs of the graph, in its order."""
    probabilities: bool = False
    """Whether an integer output has the levels that are prescribed for a softmax."""
    int8_tolerance: float = 0.05
    """How far apart the int8 kernels of two processors may lead a logit, as a share; backends/reference.py says why."""


@runtime_checkable
class Session(Protocol):
    """An open model; `run` may be called from several threads at once."""

    @property
    def runtime(self) -> str:
        """The package that computes, such as onnxruntime."""

    @property
    def tensors(self) -> Tensors: ...

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """(batch, channels, height, width), 0 where the model leaves it open."""

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the answer, (B, classes) or (B, classes, h, w), for (B, 3, H, W), whatever the model's own batch.

        A model of one channel is given the first. Where several outputs are taken, it is the first of them.
        """

    def run_outputs(self, batch: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        """Return each output that is taken, (B, ...), in the order in which they were asked for; see `run`."""

    def close(self) -> None:
        """Free the model; `run` raises ClosedError afterwards."""


def open_session(
    path: FilePath,
    threads: int | None = None,
    *,
    rank: int | None = 2,
    output: str | None = None,
    outputs: Sequence[str] | None = None,
) -> Session:
    """Open a model with the backend for its suffix.

    Args:
        path: the model's file.
        threads: how many to use; None for EDGEVIT_THREADS, OMP_NUM_THREADS, or what the board's profile recommends.
        rank: axes of the answer, one of FORMS; None for any of them. With 2, further axes of one are left out.
        output: the name of the one to take, where the model has several.
        outputs: the names of several to take, of whatever form, instead of `rank` and `output`; none for all. In a
            TFLite file also their numbers, from 0.

    Raises:
        ModelFileError: the file is not a model that can be run, or answers in another form.
        MissingExtraError: the backend is not installed.
        OptionError: the number of threads is no ThreadCount; the model has no such output, or several
            while none is named.
        UnknownNameError: EDGEVIT_PROFILE names no device profile.
        ProfileError: a device profile of the user's own is wrong.
    """
    path = os.fspath(path)
    backend = importlib.import_module(find_backend(path))
    plan = plan_threads(threads)
    with started_on(plan.cores):
        session = backend.open_backend(path, plan.count, rank, output, outputs)
    assert isinstance(session, Session)
    return session


def open_exported(path: FilePath, manifest: Manifest, threads: int | None = None) -> Session:
    """Open a model that edgevit exported, so that it answers with what its document says.

    Raises:
        ModelFileError: the graph does not take or answer with what its document says.
        EdgevitError: see open_session.
    """
    if manifest.boxes is None:
        session = open_session(path, threads, rank=2 if manifest.pixels is None else 4)
    else:
        session = open_session(path, threads, outputs=manifest.boxes.outputs)
    try:
        check_input(path, manifest, session)
    except ModelFileError:
        session.close()
        raise
    return session


def choose_output(path: FilePath, names: Sequence[str], wanted: str | None, expected: str) -> int:
    """Return the place of the output to take among a model's.

    Raises:
        OptionError: it has none of that name, or several while none is wanted.
    """
    listed = ", ".join(names)
    if wanted is not None and wanted not in names:
        raise OptionError(f"{path} has no output {wanted!r}; it has {listed}")
    if wanted is None and len(names) != 1:
        raise OptionError(f"{path} has {len(names)} outputs ({listed}), expected {expected}; choose with --output NAME")
    return 0 if wanted is None else names.index(wanted)


def choose_outputs(path: FilePath, outputs: Sequence[Output], wanted: Sequence[str]) -> list[int]:
    """Return the places of the outputs to take among a model's, by their names or numbers; all if none is named.

    Raises:
        ModelFileError: it has none of that name.
    """
    names = [output.name for output in outputs]
    numbers = {str(number): number for number in range(len(names))}
    for name in wanted:
        if name not in names and name not in numbers:
            raise ModelFileError(f"{path} has no output {name!r}; it has {', '.join(names)}: export it again")
    places = [names.index(name) if name in names else numbers[name] for name in wanted]
    return places or list(range(len(names)))


def path_is_text(path: FilePath) -> bool:
    """Tell whether a path can be given to a library as text: one with bytes of another encoding cannot."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def find_backend(path: FilePath) -> str:
    """Return the module that opens this file, judged by its suffix; ModelFileError if there is none."""
    backend = SESSIONS.get(file_suffix(path))
    if not os.path.isfile(path):
        raise ModelFileError(f"{path} does not exist, or is no file; give the path of an exported model")
    if backend is None:
        raise ModelFileError(f"{path} has suffix {file_suffix(path)!r}; expected {' or '.join(SESSIONS)}")
    return backend


def thread_count(threads: int | None = None) -> int:
    """Return the number of threads to use; see open_session."""
    return plan_threads(threads).count


def check_input(path: FilePath, manifest: Manifest, session: Session) -> None:
    """Raise ModelFileError if the graph does not take what its document says, or what this runtime can give."""
    given, graph = manifest.input, session.tensors
    if given.color not in ("RGB", manifest.preprocess.channels):
        kind = f"{given.dtype} {given.layout} {given.color}"
        raise ModelFileError(f"{path} takes {kind} input; this edgevit gives RGB: upgrade it")
    if (given.dtype, given.layout) != (graph.dtype, graph.layout):
        raise ModelFileError(
            f"{path} takes {graph.dtype} {graph.layout} input, but its document says {given.dtype} {given.layout}; "
            "export it again"
        )
    if given.shape != session.input_shape or given.shape[2:] != manifest.preprocess.size:
        raise ModelFileError(
            f"{path} takes input {session.input_shape}, but its document says {given.shape} "
            f"and images of {manifest.preprocess.size}; export it again"
        )
