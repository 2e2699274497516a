"""Models that are small, pass their self-test, and take a while to send."""

import dataclasses
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from edgevit.artifact.manifest import KEY, Input, Manifest, Preprocess, Weights, mirrored_keys
from edgevit.artifact.seal import seal
from edgevit.runtime.selftest import record_selftest

SIZE = 1_500_000
"""Bytes of a model, about."""


def write_model(path: Path, seed: int) -> Path:
    """Write a small classifier with a self-test and so many bytes that a transfer takes a while."""
    draw = np.random.default_rng(seed)
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["channels"]),
        helper.make_node("Gemm", ["channels", "weights"], ["logits"], transB=1),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, 32, 32))
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, (1, 3))
    weights = numpy_helper.from_array(draw.normal(size=(3, 3)).astype(np.float32), "weights")
    graph = helper.make_model(
        helper.make_graph(nodes, "tiny", [image], [logits], [weights]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    manifest = Manifest(
        model="tiny",
        task="classify",
        input=Input(name="image", shape=(1, 3, 32, 32)),
        preprocess=Preprocess(size=(32, 32), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)),
        labels=("red", "green", "blue"),
        weights=Weights(source="drawn", sha256="0" * 64, license="Apache-2.0", trained=False),
        precision="fp32",
        target="generic",
        tools={},
    )
    ballast = draw.bytes(SIZE // 2).hex()
    for tested in (manifest, None):
        document = tested or dataclasses.replace(manifest, selftest=record_selftest(path, manifest))
        helper.set_model_props(graph, {KEY: document.to_json(), "ballast": ballast, **mirrored_keys(document)})
        path.write_bytes(seal(graph.SerializeToString()))
    return path
