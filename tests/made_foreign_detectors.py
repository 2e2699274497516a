"""Tiny detection models as others export them, whose answers are known by arithmetic."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from edgevit.export.tflite.metadata import Fields

SIZE = (64, 96)
"""(height, width) of their inputs."""
CELLS = 8 * 12 + 4 * 6 + 2 * 3
"""Places of strides 8, 16 and 32."""
ULTRALYTICS = {
    "task": "detect",
    "stride": "32",
    "imgsz": "[64, 96]",
    "batch": "1",
    "names": "{0: 'hen', 1: 'fox', 2: 'cat'}",
    "author": "Ultralytics",
}


def write_onnx(
    path: Path,
    *tables: NDArray[np.float32],
    metadata: Mapping[str, str] | None = None,
    names: Sequence[str] = ("output0",),
    operator: str = "Identity",
    shape: Sequence[int | str] = (1, 3, *SIZE),
) -> Path:
    """Write a model that answers with these tables (1, ...), times 1 plus the mean of the picture's values.

    Args:
        path: where to.
        tables: its outputs.
        metadata: its pairs.
        names: of the outputs.
        operator: one that the graph has besides.
        shape: of the input.
    """
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node(operator, ["mean"], ["unused"]),
        *(helper.make_node("Add", [f"table{i}", "nothing"], [name]) for i, name in enumerate(names)),
    ]
    constants = {"zero": np.zeros((), np.float32), **{f"table{i}": table for i, table in enumerate(tables)}}
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, table.shape)
            for name, table in zip(names, tables, strict=True)
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, dict(metadata or {}))
    path.write_bytes(model.SerializeToString())
    return path


class TfliteGraph:
    """Writes a TFLite file operator by operator; the input is (1, height, width, 3) float32 or uint8."""

    KINDS = {"float32": 0, "uint8": 3, "int32": 2, "int8": 9}

    def __init__(self, dtype: str = "float32", scale: tuple[float, int] | None = None) -> None:
        pytest.importorskip("flatbuffers", reason="needs the extra tflite-export")
        self.buffers: list[Fields] = [{}]
        self.tensors: list[Fields] = []
        self.codes: list[Fields] = []
        self.operators: list[Fields] = []
        self.input = self.tensor((1, *SIZE, 3), dtype, scale)

    def tensor(self, shape: Sequence[int], dtype: str = "float32", scale: tuple[float, int] | None = None) -> int:
        entry: Fields = {
            0: np.array(shape, np.int32),
            1: np.int8(self.KINDS[dtype]),
            2: np.uint32(0),
            3: f"t{len(self.tensors)}",
        }
        if scale is not None:
            entry[4] = {2: np.array([scale[0]], np.float32), 3: np.array([scale[1]], np.int64)}
        self.tensors.append(entry)
        return len(self.tensors) - 1

    def constant(self, values: NDArray[Any]) -> int:
        index = self.tensor(values.shape, values.dtype.name)
        self.tensors[index][2] = np.uint32(len(self.buffers))
        self.buffers.append({0: values.tobytes()})
        return index

    def operator(self, code: int, inputs: Sequence[int], outputs: Sequence[int], **more: Any) -> None:
        """Add an operator; `options` are (kind, fields), `custom` is (name, options in FlexBuffers)."""
        name, custom = more.get("custom", (None, None))
        self.codes.append({0: np.int8(code), 1: name, 2: np.int32(1), 3: np.int32(code)})
        entry: Fields = {
            0: np.uint32(len(self.codes) - 1),
            1: np.array(inputs, np.int32),
            2: np.array(outputs, np.int32),
        }
        if "options" in more:
            entry |= {3: np.uint8(more["options"][0]), 4: more["options"][1]}
        if custom is not None:
            entry[5] = custom
        self.operators.append(entry)

    def means(self) -> int:
        """Return the (1, 3) mean of each colour."""
        latest = self.input
        if self.tensors[latest][1] != 0:
            latest = self.tensor((1, *SIZE, 3))
            self.operator(6, [self.input], [latest])
        mean = self.tensor((1, 3))
        self.operator(40, [latest, self.constant(np.array([1, 2], np.int32))], [mean], options=(27, {0: np.uint8(0)}))
        return mean

    def reshaped(self, given: int, shape: Sequence[int]) -> int:
        made = self.tensor(shape)
        self.operator(22, [given, self.constant(np.array(shape, np.int32))], [made])
        return made

    def write(self, path: Path, outputs: Sequence[int], files: Mapping[str, str] | None = None) -> Path:
        from edgevit.export.tflite.artifact import append_files
        from edgevit.export.tflite.metadata import build

        ends = (np.array([self.input], np.int32), np.array(outputs, np.int32))
        graph: Fields = {0: self.tensors, 1: ends[0], 2: ends[1], 3: self.operators, 4: "main"}
        model = build({0: np.uint32(3), 1: self.codes, 2: [graph], 4: self.buffers}, b"TFL3")
        path.write_bytes(append_files(model, dict(files)) if files else model)
        return path


def write_table_tflite(path: Path, table: NDArray[np.float32], metadata: Mapping[str, Any] | None = None) -> Path:
    """Write a TFLite model that answers with a table (1, ...), whatever the picture, and has Ultralytics' metadata."""
    graph = TfliteGraph()
    # 0 * red + 0 * green + 0 * blue + the table
    flat, size = graph.tensor((1, table.size)), table.size
    weights = graph.constant(np.zeros((size, 3), np.float32))
    graph.operator(9, [graph.means(), weights, graph.constant(table.reshape(-1))], [flat], options=(8, {}))
    files = {"metadata.json": json.dumps(dict(metadata))} if metadata else None
    return graph.write(path, [graph.reshaped(flat, table.shape)], files)


ANCHOR = (0.25, 0.5, 0.5, 0.25)
"""y and x of the centre, height and width, in shares: the box of top 0, left .375, bottom .5, right .625."""


def write_ssd_tflite(path: Path, order: Sequence[int] = (0, 1, 2, 3), dtype: str = "float32") -> Path:
    """Write a model of one anchor that ends in TFLite_Detection_PostProcess.

    The picture's mean red is the background's score, its green that of class 0, its blue that of class 1.

    Args:
        path: where to.
        order: of the operator's outputs (boxes, classes, scores, count) among those of the graph.
        dtype: of the input; "uint8" has levels of 1 / 255.
    """
    from flatbuffers import flexbuffers

    graph = TfliteGraph(dtype, (1 / 255, 0) if dtype == "uint8" else None)
    scores = graph.reshaped(graph.means(), (1, 1, 3))
    encodings = graph.constant(np.zeros((1, 1, 4), np.float32))
    anchors = graph.constant(np.array([ANCHOR], np.float32))
    outputs = [graph.tensor(shape) for shape in ((1, 2, 4), (1, 2), (1, 2), (1,))]
    options = {
        "max_detections": 2,
        "max_classes_per_detection": 1,
        "num_classes": 2,
        "nms_score_threshold": 1e-8,
        "nms_iou_threshold": 0.6,
        **{f"{side}_scale": value for side, value in (("y", 10.0), ("x", 10.0), ("h", 5.0), ("w", 5.0))},
    }
    graph.operator(
        32,
        [encodings, scores, anchors],
        outputs,
        custom=("TFLite_Detection_PostProcess", bytes(flexbuffers.Dumps(options))),
    )
    return graph.write(path, [outputs[place] for place in order])
