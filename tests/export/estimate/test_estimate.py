"""An estimate follows from a file's operators alone, and is never taken for a measurement."""

import contextlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgevit.device_profiles import find_profile
from edgevit.errors import ModelFileError, OptionError
from edgevit.export.estimate.costs import COSTS, ERROR
from edgevit.export.estimate.estimate import estimate, price
from edgevit.export.estimate.layers import read_operations
from edgevit.export.estimate.operation import Operation
from tests.places import ROOT

COUNTED = ROOT / "tools" / "a72" / "operators.json"


def save(path: Path, nodes: list[Any], constants: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> Path:
    """Write a graph from x to y; `shapes` has them and what is between."""
    values = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()}
    weights = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    between = [value for name, value in values.items() if name not in ("x", "y")]
    graph = helper.make_graph(nodes, "one", [values["x"]], [values["y"]], weights, value_info=between)
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]).SerializeToString())
    return path


def layers_of(path: Path) -> list[Operation]:
    return [layer for layer in read_operations(path) if layer.kind != "free"]


def convolution(path: Path, channels: tuple[int, int], kernel: int, group: int = 1) -> Path:
    given, made = channels
    weights = np.zeros((made, given // group, kernel, kernel), np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[kernel // 2] * 4, group=group)
    return save(path, [node], {"w": weights}, {"x": (1, given, 10, 12), "y": (1, made, 10, 12)})


@pytest.mark.parametrize(
    ("channels", "kernel", "group", "kind", "macs"),
    [
        ((4, 6), 1, 1, "pointwise", 10 * 12 * 6 * 4),
        ((4, 6), 3, 1, "convolution", 10 * 12 * 6 * 4 * 9),
        ((4, 4), 3, 4, "depthwise", 10 * 12 * 4 * 9),
        ((4, 4), 5, 4, "wide depthwise", 10 * 12 * 4 * 25),
        ((4, 6), 1, 2, "pointwise", 10 * 12 * 6 * 2),
    ],
)
def test_multiply_adds_of_a_convolution(
    tmp_path: Path, channels: tuple[int, int], kernel: int, group: int, kind: str, macs: int
) -> None:
    (layer,) = layers_of(convolution(tmp_path / "m.onnx", channels, kernel, group=group))
    weights = channels[1] * channels[0] // group * kernel**2
    assert (layer.kind, layer.macs, layer.elements) == (kind, macs, 120 * channels[1])
    assert layer.bytes == 4 * (120 * channels[0] + 120 * channels[1] + weights)


def test_matrix_with_weights_is_told_from_a_product_of_two_activations(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["t"]), helper.make_node("MatMul", ["x", "t"], ["y"])]
    shapes: dict[str, tuple[int, ...]] = {"x": (5, 5), "t": (5, 7), "y": (5, 7)}
    first, second = layers_of(save(tmp_path / "m.onnx", nodes, {"w": np.zeros((5, 7), np.float32)}, shapes))
    assert (first.kind, second.kind) == ("matrix", "product")
    assert first.macs == second.macs == 5 * 7 * 5


def test_change_to_int8_is_free_only_where_a_kernel_does_it(tmp_path: Path) -> None:
    """Q DQ Conv Q DQ Gelu: the first Q and the last DQ are computed, those at the convolution are part of it."""
    scale = {"s": np.float32(0.1), "z": np.uint8(0), "wq": np.zeros((2, 2, 1, 1), np.int8), "wz": np.int8(0)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["a"]),
        helper.make_node("DequantizeLinear", ["a", "s", "z"], ["b"]),
        helper.make_node("DequantizeLinear", ["wq", "s", "wz"], ["w"]),
        helper.make_node("Conv", ["b", "w"], ["c"]),
        helper.make_node("QuantizeLinear", ["c", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["d", "s", "z"], ["e"]),
        helper.make_node("Gelu", ["e"], ["y"]),
    ]
    path = save(tmp_path / "m.onnx", nodes, scale, dict.fromkeys("xcy", (1, 2, 3, 3)))
    assert [layer.kind for layer in layers_of(path)] == ["quantize", "int8 pointwise", "dequantize", "Gelu"]


def test_function_between_int8_borders_is_computed_on_bytes(tmp_path: Path) -> None:
    def border(operator: str, source: str, made: str) -> Any:
        return helper.make_node(operator, [source, "s", "z"], [made])

    nodes = [
        border("QuantizeLinear", "x", "q"),
        border("DequantizeLinear", "q", "f"),
        helper.make_node("Sigmoid", ["f"], ["g"]),
        border("QuantizeLinear", "g", "h"),
        border("DequantizeLinear", "h", "i"),
        helper.make_node("Mul", ["f", "i"], ["m"]),
        border("QuantizeLinear", "m", "n"),
        border("DequantizeLinear", "n", "o"),
        helper.make_node("Sigmoid", ["o"], ["y"]),
    ]
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys("xqfghimnoy", (1, 6))
    constants = {"s": np.float32(0.1), "z": np.uint8(3)}
    layers = layers_of(save(tmp_path / "m.onnx", nodes, constants, shapes))
    # the last one's answer stays float, so all around it is computed in float
    assert [layer.kind for layer in layers] == ["quantize", "int8 lookup", "int8 arithmetic", "dequantize", "simple"]
    assert (layers[1].elements, layers[1].bytes, layers[2].bytes) == (6, 12, 18)


def test_shapes_that_an_int8_export_does_not_tell_are_those_of_the_inputs(tmp_path: Path) -> None:
    scale = {"s": np.float32(0.1), "z": np.uint8(0)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["a"]),
        helper.make_node("DequantizeLinear", ["a", "s", "z"], ["b"]),
        helper.make_node("LeakyRelu", ["b"], ["c"], alpha=1.0),
        helper.make_node("QuantizeLinear", ["c", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["d", "s", "z"], ["y"]),
    ]
    path = save(tmp_path / "m.onnx", nodes, scale, dict.fromkeys("xy", (1, 2, 3, 3)))
    assert {layer.elements for layer in layers_of(path)} == {18}


def test_weights_stored_as_float16_cost_no_more(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["half"], ["w"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    shapes: dict[str, tuple[int, ...]] = {"x": (5, 5), "y": (5, 7)}
    (layer,) = layers_of(save(tmp_path / "m.onnx", nodes, {"half": np.zeros((5, 7), np.float16)}, shapes))
    assert (layer.kind, layer.macs, layer.bytes) == ("matrix", 5 * 7 * 5, 4 * (25 + 35 + 35))


def test_relu_is_free_behind_a_convolution(tmp_path: Path) -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["t"]), helper.make_node("Relu", ["t"], ["y"])]
    weights = {"w": np.zeros((2, 2, 1, 1), np.float32)}
    path = save(tmp_path / "m.onnx", nodes, weights, dict.fromkeys("xty", (1, 2, 3, 3)))
    assert [layer.kind for layer in layers_of(path)] == ["pointwise"]


def test_estimate_is_the_sum_of_its_operators_by_the_published_prices(tmp_path: Path) -> None:
    guess = estimate(convolution(tmp_path / "m.onnx", (4, 6), 1), find_profile("pi4"))
    price = COSTS["pointwise"]
    instructions = price.instructions_per_mac * 2880 + price.instructions_per_element * 720
    missed = price.misses_per_mac * 2880 + price.misses_per_byte * 4 * (480 + 720 + 24)
    # fitted with four threads at 1.5 GHz; `edgevit run` takes three, at the board's 1.8
    assert (guess.threads, guess.mhz) == (3, 1800)
    assert guess.ms == pytest.approx(4 / 3 * (0.0879e-6 * instructions * 1500 / 1800 + 9.65e-6 * missed))
    fitted = estimate(tmp_path / "m.onnx", find_profile("pi4"), threads=4, mhz=1500)
    assert fitted.ms == pytest.approx(0.0879e-6 * instructions + 9.65e-6 * missed)


def test_costs_give_back_what_was_counted() -> None:
    """Over all counted operators together; a single one may be further off."""
    rows = json.loads(COUNTED.read_text())
    works = ("macs", "elements", "bytes")
    costs = [price(Operation("", row["kind"], *(row[name] for name in works))) for row in rows]
    told = sum(cost.instructions for cost in costs), sum(cost.misses for cost in costs)
    assert told == pytest.approx(
        (sum(row["instructions"] for row in rows), sum(row["misses"] for row in rows)), rel=0.1
    )
    assert {row["kind"] for row in rows} == set(COSTS)


def test_estimate_is_never_printed_as_a_measurement(tmp_path: Path, run: Any) -> None:
    path = convolution(tmp_path / "m.onnx", (4, 6), 1)
    code, out, _ = run("benchmark", "--estimate", "rpi4", path)
    assert code == 0
    assert "estimated" in out
    assert "not measured" in out
    # so short a time is told with a digit more, never as "0 ms (0 to 0)"
    assert re.search(r"estimated \d\.\d ms \(\d\.\d to \d\.\d\), not measured", out)
    document = json.loads(run("benchmark", "--estimate", "rpi4", path, "--json")[1])
    assert (document["estimate"], document["error"]) == (True, ERROR)


def test_board_that_was_not_fitted_is_refused(tmp_path: Path) -> None:
    path = convolution(tmp_path / "m.onnx", (4, 6), 1)
    with pytest.raises(OptionError, match="rpi5 is none; run edgevit benchmark on the board itself"):
        estimate(path, find_profile("rpi5"))


def test_file_that_is_neither_onnx_nor_tflite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="knows ONNX and TFLite files"):
        estimate(tmp_path / "m.pt", find_profile("rpi4"))


def test_foreign_file_of_any_size_is_estimated_for_the_one_that_is_given(tmp_path: Path) -> None:
    """Its end, flattened by the shape as torch.onnx writes it, is a matrix of 6 by 2."""
    sides: Any = ("n", 4, "h", "w")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["p"]),
        helper.make_node("Shape", ["p"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["b"]),
        helper.make_node("Unsqueeze", ["b", "axis"], ["u"]),
        helper.make_node("Concat", ["u", "rest"], ["to"], axis=0),
        helper.make_node("Reshape", ["p", "to"], ["f"]),
        helper.make_node("MatMul", ["f", "m"], ["y"]),
    ]
    weights = {
        "w": np.zeros((6, 4, 1, 1), np.float32),
        "m": np.zeros((6, 2), np.float32),
        "zero": np.int64(0),
        "axis": np.array([0]),
        "rest": np.array([6]),
    }
    path = save(tmp_path / "m.onnx", nodes, weights, {"x": sides, "y": ("n", 2)})  # type: ignore[dict-item]
    layers = [layer for layer in read_operations(path, (10, 12)) if layer.macs]
    assert [(layer.kind, layer.macs) for layer in layers] == [("pointwise", 120 * 6 * 4), ("matrix", 6 * 2)]
    with pytest.raises(OptionError, match="takes images of any size; give the one to estimate for"):
        read_operations(path)


def test_operator_of_which_nothing_was_counted_is_named(tmp_path: Path, run: Any) -> None:
    weights = np.zeros((2, 3, 2, 2), np.float32)
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])
    path = save(tmp_path / "m.onnx", [node], {"w": weights}, {"x": (1, 2, 4, 4), "y": (1, 3, 8, 8)})
    (layer,) = layers_of(path)
    assert (layer.macs, layer.priced) == (2 * 4 * 4 * 3 * 2 * 2, False)
    assert "nothing was counted of ConvTranspose" in run("benchmark", "--estimate", "rpi4", path)[1]


def test_int8_convolution_of_another_tool_is_one(tmp_path: Path) -> None:
    constants = {"s": np.float32(0.1), "z": np.uint8(0), "w": np.zeros((6, 4, 1, 1), np.int8), "wz": np.int8(0)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["a"]),
        helper.make_node("QLinearConv", ["a", "s", "z", "w", "s", "wz", "s", "z"], ["b"]),
        helper.make_node("DequantizeLinear", ["b", "s", "z"], ["y"]),
    ]
    layers = layers_of(save(tmp_path / "m.onnx", nodes, constants, {"x": (1, 4, 5, 5), "y": (1, 6, 5, 5)}))
    assert [layer.kind for layer in layers] == ["quantize", "int8 pointwise", "dequantize"]
    assert (layers[1].macs, layers[1].bytes) == (25 * 6 * 4, 25 * 4 + 25 * 6 + 24 + 6)


def test_file_without_shapes_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Own", ["x"], ["t"], domain="own"), helper.make_node("Gelu", ["t"], ["y"])]
    path = save(tmp_path / "m.onnx", nodes, {}, {"x": (1, 2), "y": (1, 2)})
    model = onnx.load(path)
    model.opset_import.append(helper.make_opsetid("own", 1))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelFileError, match="does not tell the shape of 't'"):
        estimate(path, find_profile("rpi4"))


def test_damaged_files_are_estimated_or_refused(tiny_model: Path, tmp_path: Path) -> None:
    content, random = tiny_model.read_bytes(), np.random.default_rng(0)
    for number in range(500):
        damaged = bytearray(content[: random.integers(1, len(content))] if number % 2 else content)
        for place in random.integers(0, len(damaged), 20):
            damaged[place] = random.integers(256)
        (tmp_path / "m.onnx").write_bytes(damaged)
        with contextlib.suppress(ModelFileError):
            estimate(tmp_path / "m.onnx", find_profile("rpi4"))


def test_missing_onnx_names_the_pip_command(tiny_model: Path) -> None:
    """A board has no onnx; it can be told in one line where an estimate is to be had."""
    arguments = ["benchmark", "--estimate", "rpi4", str(tiny_model)]
    code = f"import sys; sys.modules['onnx'] = None; from edgevit.cli import main; main({arguments!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert (
        done.stderr == "edgevit: onnx is not installed, and --estimate needs it; run: pip install 'edgevit[export]'\n"
    )
