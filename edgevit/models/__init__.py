"""The zoo: `list_models()`, and `create_model(name)`, which needs torch; importing this needs none."""

import importlib
from typing import TYPE_CHECKING

from edgevit.errors import MissingExtraError, OptionError
from edgevit.models.zoo.registry import get_spec, list_models

if TYPE_CHECKING:
    from torch import nn

__all__ = ["create_model", "list_models"]


def create_model(
    name: str, num_classes: int | None = None, size: tuple[int, int] | None = None, **options: float
) -> "nn.Module":
    """Build a model with random weights, in training mode.

    It maps (B, 3, H, W), H and W multiples of 32, to logits (B, num_classes), or for segmentation
    (B, num_classes, H / 8, W / 8), or for detection to raw boxes (B, N, 4), objectness (B, N, 1), which RetinaNets do
    not have, and logits (B, N, num_classes); see `edgevit.models.zoo.registry.check_input_size` for exceptions.

    Args:
        name: one of `list_models()`.
        num_classes: the published model's unless given, 1,000 for classifiers.
        size: (height, width) of the input, where it decides which weights the model has, as in FasterViT for any
            resolution; the published model's unless given.
        options: what the family's own `build` takes, such as `drop_path` for SBCFormer.

    Raises:
        UnknownNameError: no model has this name.
        OptionError: num_classes is less than 1.
        MissingExtraError: torch is not installed.
    """
    spec = get_spec(name)
    if num_classes is not None and num_classes < 1:
        raise OptionError(f"a model cannot have {num_classes} classes; give --num-classes 1 or more")
    try:
        module = importlib.import_module(spec.family.module)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError("torch", f"building {name}", "export") from error
    build = getattr(module, spec.family.build)
    sized = {"size": size or spec.preprocess.size} if spec.family.built_for_size else {}
    model: nn.Module = build(spec.variant, spec.num_classes if num_classes is None else num_classes, **sized, **options)
    return model
