"""Which of several graphs is faster on this machine: interleaved runs, one thread, medians."""

import time
from collections.abc import Sequence

import numpy as np
import onnxruntime as ort
from onnx import ModelProto

WARMUP = 3


def median_latencies_ms(models: Sequence[ModelProto | str], rounds: int = 15, threads: int = 1) -> list[float]:
    """Return each model's median latency in milliseconds; a round runs every model once, so that noise falls on all.

    Models are graphs or paths of ONNX files with one static float32 input.
    """
    sessions = [_session(model, threads) for model in models]
    inputs = [
        {source.name: np.random.default_rng(0).standard_normal(source.shape, np.float32)}
        for session in sessions
        for source in session.get_inputs()
    ]
    times = np.zeros((len(sessions), rounds))
    for turn in range(-WARMUP, rounds):
        for i, session in enumerate(sessions):
            started = time.perf_counter()
            session.run(None, inputs[i])
            if turn >= 0:
                times[i, turn] = time.perf_counter() - started
    return [float(value) for value in np.median(times, axis=1) * 1e3]


def _session(model: ModelProto | str, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    content = model if isinstance(model, str) else model.SerializeToString()
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
