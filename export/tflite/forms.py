"""The form in which a model becomes TFLite: channels-last input, LayerNorm as a few plain operators."""

import copy
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from edgevit.artifact.manifest import Preprocess
from edgevit.models.layers import fold_layernorm_scales


@runtime_checkable
class HasChannelsLastForm(Protocol):
    """A module that can compute on (B, H, W, C), which spares TFLite's graph transpositions."""

    def take_channels_last_form(self) -> None:
        """Rearrange in place, the output staying the same."""


class PlainLayerNorm(nn.Module):
    """LayerNorm over the last axis in seven operators; the converter's own form has twelve.

    Two fewer where the next layer holds scale and shift.
    """

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.scaled = bool((norm.weight != 1).any() or (norm.bias != 0).any())

    def forward(self, x: Tensor) -> Tensor:
        centered = x - x.mean(dim=-1, keepdim=True)
        variance = (centered * centered).mean(dim=-1, keepdim=True)
        normalized = centered * torch.rsqrt(variance + self.eps)
        return normalized * self.weight + self.bias if self.scaled else normalized


class ChannelsLast(nn.Module):
    """A model that takes (B, H, W, 3), as TFLite's users expect, and names its outputs."""

    def __init__(self, model: nn.Module, normalization: nn.Module, outputs: Sequence[str]) -> None:
        super().__init__()
        self.normalization = normalization
        self.model = model
        self.outputs = tuple(outputs)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Map (B, H, W, 3) to the model's outputs, by name."""
        answers = self.model(self.normalization(image.permute(0, 3, 1, 2)))
        return dict(zip(self.outputs, (answers,) if isinstance(answers, Tensor) else answers, strict=True))


def tflite_form(
    model: nn.Module, normalize: Preprocess | None = None, outputs: Sequence[str] = ("logits",)
) -> ChannelsLast:
    """Return a copy of a model in the form to convert.

    Args:
        model: in eval mode, prepared by `edgevit.models.layers.prepare_for_export`.
        normalize: whose mean and deviation the graph itself is to apply, for an input of RGB in 0..1; None for an input
            that is normalized already.
        outputs: what to call them.
    """
    plain = copy.deepcopy(model)
    fold_layernorm_scales(plain)
    _replace_layernorms(plain)
    _make_contiguous(plain)
    for module in plain.modules():
        if isinstance(module, HasChannelsLastForm):
            module.take_channels_last_form()
    return ChannelsLast(plain, nn.Identity() if normalize is None else normalization(normalize), outputs).eval()


def normalization(preprocessing: Preprocess) -> nn.Conv2d:
    """Return (x - mean) / std as a depthwise 1x1 convolution, which a quantizer turns into one int8 operator."""
    order = -1 if preprocessing.channels == "BGR" else 1
    mean, std = (torch.tensor(values[::order]) for values in (preprocessing.mean, preprocessing.std))
    layer = nn.Conv2d(3, 3, 1, groups=3)
    with torch.no_grad():
        layer.weight.copy_((1 / std).reshape(3, 1, 1, 1))
        assert layer.bias is not None
        layer.bias.copy_(-mean / std)
    return layer


def _make_contiguous(module: nn.Module) -> None:
    """Lay out every weight and buffer without gaps.

    litert-torch copies those that are not, and remembers constants by address and shape: a copy whose memory was freed
    and given to the next was seen to be taken for that one, in FasterViT's position biases.
    """
    for tensor in (*module.parameters(), *module.buffers()):
        tensor.data = tensor.data.contiguous()


def _replace_layernorms(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.LayerNorm):
            setattr(module, name, PlainLayerNorm(child))
        else:
            _replace_layernorms(child)
