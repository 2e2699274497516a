"""A finished run's files: weights in half precision for the exporter, and the facts of a model card as JSON."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from edgevit.models.weights.trained import MODEL_KEY, TrainingFacts
from edgevit.system.files import replacing_output

ADVICE = "free some space, or give another --out"
"""What to do where a file cannot be written."""


def round_to_half(model: nn.Module) -> dict[str, Tensor]:
    """Round the weights to what float16 can hold, in place, and return the state dict to be stored.

    Vectors (norms, biases, BatchNorm statistics) stay float32: they are a few per cent of the file, and a variance may
    be too small for float16. So does a tensor with a value too large for it.
    """
    state: dict[str, Tensor] = {}
    for key, value in model.state_dict().items():
        half = value.half()
        if value.ndim >= 2 and value.dtype.is_floating_point and bool(torch.isfinite(half).all()):
            value.copy_(half)
            state[key] = half.cpu().contiguous()
        else:
            state[key] = value.cpu().contiguous()
    return state


def write_weights(path: Path, state: dict[str, Tensor], facts: TrainingFacts, model: str) -> None:
    """Write a safetensors file that `edgevit export --weights` understands without further options.

    Raises:
        OutputError: the file cannot be written.
    """
    data = to_safetensors(state, metadata={"format": "pt", MODEL_KEY: model, **facts.to_metadata()})
    with replacing_output(path, ADVICE) as file:
        file.write_bytes(with_sorted_metadata(data))


def with_sorted_metadata(data: bytes) -> bytes:
    """Return a safetensors file with its metadata in order; the library's own order differs from run to run."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # tensors start at a multiple of 8 bytes
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def write_card(path: Path, card: dict[str, Any]) -> None:
    """Write the run's facts as JSON.

    Raises:
        OutputError: the file cannot be written.
    """
    with replacing_output(path, ADVICE) as file:
        file.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
