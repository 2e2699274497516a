"""Prepared model to ONNX: trace, simplify, then half precision or int8, each step compared with PyTorch."""

from functools import partial

from onnx import ModelProto

from edgevit.artifact.manifest import Input
from edgevit.export.onnx.argmax import with_argmax
from edgevit.export.onnx.artifact import artifact_bytes
from edgevit.export.onnx.calibrate import calibrate
from edgevit.export.onnx.detections import with_joined_boxes, with_normalization, with_suppression
from edgevit.export.onnx.graph import layers
from edgevit.export.onnx.half import store_half
from edgevit.export.onnx.layer_noise import layer_sqnr
from edgevit.export.onnx.quantize import OPERATORS, PRESETS, OnnxQuantizer, calibrated_tensors
from edgevit.export.onnx.simplify import simplify
from edgevit.export.onnx.trace import INPUT, trace
from edgevit.export.quantization.int8 import make_int8
from edgevit.export.recipe import SUFFIXES
from edgevit.export.result import Comparison, ConvertedModel
from edgevit.export.stage import ConversionJob
from edgevit.export.verify import check_numbers, run_graph

PACKAGES = ("torch", "onnx", "onnxscript", "onnxsim", "onnxruntime", "numpy", "opencv-python-headless")


def make(job: ConversionJob) -> ConvertedModel:
    """Return the model as an ONNX graph, as the recipe asks.

    Raises:
        EdgevitError: of a kind that says what is wrong; GateError if a step does not agree with PyTorch.
    """
    recipe, verified, preprocessing = job.recipe, job.images.verification, job.preprocessing
    float_graph = trace(job.model, job.shape, recipe.opset, job.form.outputs)
    job.verify("tracing", run_graph(float_graph, verified, preprocessing))
    if recipe.simplify:
        float_graph = simplify(float_graph)
        job.verify("simplification", run_graph(float_graph, verified, preprocessing))

    float_model, graph, int8 = float_graph.SerializeToString(), float_graph, None
    if recipe.precision == "fp16":
        graph = store_half(float_graph)
    elif recipe.precision == "int8":
        find_ranges = partial(calibrate, float_graph, calibrated_tensors(float_graph))
        quantizer = partial(OnnxQuantizer, float_graph, scheme=recipe.int8_scheme, preset=PRESETS[job.family])
        int8 = make_int8(job, float_model, preprocessing, find_ranges, quantizer)
        # what stays float, such as attention biases, is a tenth of the file and needs no more than half precision
        graph = store_half(ModelProto.FromString(int8.content))
    if recipe.precision != "fp32":
        judged = int8 is not None and int8.judged
        job.verify(recipe.precision, run_graph(graph, verified, preprocessing), recipe.precision, judged=judged)
    scoring, meaning = graph, job.boxes
    if recipe.nms or recipe.layout == "frigate":
        assert meaning is not None
        decoded = with_suppression if recipe.nms else with_joined_boxes
        graph, meaning = decoded(graph, meaning, job.preprocessing.size)
    normalized = recipe.layout == "frigate"
    if normalized:
        graph = with_normalization(graph, job.preprocessing)
    if recipe.argmax:
        logits, graph = run_graph(graph, verified, preprocessing), with_argmax(graph)
        check_numbers(logits, run_graph(graph, verified, preprocessing))

    return ConvertedModel(
        content=graph.SerializeToString(),
        seal=artifact_bytes,
        input=Input(INPUT, job.shape, color=job.preprocessing.channels, normalized_in_graph=normalized),
        boxes=meaning,
        packages=PACKAGES,
        comparison=Comparison(
            suffix=SUFFIXES["onnx"],
            float_model=float_model,
            model=scoring.SerializeToString(),
            layers=tuple(layers(float_graph)),
            operators=OPERATORS,
            noise=partial(layer_sqnr, float_graph, scoring),
            form=job.form,
            # a search has measured whole blocks already
            only_int8=int8.quantizer.alone if int8 and int8.outcome is None else None,
        ),
        quantization=int8.quantization if int8 else None,
        outcome=int8.outcome if int8 else None,
    )
