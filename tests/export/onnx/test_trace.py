"""What the exported graph looks like: static, folded, of the opset that was asked for."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import ModelProto

from edgevit.export.onnx.graph import layers, shapes
from edgevit.export.onnx.simplify import SHAPE_ARITHMETIC, simplify
from edgevit.export.onnx.trace import trace
from edgevit.models import create_model, list_models
from edgevit.models.layers import prepare_for_export
from edgevit.models.zoo.registry import get_spec
from tests.families import by_family

SIZE = 64
UNEVEN = (128, 256)
"""FasterViT's input here: 2 x 3 windows, so that its carrier tokens take part."""
TOO_LARGE = {name for name in list_models("classify") if get_spec(name).parameters > 40e6}
"""Their graphs repeat the smaller ones' blocks; tracing them takes minutes."""


def prepared(name: str) -> torch.nn.Module:
    """Return a model whose norms and bias tables are not at their neutral initial values."""
    torch.manual_seed(0)
    model = create_model(name, num_classes=10)
    for key, value in model.state_dict().items():
        if value.dtype.is_floating_point and (value.ndim == 1 or "attention_biases" in key):
            value.add_(0.2 * torch.rand_like(value))
    return model.eval()


def run(model: ModelProto, image: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"image": image})[0])


@pytest.mark.parametrize("name", by_family(sorted(set(list_models("classify")) - TOO_LARGE)))
def test_exported_graph_is_clean_and_agrees_with_torch(name: str) -> None:
    model = prepared(name)
    size = UNEVEN if get_spec(name).family.name == "fastervit" else (SIZE, SIZE)
    image = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = model(image).numpy()
    prepare_for_export(model)
    graph = simplify(trace(model, (1, 3, *size), 20))
    operators = Counter(node.op_type for node in graph.graph.node)
    assert not operators.keys() & (
        SHAPE_ARITHMETIC | {"BatchNormalization", "Gather", "Erf", "Constant", "ConvTranspose"}
    )
    assert {output for node in graph.graph.node for output in node.output} <= shapes(graph).keys()
    np.testing.assert_allclose(run(graph, image.numpy()), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("opset", [17, 18, 20])
def test_file_has_the_opset_that_was_asked_for(opset: int) -> None:
    model = prepared("efficientvit_b0")
    prepare_for_export(model)
    graph = simplify(trace(model, (1, 3, SIZE, SIZE), opset))
    assert [entry.version for entry in graph.opset_import if entry.domain in ("", "ai.onnx")] == [opset]


def test_gelu_and_layernorm_are_single_operators() -> None:
    model = prepared("sbcformer_xs")
    prepare_for_export(model)
    operators = Counter(node.op_type for node in simplify(trace(model, (1, 3, SIZE, SIZE), 20)).graph.node)
    attention_blocks, inverted_residuals = 2 + 3 + 2, (2 + 2 + 1) + 3 * 2
    # two in each inverted residual; in each attention block one on the values and one in the MLP
    assert operators["Gelu"] == 2 * inverted_residuals + 2 * attention_blocks
    assert operators["LayerNormalization"] == 2 * attention_blocks + 1
    assert operators["HardSigmoid"] == 3


def test_attention_has_no_scale_and_a_constant_bias() -> None:
    model = prepared("sbcformer_xs")
    prepare_for_export(model)
    graph = simplify(trace(model, (1, 3, SIZE, SIZE), 20))
    fixed = {tensor.name for tensor in graph.graph.initializer}
    scores = {layer.output for layer in layers(graph) if layer.weight is None and layer.operator == "MatMul"}
    readers = [node for node in graph.graph.node if set(node.input) & scores]
    added = [node for node in readers if node.op_type == "Add"]
    assert len(added) == 7, "one bias for each attention block"
    assert all(set(node.input) & fixed for node in added)
    assert not [node for node in readers if node.op_type in ("Mul", "Div")]


def test_linear_attention_keeps_its_epsilon() -> None:
    """Position without any key: 0 / (0 + eps) is 0, not NaN."""
    model = prepared("efficientvit_b0")
    prepare_for_export(model)
    graph = simplify(trace(model, (1, 3, 224, 224), 20))
    assert np.isfinite(run(graph, np.zeros((1, 3, 224, 224), np.float32))).all()
    divisors = {node.input[1] for node in graph.graph.node if node.op_type == "Div"}
    assert divisors
    makers = {node.output[0]: node.op_type for node in graph.graph.node}
    assert {makers[name] for name in divisors} == {"Add"}


def test_batch_is_fixed_in_the_file() -> None:
    model = prepared("efficientvit_b0")
    prepare_for_export(model)
    graph = trace(model, (3, 3, SIZE, SIZE), 20)
    assert shapes(graph)["image"] == (3, 3, SIZE, SIZE)
    onnx.checker.check_model(graph)
