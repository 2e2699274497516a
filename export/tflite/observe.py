"""A TFLite interpreter that keeps every tensor, to look at what is inside a model while it answers."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from edgevit.runtime.backends.tflite_tensor import check_input, read_tensor


class Observed:
    """A model, and the names of the tensors to look at."""

    def __init__(self, model: bytes, names: Sequence[str]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it keeps every tensor of one batch is known, and the point
            self._interpreter = Interpreter(model_content=model, experimental_preserve_all_tensors=True)
        self._interpreter.allocate_tensors()
        found = {detail["name"]: read_tensor(detail) for detail in self._interpreter.get_tensor_details()}
        self._wanted = [(name, found[name]) for name in names]
        self._input = check_input(Path("model"), self._interpreter.get_input_details())

    def run(self, batches: Iterable[NDArray[np.float32]]) -> Iterator[list[tuple[str, NDArray[np.float32]]]]:
        """Yield the wanted tensors' names and values, as numbers, for each batch (B, 3, H, W)."""
        for batch in batches:
            self._input.store(batch, self._interpreter.tensor(self._input.index)())
            self._interpreter.invoke()
            yield [(name, tensor.load(self._interpreter.get_tensor(tensor.index))) for name, tensor in self._wanted]
