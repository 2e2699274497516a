"""Graphs of the zoo's models with random weights, on which neither their operators nor their times depend."""

import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import ModelProto

from edgevit.device_profiles import find_profile
from edgevit.export.estimate.estimate import estimate
from edgevit.export.onnx.calibrate import calibrate
from edgevit.export.onnx.quantize import PRESETS, calibrated_tensors, preset_layers, quantize
from edgevit.export.onnx.simplify import simplify
from edgevit.export.onnx.trace import trace
from edgevit.models import create_model
from edgevit.models.layers import prepare_for_export
from edgevit.models.zoo.registry import get_spec

OPSET = 20


def random_graphs(name: str) -> tuple[ModelProto, ModelProto]:
    """Return a model as a float and an int8 graph, quantized as `edgevit export --int8` does."""
    torch.manual_seed(0)
    spec = get_spec(name)
    model = create_model(name).eval()
    prepare_for_export(model)
    shape = (1, 3, *spec.preprocess.size)
    graph = simplify(trace(model, shape, OPSET))
    noise = [np.random.default_rng(seed).standard_normal(shape, np.float32) for seed in range(2)]
    ranges = calibrate(graph, calibrated_tensors(graph), lambda: noise)
    return graph, quantize(graph, preset_layers(graph, PRESETS[spec.family.name]), ranges)


def estimated_ms(graph: ModelProto) -> float:
    """Return what a Raspberry Pi 4 would take as `edgevit run` uses it: with three threads at 1.8 GHz."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(graph, path)
        return estimate(path, find_profile("rpi4")).ms
