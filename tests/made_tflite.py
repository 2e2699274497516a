"""TFLite models of a few operators, made by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from edgevit.export.tflite_graph.graph import opened, operator_names, operators, packed

KINDS = {"float32": schema.TensorType.FLOAT32, "int32": schema.TensorType.INT32, "int8": schema.TensorType.INT8}


@dataclass
class Tiny:
    """A model that is being written down, operator by operator; tensors are their numbers."""

    tensors: list[Any] = field(default_factory=list)
    buffers: list[Any] = field(default_factory=lambda: [schema.BufferT()])
    operators: list[Any] = field(default_factory=list)
    codes: list[Any] = field(default_factory=list)

    def tensor(
        self,
        shape: Sequence[int],
        scale: float | Sequence[float] | None = None,
        zero: int = 0,
        values: NDArray[Any] | None = None,
        axis: int = 0,
    ) -> int:
        """Add a tensor: int8 where it has a scale, int32 or int8 where its constant values are, else float."""
        made = schema.TensorT()
        kind = "float32" if scale is None else "int8"
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            self.buffers.append(buffer)
            made.buffer, kind = len(self.buffers) - 1, str(values.dtype)
        made.name, made.shape, made.type = f"t{len(self.tensors)}".encode(), list(shape), KINDS[kind]
        if scale is not None:
            scales = [scale] if isinstance(scale, float) else list(scale)
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = scales, [zero] * len(scales)
            made.quantization.quantizedDimension = axis
        self.tensors.append(made)
        return len(self.tensors) - 1

    def numbers(self, *values: int) -> int:
        """Add a constant of whole numbers, such as a shape."""
        return self.tensor((len(values),), values=np.array(values, np.int32))

    def add(
        self, operator: str, inputs: Sequence[int], output: int, version: int = 1, kind: str = "", **options: Any
    ) -> int:
        """Add an operator, with options of a kind that the schema names; return its output."""
        code, made = schema.OperatorCodeT(), schema.OperatorT()
        number = next(number for number, name in operator_names().items() if name == operator)
        code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), version
        self.codes.append(code)
        made.opcodeIndex, made.inputs, made.outputs = len(self.codes) - 1, list(inputs), [output]
        if kind:
            made.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            made.builtinOptions = getattr(schema, f"{kind}T")()
            for name, value in options.items():
                assert hasattr(made.builtinOptions, name)
                setattr(made.builtinOptions, name, value)
        self.operators.append(made)
        return output

    def model(self, given: int, *answers: int) -> bytes:
        """Return the model with this input and these outputs."""
        tree, graph = schema.ModelT(), schema.SubGraphT()
        graph.tensors, graph.operators, graph.inputs, graph.outputs = self.tensors, self.operators, [given], answers
        tree.version, tree.subgraphs, tree.buffers, tree.operatorCodes = 3, [graph], self.buffers, self.codes
        return packed(tree)


def kinds(model: bytes) -> list[str]:
    """Return the names of a model's operators, in order."""
    return [name for name, _ in operators(opened(model))]


def shapes(model: bytes) -> list[tuple[int, ...]]:
    """Return the shapes of a model's tensors."""
    return [tuple(map(int, tensor.shape)) for tensor in opened(model).subgraphs[0].tensors]


def answers(model: bytes, given: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return what a model answers."""
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], given)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]
