"""Which of several graphs is faster on this machine: interleaved runs, one thread, medians of processor time."""

import time
from collections.abc import Sequence

import numpy as np
import onnxruntime as ort
from onnx import ModelProto

WARMUP = 3


def median_latencies_ms(models: Sequence[ModelProto], rounds: int = 15) -> list[float]:
    """Return each graph's median latency in milliseconds, on one thread; a round runs every graph once.

    The calling thread does all the work, so its processor time is the latency on an idle machine, whatever else runs.

    Args:
        models: graphs with one static float32 input.
        rounds: how often each is timed.
    """
    sessions = [_session(model) for model in models]
    inputs = [
        {source.name: np.random.default_rng(0).standard_normal(source.shape, np.float32)}
        for session in sessions
        for source in session.get_inputs()
    ]
    times = np.zeros((len(sessions), rounds))
    for turn in range(-WARMUP, rounds):
        for i, session in enumerate(sessions):
            started = time.thread_time()
            session.run(None, inputs[i])
            if turn >= 0:
                times[i, turn] = time.thread_time() - started
    return [float(value) for value in np.median(times, axis=1) * 1e3]


def _session(model: ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
