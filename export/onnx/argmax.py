"""Logits to class numbers inside an ONNX graph."""

from onnx import ModelProto, TensorProto, helper

BYTE_CLASSES = 256


def with_argmax(model: ModelProto) -> ModelProto:
    """Return a graph that answers with the best class of each cell, (B, 1, h, w), instead of (B, classes, h, w).

    uint8 up to 256 classes, else int32; the lowest number among equals.
    """
    result = ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    (output,) = graph.output
    batch, classes, height, width = (axis.dim_value for axis in output.type.tensor_type.shape.dim)
    name = output.name
    logits = f"{name}_of_classes"
    for node in graph.node:
        for names in (node.input, node.output):
            for i, known in enumerate(names):
                if known == name:
                    names[i] = logits
    kind = TensorProto.UINT8 if classes <= BYTE_CLASSES else TensorProto.INT32
    graph.node.append(helper.make_node("ArgMax", [logits], ["class_numbers"], name="argmax", axis=1, keepdims=1))
    graph.node.append(helper.make_node("Cast", ["class_numbers"], [name], name="argmax_cast", to=kind))
    output.CopyFrom(helper.make_tensor_value_info(name, kind, (batch, 1, height, width)))
    return result
