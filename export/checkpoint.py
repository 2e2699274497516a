"""A PyTorch checkpoint as a classifier, so that it can be judged beside the files that were exported from it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgevit.errors import CheckpointError, OptionError
from edgevit.export.tasks.rules import rules_of
from edgevit.models.weights.checkpoint import read_state_dict
from edgevit.models.weights.load import fitting_models
from edgevit.models.weights.resolve import build_with_weights, resolve_weights
from edgevit.models.weights.trained import read_model_name
from edgevit.models.zoo.registry import check_input_size, get_spec, list_models
from edgevit.models.zoo.spec import ModelSpec
from edgevit.runtime.backends.session import Tensors, thread_count
from edgevit.runtime.classifier import Classifier
from edgevit.runtime.labels import numbered_labels
from edgevit.runtime.segmenter import Segmenter


class TorchSession:
    """See edgevit.runtime.backends.session.Session."""

    runtime = "torch"
    tensors = Tensors()

    def __init__(self, model: nn.Module, size: tuple[int, int]) -> None:
        self._model = model.eval()
        self.input_shape = (0, 3, *size)

    def run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.run_outputs(batch)[0]

    def run_outputs(self, batch: NDArray[np.float32]) -> tuple[NDArray[np.float32], ...]:
        with torch.inference_mode():
            answer = self._model(torch.from_numpy(batch))
        return tuple(each.numpy() for each in (answer if isinstance(answer, tuple) else (answer,)))

    def close(self) -> None:
        del self._model


def load_checkpoint(
    path: Path,
    arch: str | None = None,
    threads: int | None = None,
    *,
    labels: Sequence[str] | None = None,
    imgsz: tuple[int, int] | None = None,
) -> Classifier:
    """Open a file of weights for classifying or segmenting images with PyTorch, in float32.

    Labels and preprocessing are those that `edgevit train` wrote into the file; else the classes are numbered, and the
    preprocessing is the one published for the model.

    Args:
        path: .pt, .pth, .pth.tar or .safetensors.
        arch: the model of the zoo; None to find it by what the file says or by its layers.
        threads: how many PyTorch uses, in the whole process; see open_session for None.
        labels: class names, instead of the file's own.
        imgsz: (height, width) of the input in pixels, instead of the model's own.

    Raises:
        CheckpointError: the file cannot be read or does not fit the model, or no model of the zoo fits it.
        UnknownNameError: no model has the name `arch`.
        OptionError: the labels are not as many as the classes, or the model cannot take inputs of this size.
    """
    spec = get_spec(arch or _architecture(path))
    weights = resolve_weights(spec, str(path))
    preprocessing = weights.preprocess if imgsz is None else replace(weights.preprocess, size=imgsz)
    check_input_size(spec, preprocessing.size)
    model = build_with_weights(spec, weights, size=preprocessing.size)
    names = _names(path, spec, model, labels or weights.labels or spec.labels, told=labels is not None)
    torch.set_num_threads(thread_count(threads))
    session, pixels = TorchSession(model, preprocessing.size), rules_of(spec).pixels(spec, names, False)
    return (
        Classifier(session, preprocessing, names, None)
        if pixels is None
        else Segmenter(session, preprocessing, names, None, pixels)
    )


def _architecture(path: Path) -> str:
    """Return the model that the file says it is of, or the only one that has its layers."""
    state = read_state_dict(path)
    if named := read_model_name(path):
        return named
    fitting = list(fitting_models(state))
    if len(fitting) != 1:
        found = f"the layers of {' and of '.join(fitting)}" if fitting else "layers of no model of the zoo"
        raise CheckpointError(
            f"{path} has {found}; say which it is with --arch ({', '.join(fitting or list_models())})"
        )
    return fitting[0]


def _names(path: Path, spec: ModelSpec, model: nn.Module, names: Sequence[str], *, told: bool) -> tuple[str, ...]:
    classes = model.state_dict()[spec.family.head].shape[0]
    if len(names) == classes:
        return tuple(names)
    if told:
        raise OptionError(f"{len(names)} labels were given, but {path} has {classes} classes; give one for each")
    return numbered_labels(classes)
