"""The recordings of the official models, and the rule that says which weights and inputs they were made with."""

import importlib.util
from functools import cache
from typing import Any

import torch
from torch import nn

from edgevit.models.weights.load import DERIVED
from tests.places import SHARED


@cache
def rule() -> Any:
    """Return the module beside the recordings that makes weights and inputs."""
    spec = importlib.util.spec_from_file_location("golden_rule", SHARED / "golden" / "rule.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fill(model: nn.Module) -> nn.Module:
    """Give a model the weights that the recordings were made with, in place, and put it into eval mode."""
    for key, value in model.eval().state_dict().items():
        if value.dtype.is_floating_point and not key.endswith(DERIVED):
            value.copy_(torch.from_numpy(rule().golden_value(key, tuple(value.shape))))
    return model
