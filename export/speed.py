"""Which of several graphs is faster on this machine: interleaved runs, one thread, processor time."""

import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto

WARMUP = 3


def interleaved_ms(runs: Sequence[Callable[[], object]], rounds: int = 15) -> NDArray[np.float64]:
    """Return the processor time of each call in milliseconds, (runs, rounds); a round makes every call once.

    The calling thread must do all the work, so that its processor time is the latency on an idle machine, whatever else
    runs.
    """
    times = np.zeros((len(runs), rounds))
    for turn in range(-WARMUP, rounds):
        for i, run in enumerate(runs):
            started = time.thread_time()
            run()
            if turn >= 0:
                times[i, turn] = 1e3 * (time.thread_time() - started)
    return times


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
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
