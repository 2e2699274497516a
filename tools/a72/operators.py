"""Count what single operators take on the emulated Cortex-A72, from which `edgevit benchmark --estimate` is fitted.

    python tools/a72/operators.py DIR/3.11 > tools/a72/operators.json

Each operator is a model of its own, of shapes that SBCFormer and EfficientViT have, run by ONNX Runtime with one
thread. Prints a JSON list: the kind of operator, its multiply-adds, elements and bytes, and the instructions and cache
misses counted, less those of a model that does nothing.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgevit.runtime.estimate.layers import find_layers
from edgevit.runtime.estimate.onnx_graph import read_graph

GUEST = """
import ctypes, sys
import numpy as np
import onnxruntime
end_region = ctypes.CDLL(None).syscall
kinds = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8}
for number, path in enumerate(sys.argv[1:], start=1):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    random = np.random.default_rng(0)
    inputs = {i.name: random.integers(0, 9, i.shape).astype(kinds[i.type]) for i in session.get_inputs()}
    session.run(None, inputs)
    for turn in range(2):
        end_region(0x5A72, 0)
        session.run(None, inputs)
        end_region(0x5A72, number)
"""
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """A model of one operator."""

    operator: str
    shapes: tuple[Shape, ...]
    """Shapes of the inputs, then of the constants."""
    output: Shape
    inputs: int = 1
    int8: bool = False
    attributes: tuple[tuple[str, Any], ...] = ()


def cases() -> Iterator[Case]:
    yield Case("Relu", ((1,),), (1,))
    for int8 in (False, True):
        for side, given, made in (
            (56, 48, 96),
            (28, 96, 192),
            (28, 192, 96),
            (14, 160, 320),
            (7, 288, 576),
            (7, 576, 288),
        ):
            yield Case("Conv", ((1, given, side, side), (made, given, 1, 1)), (1, made, side, side), int8=int8)
        for side, given, made in ((56, 48, 96), (28, 96, 160), (14, 160, 288)):
            same = (("strides", [2, 2]), ("pads", [1, 1, 1, 1]))
            shapes = ((1, given, side, side), (made, given, 3, 3))
            yield Case("Conv", shapes, (1, made, side // 2, side // 2), int8=int8, attributes=same)
        for side, channels, kernel in ((56, 64, 3), (28, 192, 3), (14, 320, 3), (7, 576, 3), (14, 192, 5)):
            grouped = (("group", channels), ("pads", [kernel // 2] * 4))
            shapes = ((1, channels, side, side), (channels, 1, kernel, kernel))
            yield Case("Conv", shapes, (1, channels, side, side), int8=int8, attributes=grouped)
        for rows, given, made in ((49, 160, 640), (49, 640, 160), (49, 288, 1152), (1, 1024, 1280)):
            yield Case("MatMul", ((rows, given), (given, made)), (rows, made), int8=int8)
    for heads, rows, inner, columns in ((3, 49, 16, 49), (6, 49, 49, 32), (8, 17, 196, 16), (8, 17, 16, 196)):
        shapes = ((1, heads, rows, inner), (1, heads, inner, columns))
        yield Case("MatMul", shapes, (1, heads, rows, columns), inputs=2)
    for channels, side in ((192, 28), (576, 7)):
        shape = (1, channels, side, side)
        for operator in ("Gelu", "HardSwish", "HardSigmoid", "Relu", "QuantizeLinear", "DequantizeLinear"):
            yield Case(operator, (shape,), shape)
        for operator in ("Add", "Mul", "Div"):
            yield Case(operator, (shape, shape), shape, inputs=2)
        yield Case("Sigmoid", (shape,), shape, int8=True)
        yield Case("Mul", (shape, shape), shape, inputs=2, int8=True)
        yield Case("Transpose", (shape,), (1, side, side, channels), attributes=(("perm", [0, 2, 3, 1]),))
        yield Case("Concat", (shape, shape), (1, 2 * channels, side, side), inputs=2, attributes=(("axis", 1),))
        pooled = (1, channels, side // 2, side // 2)
        yield Case("AveragePool", (shape,), pooled, attributes=(("kernel_shape", [2, 2]), ("strides", [2, 2])))
    for rows, width in ((49, 160), (49, 288)):
        yield Case("LayerNormalization", ((1, rows, width), (width,), (width,)), (1, rows, width))
    for heads in (3, 6):
        yield Case("Softmax", ((1, heads, 49, 49),), (1, heads, 49, 49), attributes=(("axis", -1),))


def model(case: Case) -> onnx.ModelProto:
    """Return the operator alone; as int8 between a uint8 input and, but for a matrix product, a uint8 output."""
    nodes, weights, random = [], [], np.random.default_rng(0)
    scale = numpy_helper.from_array(np.array(0.05, np.float32), "scale")
    zero = numpy_helper.from_array(np.array(128, np.uint8), "zero")
    kind = TensorProto.UINT8 if case.int8 or case.operator == "DequantizeLinear" else TensorProto.FLOAT
    ends = TensorProto.UINT8 if case.operator == "QuantizeLinear" else TensorProto.FLOAT
    names = [f"x{number}" for number in range(case.inputs)]
    inputs = [helper.make_tensor_value_info(n, kind, s) for n, s in zip(names, case.shapes, strict=False)]
    if case.operator.endswith("QuantizeLinear") or case.operator == "DequantizeLinear":
        weights, names = [scale, zero], [*names, "scale", "zero"]
    for number, shape in enumerate(case.shapes[case.inputs :]):
        name = f"w{number}"
        if case.int8:
            channels = shape[0] if case.operator == "Conv" else shape[1]
            axis = 0 if case.operator == "Conv" else 1
            weights += [
                numpy_helper.from_array(random.integers(-127, 128, shape).astype(np.int8), f"{name}q"),
                numpy_helper.from_array(np.full(channels, 0.01, np.float32), f"{name}s"),
                numpy_helper.from_array(np.zeros(channels, np.int8), f"{name}z"),
            ]
            nodes.append(helper.make_node("DequantizeLinear", [f"{name}q", f"{name}s", f"{name}z"], [name], axis=axis))
        else:
            weights.append(numpy_helper.from_array(random.standard_normal(shape).astype(np.float32), name))
        names.append(name)
    if case.int8:
        weights += [scale, zero]
        for number in range(case.inputs):
            nodes.append(helper.make_node("DequantizeLinear", [f"x{number}", "scale", "zero"], [f"float{number}"]))
            names[number] = f"float{number}"
    quantized_end = case.int8 and case.operator != "MatMul"
    result = "r" if quantized_end else "y"
    nodes.append(helper.make_node(case.operator, names, [result], **dict(case.attributes)))
    if quantized_end:
        nodes.append(helper.make_node("QuantizeLinear", ["r", "scale", "zero"], ["y"]))
        ends = TensorProto.UINT8
    told = [helper.make_tensor_value_info("r", TensorProto.FLOAT, case.output)] if quantized_end else []
    output = helper.make_tensor_value_info("y", ends, case.output)
    graph = helper.make_graph(nodes, "one", inputs, [output], weights, value_info=told)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def main() -> None:
    system = Path(sys.argv[1])
    wanted = list(cases())
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.onnx" for number in range(len(wanted))]
        for case, file in zip(wanted, files, strict=True):
            file.write_bytes(model(case).SerializeToString())
        counts = Path(folder) / "counts"
        environment = os.environ | {"COUNT": str(counts), "CACHE": "1"}
        subprocess.run([system / "python", "-c", GUEST, *files], check=True, env=environment)
        regions = {line["region"]: line for line in map(json.loads, counts.read_text().splitlines())}
        nothing, rows = regions[1], []
        for number, file in enumerate(files[1:], start=2):
            (layer,) = [layer for layer in find_layers(read_graph(file)) if layer.kind != "free"]
            rows.append(
                {
                    "kind": layer.kind,
                    "macs": layer.macs,
                    "elements": layer.elements,
                    "bytes": layer.bytes,
                    **{what: max(0, regions[number][what] - nothing[what]) for what in ("instructions", "misses")},
                }
            )
    print("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]")


if __name__ == "__main__":
    main()
