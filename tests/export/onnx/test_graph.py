"""What the exporter reads off an ONNX graph, checked by hand-made graphs."""

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgevit.export.onnx.graph import constants, layers, shapes


def graph_of(nodes: list[onnx.NodeProto], weights: dict[str, tuple[int, ...]], image: tuple[int, ...]) -> ModelProto:
    """Return a model over `image` whose weights of the given shapes are all 0.5."""
    initializers = [numpy_helper.from_array(np.full(shape, 0.5, np.float32), name) for name, shape in weights.items()]
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, image)],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        initializers,
    )
    return onnx.shape_inference.infer_shapes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    )


def test_macs_of_a_convolution_are_outputs_times_kernel_times_input_channels() -> None:
    nodes = [helper.make_node("Conv", ["image", "w"], ["y"], name="conv", pads=[1, 1, 1, 1])]
    (layer,) = layers(graph_of(nodes, {"w": (8, 3, 3, 3)}, (1, 3, 10, 20)))
    assert layer.macs == (8 * 10 * 20) * (3 * 3 * 3)
    assert layer.weight == "w"


def test_macs_of_a_depthwise_convolution_count_one_channel_for_each_output() -> None:
    nodes = [helper.make_node("Conv", ["image", "w"], ["y"], name="conv", group=4)]
    (layer,) = layers(graph_of(nodes, {"w": (4, 1, 1, 1)}, (1, 4, 5, 5)))
    assert layer.macs == 4 * 5 * 5


def test_macs_of_products_are_outputs_times_depth() -> None:
    nodes = [
        helper.make_node("MatMul", ["image", "w"], ["tokens"], name="linear"),
        helper.make_node("Transpose", ["tokens"], ["turned"], name="turn", perm=[0, 2, 1]),
        helper.make_node("MatMul", ["tokens", "turned"], ["scores"], name="scores"),
    ]
    linear, scores = layers(graph_of(nodes, {"w": (6, 4)}, (1, 7, 6)))
    assert (linear.macs, linear.weight) == (7 * 4 * 6, "w")
    assert (scores.macs, scores.weight) == (7 * 7 * 4, None)


def test_transposed_weights_of_a_gemm_do_not_change_its_macs() -> None:
    nodes = [helper.make_node("Gemm", ["image", "w"], ["y"], name="gemm", transB=1)]
    (layer,) = layers(graph_of(nodes, {"w": (4, 6)}, (2, 6)))
    assert layer.macs == 2 * 4 * 6


def test_constants_are_initializers_and_constant_nodes() -> None:
    nodes = [
        helper.make_node("Constant", [], ["two"], value=numpy_helper.from_array(np.array(2, np.float32), "two")),
        helper.make_node("Mul", ["image", "two"], ["y"]),
    ]
    model = graph_of(nodes, {"w": (1,)}, (3,))
    assert constants(model) == {"w", "two"}
    assert shapes(model)["image"] == (3,)
