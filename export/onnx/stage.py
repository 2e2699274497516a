"""Prepared model to ONNX: trace, simplify, then half precision or int8, each step compared with PyTorch."""

from functools import partial

from onnx import ModelProto

from edgevit.artifact.manifest import Input
from edgevit.export.onnx.argmax import with_argmax
from edgevit.export.onnx.artifact import artifact_bytes
from edgevit.export.onnx.graph import layers
from edgevit.export.onnx.half import store_half
from edgevit.export.onnx.int8 import Int8, make_int8
from edgevit.export.onnx.latency import median_latencies_ms
from edgevit.export.onnx.layer_noise import layer_sqnr
from edgevit.export.onnx.quantize import OPERATORS
from edgevit.export.onnx.simplify import simplify
from edgevit.export.onnx.trace import INPUT, trace
from edgevit.export.report.comparison import SideBySide
from edgevit.export.report.measure import facts_of
from edgevit.export.stage import ConversionJob, ConvertedModel
from edgevit.export.verify import check_numbers, run_graph

PACKAGES = ("torch", "onnx", "onnxscript", "onnxsim", "onnxruntime", "numpy", "opencv-python-headless")


def make(task: ConversionJob) -> ConvertedModel:
    """Return the model as an ONNX graph, as the recipe asks.

    Raises:
        EdgevitError: of a kind that says what is wrong; GateError if a step does not agree with PyTorch.
    """
    recipe, verified = task.recipe, task.images.verification
    float_graph = trace(task.model, task.shape, recipe.opset)
    task.verify("tracing", run_graph(float_graph, verified, task.preprocessing))
    if recipe.simplify:
        float_graph = simplify(float_graph)
        task.verify("simplification", run_graph(float_graph, verified, task.preprocessing))

    graph, int8 = float_graph, None
    if recipe.precision == "fp16":
        graph = store_half(float_graph)
    elif recipe.precision == "int8":
        int8 = make_int8(float_graph, recipe, task.family, task.images, task.preprocessing, task.track)
        graph = int8.graph
    if recipe.precision != "fp32":
        task.verify(recipe.precision, run_graph(graph, verified, task.preprocessing), recipe.precision)
    scoring = graph
    if recipe.argmax:
        logits, graph = run_graph(graph, verified, task.preprocessing), with_argmax(graph)
        check_numbers(logits, run_graph(graph, verified, task.preprocessing))

    outcome = int8.outcome if int8 else None

    def latencies() -> tuple[float, float]:
        plain, exported = median_latencies_ms([float_graph, graph])
        return plain, exported

    return ConvertedModel(
        content=graph.SerializeToString(),
        seal=lambda manifest: artifact_bytes(graph, manifest),
        input=Input(name=INPUT, shape=task.shape),
        float_size_mb=float_graph.ByteSize() / 1e6,
        packages=PACKAGES,
        quantization=int8.quantization if int8 else None,
        outcome=outcome,
        latencies_ms=latencies if int8 else None,
        facts=lambda written: facts_of(task, written, _side_by_side(float_graph, scoring, int8), outcome),
    )


def _side_by_side(float_graph: ModelProto, graph: ModelProto, int8: Int8 | None) -> SideBySide:
    every = tuple(layers(float_graph))

    def only_int8(name: str) -> bytes:
        assert int8 is not None
        return bytes(int8.quantizer.make({layer.name for layer in every} - {name}).graph.SerializeToString())

    return SideBySide(
        suffix=".onnx",
        float_model=float_graph.SerializeToString(),
        model=graph.SerializeToString(),
        layers=every,
        operators=OPERATORS,
        noise=partial(layer_sqnr, float_graph, graph),
        # a search has measured whole blocks already
        only_int8=only_int8 if int8 is not None and int8.outcome is None else None,
    )
