"""A TFLite model as it is being changed: who makes and who reads each tensor, and new tensors and operators."""

import copy
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgevit.export.tflite_graph.graph import opened, operator_names, packed

INT8, FLOAT32, INT32 = schema.TensorType.INT8, schema.TensorType.FLOAT32, schema.TensorType.INT32
_DTYPES: dict[int, np.dtype[Any]] = {FLOAT32: np.dtype("<f4"), INT32: np.dtype("<i4"), INT8: np.dtype("i1")}
_CODES = {name: code for code, name in operator_names().items()}

TAKE_INT8 = ("TRANSPOSE", "SLICE", "CONCATENATION", "RESIZE_NEAREST_NEIGHBOR", "ADD", "MUL", "DEPTHWISE_CONV_2D")
"""Operators that take int8 from their second version on, RESHAPE from its first; tflite-runtime 2.14 has them all."""


class Edit:
    """The first graph of a model. Tensors are numbers, as in the file; operators are the schema's objects."""

    def __init__(self, model: bytes) -> None:
        self._model = model
        self.tree = opened(model)
        self.graph = self.tree.subgraphs[0]
        self.changed = False
        self.look()

    def look(self) -> None:
        """Find out anew who makes and who reads each tensor; call it after each change."""
        self._makers = {index: item for item in self.graph.operators for index in item.outputs}
        self._readers = defaultdict(list)
        for item in self.graph.operators:
            for index in dict.fromkeys(item.inputs):
                self._readers[index].append(item)

    @property
    def operators(self) -> tuple[Any, ...]:
        """The operators, in order."""
        return tuple(self.graph.operators)

    def kind(self, item: Any) -> str:
        """Return an operator's name; "" for None."""
        if item is None:
            return ""
        code = self.tree.operatorCodes[item.opcodeIndex]
        return operator_names()[max(code.builtinCode, code.deprecatedBuiltinCode)]

    def maker(self, index: int) -> Any:
        """Return the operator that makes a tensor; None for inputs and constants."""
        return self._makers.get(index)

    def readers(self, index: int) -> list[Any]:
        """Return the operators that read a tensor."""
        return self._readers[index]

    def is_output(self, index: int) -> bool:
        """Tell whether a tensor is one of the model's answers."""
        return index in self.graph.outputs

    def shape(self, index: int) -> tuple[int, ...]:
        """Return a tensor's shape."""
        shape = self.graph.tensors[index].shape
        return () if shape is None else tuple(int(side) for side in shape)

    def constant(self, index: int) -> NDArray[Any] | None:
        """Return a constant's values; None where the tensor is none."""
        tensor = self.graph.tensors[index]
        data = self.tree.buffers[tensor.buffer].data
        if data is None or tensor.type not in _DTYPES:
            return None
        return np.frombuffer(bytes(data), _DTYPES[tensor.type]).reshape(self.shape(index))

    def scale(self, index: int) -> tuple[float, int] | None:
        """Return an int8 tensor's only scale and zero point; None where it has none, or one for each channel."""
        tensor = self.graph.tensors[index]
        found = tensor.quantization
        if tensor.type != INT8 or found is None or found.scale is None or len(found.scale) != 1:
            return None
        return float(found.scale[0]), int(found.zeroPoint[0])

    def new_tensor(self, like: int, name: str, shape: Sequence[int] | None = None, scaled_as: int | None = None) -> int:
        """Add a tensor like another one.

        Args:
            like: whose name, shape and type it has.
            name: added to that name.
            shape: in place of that shape.
            scaled_as: whose type and scales it has instead.
        """
        tensor = copy.deepcopy(self.graph.tensors[like])
        tensor.name, tensor.buffer = tensor.name + f"_{name}".encode(), 0
        if shape is not None:
            tensor.shape, tensor.shapeSignature = list(shape), None
        if scaled_as is not None:
            model = self.graph.tensors[scaled_as]
            tensor.type, tensor.quantization = model.type, copy.deepcopy(model.quantization)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def new_constant(self, name: str, values: NDArray[Any], like: int | None = None) -> int:
        """Add a constant of float32, int32 or int8; `like` is the constant whose scales it has."""
        buffer, tensor = schema.BufferT(), schema.TensorT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        self.tree.buffers.append(buffer)
        tensor.name, tensor.buffer, tensor.shape = name.encode(), len(self.tree.buffers) - 1, list(values.shape)
        tensor.type = next(code for code, dtype in _DTYPES.items() if dtype == values.dtype)
        if like is not None:
            tensor.quantization = copy.deepcopy(self.graph.tensors[like].quantization)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def new_operator(
        self, kind: str, inputs: Iterable[int], outputs: Iterable[int], *, like: Any = None, options: str = ""
    ) -> Any:
        """Add an operator; `finished` puts it into its place.

        Args:
            kind: its name.
            inputs: of which the first says whether it computes in int8.
            outputs: of it.
            like: an operator whose options it has.
            options: name of the schema's class of its options, where there is no such operator.
        """
        made = schema.OperatorT() if like is None else copy.deepcopy(like)
        made.inputs, made.outputs = list(inputs), list(outputs)
        if options:
            made.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            made.builtinOptions = getattr(schema, f"{options}T")()
        self.set_kind(made, kind)
        self.graph.operators.append(made)
        return made

    def set_kind(self, item: Any, kind: str) -> None:
        """Make an operator one of another kind, or of the version that its inputs ask for."""
        int8 = self.graph.tensors[item.inputs[0]].type == INT8
        known = [code for code in self.tree.operatorCodes if code.builtinCode == _CODES[kind]]
        version = max([code.version for code in known], default=1)
        item.opcodeIndex = self._code(kind, max(version, 2 if int8 and kind in TAKE_INT8 else 1))

    def _code(self, kind: str, version: int) -> int:
        for index, code in enumerate(self.tree.operatorCodes):
            if code.builtinCode == _CODES[kind] and code.version == version:
                return index
        code = schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = _CODES[kind], min(_CODES[kind], 127), version
        self.tree.operatorCodes.append(code)
        return len(self.tree.operatorCodes) - 1

    def replace(self, old: int, new: int) -> None:
        """Let all readers of a tensor read another one; the model's answers stay what they are."""
        for item in self.readers(old):
            item.inputs = [new if index == old else index for index in item.inputs]

    def done(self) -> None:
        """Note a change, and look at the graph anew."""
        self.changed = True
        self.graph.operators = self._in_order()
        self.look()

    def finished(self) -> bytes:
        """Return the changed model without the tensors that nothing uses; the given bytes where nothing changed."""
        if not self.changed:
            return self._model
        self._drop_unused_tensors()
        self._drop_unused_constants()
        return packed(self.tree)

    def _drop_unused_tensors(self) -> None:
        ends = [
            entry for signature in self.tree.signatureDefs or () for entry in (*signature.inputs, *signature.outputs)
        ]
        used = {index for item in self.graph.operators for index in (*item.inputs, *item.outputs) if index >= 0}
        kept = sorted(used | {*self.graph.inputs, *self.graph.outputs, *(entry.tensorIndex for entry in ends)})
        place = {old: new for new, old in enumerate(kept)} | {-1: -1}
        self.graph.tensors = [self.graph.tensors[index] for index in kept]
        for holder in (self.graph, *self.graph.operators):
            holder.inputs = [place[index] for index in holder.inputs]
            holder.outputs = [place[index] for index in holder.outputs]
        for entry in ends:
            entry.tensorIndex = place[entry.tensorIndex]
        self.look()

    def _drop_unused_constants(self) -> None:
        # the first is empty, and what has no content points to it
        holders = [*(tensor for graph in self.tree.subgraphs for tensor in graph.tensors), *(self.tree.metadata or ())]
        kept = sorted({0, *(holder.buffer for holder in holders)})
        place = {old: new for new, old in enumerate(kept)}
        self.tree.buffers = [self.tree.buffers[index] for index in kept]
        for holder in holders:
            holder.buffer = place[holder.buffer]

    def _in_order(self) -> list[Any]:
        """Return the operators that an answer needs, each behind those that make what it reads."""
        makers = {index: item for item in self.graph.operators for index in item.outputs}
        needed, waiting = set[int](), [makers[index] for index in self.graph.outputs if index in makers]
        while waiting:
            item = waiting.pop()
            if id(item) not in needed:
                needed.add(id(item))
                waiting += [makers[index] for index in item.inputs if index in makers]
        ordered: list[Any] = []
        placed = set[int]()
        for item in self.graph.operators:
            stack = [item] if id(item) in needed else []
            while stack:
                missing = [
                    makers[index] for index in stack[-1].inputs if index in makers and id(makers[index]) not in placed
                ]
                if missing:
                    stack += missing
                elif id(top := stack.pop()) not in placed:
                    placed.add(id(top))
                    ordered.append(top)
        return ordered
