"""Graph to simpler graph: constants folded, shape arithmetic gone."""

import onnx
import onnxsim
from onnx import ModelProto

from edgevit.errors import EdgevitError

SHAPE_ARITHMETIC = {"Shape", "Size", "ConstantOfShape", "Range", "NonZero", "Loop", "If", "Scan"}


class SimplifyError(EdgevitError, RuntimeError):
    """The simplifier failed, or left a graph that is not static."""


def simplify(model: ModelProto) -> ModelProto:
    """Return an equivalent graph with constants folded and every shape known.

    onnxsim also turns each product with a constant matrix and its bias into one Gemm, which is the form that ONNX
    Runtime has an int8 kernel with float output for.

    Raises:
        SimplifyError: onnxsim failed, or operators that compute shapes are left.
    """
    simplified, equivalent = onnxsim.simplify(model)
    if not equivalent:
        raise SimplifyError("onnxsim changed the model's output; export with --no-simplify")
    left = sorted({node.op_type for node in simplified.graph.node} & SHAPE_ARITHMETIC)
    if left:
        raise SimplifyError(
            f"the graph still computes shapes ({', '.join(left)}) after simplification; it must be static"
        )
    constants_to_initializers(simplified)
    simplified = onnx.shape_inference.infer_shapes(simplified, strict_mode=True)
    onnx.checker.check_model(simplified)
    return simplified


def constants_to_initializers(model: ModelProto) -> None:
    """Turn Constant nodes that hold a tensor into initializers, in place: one form for the steps that follow."""
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            tensor = model.graph.initializer.add()
            tensor.CopyFrom(node.attribute[0].t)
            tensor.name = node.output[0]
        else:
            model.graph.node.append(node)
