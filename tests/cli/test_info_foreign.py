"""`edgevit info` of other people's files: what goes in and out, and what edgevit would do with them."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgevit.artifact.reading import read_graph
from edgevit.errors import ModelFileError

MakeModel = Callable[..., Path]
Run = Callable[..., tuple[int, str, str]]


def test_onnx_file_tells_inputs_outputs_types_and_opset(tmp_path: Path) -> None:
    """The weight stands among the inputs too, as in files of before 2019, and is none."""
    shape = ("batch", 3, "h", 8)
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT16, shape)]
    given.append(helper.make_tensor_value_info("w", TensorProto.FLOAT16, (1,)))
    made = [helper.make_tensor_value_info("y", TensorProto.INT64, None)]
    weights = [numpy_helper.from_array(np.ones(1, np.float16), "w")]
    graph = helper.make_graph([helper.make_node("Mul", ["x", "w"], ["y"])], "g", given, made, weights)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    path = tmp_path / "m.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())
    found = read_graph(path)
    assert list(map(str, found.inputs)) == ["x batchx3xhx8 float16"]
    assert list(map(str, found.outputs)) == ["y of any shape int64"]
    assert found.versions == {"IR": 9, "ai.onnx": 17, "ai.onnx.ml": 3}


def test_graph_is_read_as_the_onnx_package_reads_it(tiny_model: Path) -> None:
    model, found = onnx.load(tiny_model), read_graph(tiny_model)
    assert [tensor.name for tensor in found.inputs] == [value.name for value in model.graph.input]
    assert [tensor.shape for tensor in found.inputs] == [
        tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim) for value in model.graph.input
    ]
    assert found.versions["ai.onnx"] == model.opset_import[0].version


def test_info_tells_what_must_be_given_for_a_foreign_model(run: Run, make_foreign: MakeModel) -> None:
    path = make_foreign(metadata={"author": "somebody"})
    code, out, err = run("info", path)
    assert code == 0
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == f"{path}: not exported by edgevit; it says"
    assert "input image 1x3x24x32 float32" in lines
    assert "author somebody" in lines
    assert "preprocess bicubic, crop center 0.875, to 24x32 (height x width), RGB" in lines
    assert "labels unknown: give --labels FILE with 3 names" in lines
    assert "answers 3 logits: edgevit makes probabilities of them by a softmax; --outputs says otherwise" in lines
    assert err == f"next: edgevit run {path} PHOTO --labels FILE --mean R,G,B --std R,G,B\n"
    found = json.loads(run("info", path, "--json")[1])
    assert (found["edgevit"], found["metadata"]) == (None, {"author": "somebody"})
    assert found["inputs"] == [{"name": "image", "dtype": "float32", "shape": [1, 3, 24, 32]}]
    assert found["plan"]["missing"] == ["--labels", "--mean", "--std"]
    assert found["plan"]["preprocess"]["mean"] is None


def test_info_tells_that_a_softmax_gives_probabilities(run: Run, make_foreign: MakeModel) -> None:
    assert "3 probabilities of classes of which one is there" in run("info", make_foreign(softmax=True))[1]


def test_info_of_a_model_of_any_size_asks_for_the_size(run: Run, make_foreign: MakeModel) -> None:
    _, out, err = run("info", make_foreign(shape=("n", 3, "h", "w")))
    assert "nx3xhxw float32" in out
    assert "to any size: give --imgsz" in out
    assert err.endswith(" --imgsz N\n")


def test_info_tells_why_a_file_cannot_be_run(run: Run, tmp_path: Path) -> None:
    axes = (1, 7)
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, axes)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, axes)],
    )
    path = tmp_path / "m.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    code, out, _ = run("info", path)
    assert code == 0
    assert "x 1x7 float32" in out
    assert "edgevit cannot run it as it is:" in out
    assert "expected one input (batch, 3, height, width)" in out


def test_info_of_a_tflite_file_tells_the_same(run: Run, make_foreign_tflite: MakeModel) -> None:
    path = make_foreign_tflite(softmax=True)
    found = json.loads(run("info", path, "--json")[1])
    assert [tensor["shape"] for tensor in found["inputs"]] == [[1, 24, 32, 3]]
    assert (found["inputs"][0]["dtype"], found["versions"]) == ("float32", {"schema": 3})
    assert (found["plan"]["classes"], found["plan"]["outputs"]) == (3, "probabilities")


def test_info_needs_neither_onnx_nor_torch(make_foreign: MakeModel) -> None:
    absent = "import sys; sys.modules['onnx'] = sys.modules['torch'] = None; "
    code = f"{absent}from edgevit.cli import main; main(['info', {str(make_foreign())!r}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "bicubic" in done.stdout


def test_damaged_files_are_read_or_refused(make_foreign: MakeModel, make_foreign_tflite: MakeModel) -> None:
    random = np.random.default_rng(0)
    for path in (make_foreign(), make_foreign_tflite()):
        content = path.read_bytes()
        for number in range(300):
            damaged = bytearray(content[: random.integers(1, len(content))] if number % 2 else content)
            for place in random.integers(0, len(damaged), 20):
                damaged[place] = random.integers(256)
            path.write_bytes(damaged)
            with contextlib.suppress(ModelFileError):
                assert read_graph(path).versions is not None
