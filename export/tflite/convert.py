"""PyTorch module to float TFLite model, by litert-torch."""

import contextlib
import importlib.util
import io
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from edgevit.artifact.manifest import Preprocess
from edgevit.errors import EdgevitError
from edgevit.export.tflite.forms import tflite_form
from edgevit.export.tflite_graph.graph import opened, packed

INPUT = "image"

if importlib.util.find_spec("litert_torch") is None:
    # said now rather than after the minutes before it is imported, which is done where its output can be silenced
    raise ModuleNotFoundError("No module named 'litert_torch'", name="litert_torch")


class ConvertError(EdgevitError, RuntimeError):
    """litert-torch failed."""


def convert(
    model: nn.Module,
    shape: tuple[int, int, int, int],
    normalize: Preprocess | None = None,
    outputs: Sequence[str] = ("logits",),
) -> bytes:
    """Return the model as a float32 TFLite file that takes (B, H, W, 3) and answers as the model does.

    Args:
        model: in eval mode, prepared by `edgevit.models.layers.prepare_for_export`; it is left unchanged.
        shape: (batch, 3, height, width).
        normalize: see tflite_form.
        outputs: what to call them, in their order.

    Raises:
        ConvertError: the converter failed.
    """
    batch, channels, height, width = shape
    example = {INPUT: torch.zeros(batch, height, width, channels)}
    form = tflite_form(model, normalize, outputs)
    try:
        with _quiet():
            import litert_torch  # here, since its import already prints

            # folding constants by running them spares the board SBCFormer's tiled upsampling weights
            converted = litert_torch.convert(form, sample_kwargs=example, runtime_constant_folding=True)
            return rename_tensors(bytes(converted.model_content()), module_names(form), outputs)
    except Exception as error:  # its errors share no base class
        summary = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConvertError(f"litert-torch could not convert the model to TFLite: {summary}") from error


def module_names(form: nn.Module) -> dict[str, str]:
    """Return the converter's name of each module, classes and all, to the module's name in the state dict.

    The converter names only modules that are called: never a ModuleList, and not every Sequential.
    """
    names: dict[str, str] = {}
    for uncalled in (nn.ModuleList, nn.ModuleList | nn.Sequential):
        for path, _ in form.named_modules():
            parts, module = [_class_name(form)], form
            for part in path.split(".") if path else []:
                module = module.get_submodule(part)
                if not isinstance(module, uncalled):
                    parts.append(f"{_class_name(module)}_{part}")
            names.setdefault("/".join(parts), path.removeprefix("model.").removeprefix("model"))
    return names


def _class_name(module: nn.Module) -> str:
    return f"{type(module).__module__}.{type(module).__qualname__}"


def rename_tensors(model: bytes, modules: dict[str, str], outputs: Sequence[str] = ("logits",)) -> bytes:
    """Return the model with its tensors named for the modules that they come from: an eighth of the length.

    The input is named INPUT, the outputs by the signature's names of them and in the order given; other names get a
    number.
    """
    tree = opened(model)
    graph, (signature,) = tree.subgraphs[0], tree.signatureDefs
    for index, tensor in enumerate(graph.tensors):
        path = tensor.name.decode().split(";;")[-1].split(";")[0]
        tensor.name = f"{modules.get(path, '')};{index}".encode()
    graph.tensors[graph.inputs[0]].name = INPUT.encode()
    places = {entry.name.decode(): entry.tensorIndex for entry in signature.outputs}
    graph.outputs = [places[name] for name in outputs]
    for name, index in places.items():
        graph.tensors[index].name = name.encode()
    return packed(tree)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the converter's progress lines off the user's screen, those of its C++ part too."""
    level = logging.root.manager.disable
    with tempfile.TemporaryFile() as sink, contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
        kept = os.dup(2)
        os.dup2(sink.fileno(), 2)
        logging.disable(logging.ERROR)
        try:
            with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
                warnings.simplefilter("ignore")
                yield
        finally:
            logging.disable(level)
            os.dup2(kept, 2)
            os.close(kept)
