"""Sessions answer alike for any batch and any number of threads, and say in one line what they cannot run."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgevit.errors import ModelFileError, OptionError
from edgevit.runtime.backends import onnx as backend
from edgevit.runtime.backends.session import open_session, thread_count

MakeModel = Callable[..., Path]
MakeGraph = Callable[..., onnx.ModelProto]


def _inputs(count: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(count, 3, 24, 32)).astype(np.float32)


@pytest.mark.parametrize("batch", [1, 4, "N"])
@pytest.mark.parametrize("images", [1, 3, 9])
def test_any_number_of_images_is_answered(make_foreign: MakeModel, batch: int | str, images: int) -> None:
    session = open_session(make_foreign(shape=(batch, 3, 24, 32)))
    assert session.input_shape == (batch if isinstance(batch, int) else 0, 3, 24, 32)
    inputs = _inputs(images)
    np.testing.assert_allclose(session.run(inputs), 4 * inputs.mean(axis=(2, 3)), atol=1e-5)


def test_inputs_are_not_changed_and_need_not_be_contiguous(make_foreign: MakeModel) -> None:
    session = open_session(make_foreign())
    inputs = _inputs(2)[:, :, :, ::-1]
    before = inputs.copy()
    np.testing.assert_allclose(session.run(inputs), 4 * before.mean(axis=(2, 3)), atol=1e-5)
    np.testing.assert_array_equal(inputs, before)


def test_int8_products_do_not_overflow(make_foreign: MakeModel) -> None:
    """White times weights of one: 255 * 127 + 255 * 127 = 64,770 is more than 16 bits hold."""
    path = make_foreign()
    model = onnx.load(path)
    nodes = [
        model.graph.node[0],
        model.graph.node[1],
        helper.make_node("QuantizeLinear", ["channels", "levels", "zero"], ["bytes"]),
        helper.make_node("DequantizeLinear", ["bytes", "levels", "zero"], ["again"]),
        helper.make_node("DequantizeLinear", ["ones", "steps"], ["unit"]),
        helper.make_node("MatMul", ["again", "unit"], ["logits"]),
    ]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    constants: dict[str, NDArray[np.generic]] = {
        "levels": np.array(1 / 255, np.float32),
        "zero": np.array(0, np.uint8),
        "steps": np.array(1 / 127, np.float32),
        "ones": np.full((3, 3), 127, np.int8),
    }
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    onnx.save(model, path)
    np.testing.assert_allclose(open_session(path).run(np.ones((1, 3, 24, 32), np.float32)), [[3, 3, 3]], atol=1e-5)


@pytest.mark.parametrize(
    ("flags", "asked"),
    [({"avx2"}, True), (set(), True), ({"avx2", "avx_vnni"}, False), ({"avx512f", "avx512_vnni"}, False)],
)
def test_slower_kernels_are_asked_for_where_the_usual_ones_are_not_exact(
    monkeypatch: pytest.MonkeyPatch, flags: set[str], asked: bool
) -> None:
    monkeypatch.setattr(backend, "cpu_flags", lambda: frozenset(flags))
    options = backend.session_options(1)
    if asked:
        assert options.get_session_config_entry("session.x64quantprecision") == "1"
    else:
        with pytest.raises(RuntimeError, match="x64quantprecision"):
            options.get_session_config_entry("session.x64quantprecision")


def test_session_answers_eight_threads_at_once(make_foreign: MakeModel) -> None:
    session = open_session(make_foreign(), threads=1)
    inputs = _inputs(64)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda one: session.run(one[None])[0], inputs))
    np.testing.assert_allclose(answers, 4 * inputs.mean(axis=(2, 3)), atol=1e-5)


def test_closed_session_says_so(make_foreign: MakeModel) -> None:
    session = open_session(make_foreign())
    session.close()
    with pytest.raises(ValueError, match="was closed; load it again"):
        session.run(_inputs(1))


def test_threads_come_from_argument_then_environment_then_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEVIT_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert thread_count() == len(os.sched_getaffinity(0))
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")
    assert thread_count() == 3
    monkeypatch.setenv("EDGEVIT_THREADS", "5")
    assert thread_count() == 5
    assert thread_count(2) == 2


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", "9999"])
@pytest.mark.parametrize("variable", ["EDGEVIT_THREADS", "OMP_NUM_THREADS"])
def test_wrong_number_of_threads_is_refused(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.delenv("EDGEVIT_THREADS", raising=False)
    monkeypatch.setenv(variable, value)
    with pytest.raises(OptionError, match=f"{variable} is '?{value}'?, expected a whole number from 1 to 1024"):
        thread_count()


@pytest.mark.parametrize("count", [0, 1025, 9999])
def test_more_threads_than_any_machine_has_processors_for_are_refused(count: int) -> None:
    assert thread_count(1024) == 1024
    with pytest.raises(OptionError, match=f"threads= is {count}, expected a whole number from 1 to 1024"):
        thread_count(count)


def test_unknown_suffix_and_missing_file_are_named(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"x")
    with pytest.raises(ModelFileError, match=r"has suffix '\.pt'; expected \.onnx"):
        open_session(tmp_path / "model.pt")
    with pytest.raises(ModelFileError, match=r"none\.onnx does not exist"):
        open_session(tmp_path / "none.onnx")


def test_garbage_is_refused_in_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"garbage" * 100)
    with pytest.raises(ModelFileError, match="cannot be run by ONNX Runtime: ") as caught:
        open_session(path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("kind", "shape", "reason"),
    [
        (TensorProto.INT32, (1, 3, 8, 8), r"takes tensor\(int32\); expected one input"),
        (TensorProto.FLOAT, (1, 192), r"takes an input of shape \[1, 192\]"),
        (TensorProto.FLOAT, (1, 4, 8, 8), r"takes an input of shape \[1, 4, 8, 8\]"),
        (TensorProto.FLOAT, (1, 3, 8, 8), r"answers with shape \[1, 3, 8, 8\]; expected one output"),
    ],
)
def test_model_of_another_kind_is_refused(tmp_path: Path, kind: int, shape: tuple[int, ...], reason: str) -> None:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "other",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, shape)],
    )
    path = tmp_path / "other.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    with pytest.raises(ModelFileError, match=reason):
        open_session(path)


def test_input_that_does_not_fit_is_one_line(make_foreign: MakeModel) -> None:
    session = open_session(make_foreign())
    with pytest.raises(ModelFileError, match=r"failed on input \(1, 3, 8, 8\): ") as caught:
        session.run(np.zeros((1, 3, 8, 8), np.float32))
    assert "\n" not in str(caught.value)
