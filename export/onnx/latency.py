"""Which of several graphs is faster on this machine: interleaved runs, one thread, processor time."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import onnxruntime as ort
from onnx import ModelProto

from edgevit.export.latency import interleaved_ms


def median_latencies_ms(models: Sequence[ModelProto], rounds: int = 15) -> list[float]:
    """Return each graph's median latency in milliseconds, on one thread.

    Args:
        models: graphs with one static float32 input.
        rounds: how often each is timed.
    """
    runs = []
    for session in map(_session, models):
        (source,) = session.get_inputs()
        values = np.random.default_rng(0).standard_normal(source.shape, np.float32)
        runs.append(partial(session.run, None, {source.name: values}))
    return [float(value) for value in np.median(interleaved_ms(runs, rounds), axis=1)]


def _session(model: ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    # as in edgevit.runtime.backends.onnx
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
