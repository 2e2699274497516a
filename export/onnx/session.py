"""An ONNX graph open in ONNX Runtime, for the exporter to look into."""

from pathlib import Path

import onnxruntime as ort

from edgevit.runtime.backends.onnx import session_options


def open_graph(
    model: bytes,
    *,
    threads: int = 0,
    level: ort.GraphOptimizationLevel = ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
    optimized: Path | None = None,
) -> ort.InferenceSession:
    """Open a model that is in memory.

    Args:
        model: the content of an ONNX file.
        threads: how many to use; 0 for one on each core.
        level: how far the runtime may change the graph.
        optimized: where to write the graph as it is changed.
    """
    options = session_options(threads)
    options.graph_optimization_level = level
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
