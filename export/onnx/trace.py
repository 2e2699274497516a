"""PyTorch module to ONNX graph."""

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
import torch
from onnx import ModelProto
from torch import nn

from edgevit.errors import EdgevitError

INPUT = "image"

DYNAMO_SINCE = 18
"""torch's newer exporter cannot write opsets before this one: it writes 18 instead, without an error."""


class TraceError(EdgevitError, RuntimeError):
    """torch.onnx.export failed, or wrote something other than was asked."""


def trace(
    model: nn.Module, shape: tuple[int, int, int, int], opset: int, outputs: Sequence[str] = ("logits",)
) -> ModelProto:
    """Return the model as one self-contained ONNX graph with static shapes.

    Args:
        model: in eval mode, prepared by `edgevit.models.layers.prepare_for_export`.
        shape: of the input, (batch, 3, height, width).
        opset: the ONNX operator set.
        outputs: what to call them.

    Raises:
        TraceError: the exporter failed, or wrote another opset.
    """
    example = torch.zeros(shape)
    with torch.inference_mode():
        model(example)  # some modules make constants for the first size that they see
    with tempfile.TemporaryDirectory() as folder, _quiet():
        path = Path(folder) / "model.onnx"
        try:
            torch.onnx.export(
                model,
                (example,),
                path,
                input_names=[INPUT],
                output_names=list(outputs),
                opset_version=opset,
                dynamo=opset >= DYNAMO_SINCE,
                external_data=False,
                verbose=False,
            )
        except Exception as error:
            summary = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise TraceError(f"PyTorch could not write the model as ONNX: {summary}; try another --opset") from error
        traced = onnx.load(path, load_external_data=False)
    written = {entry.domain or "ai.onnx": entry.version for entry in traced.opset_import}
    if written.get("ai.onnx") != opset:
        raise TraceError(f"PyTorch wrote opset {written} instead of {opset}; choose another --opset")
    return traced


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress lines and its warnings about optional packages off the user's screen."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
