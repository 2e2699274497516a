"""Which of several TFLite models is faster on this machine: interleaved runs, one thread, medians of processor time."""

import time
from collections.abc import Sequence

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edgevit.export.speed import WARMUP


def median_latencies_ms(models: Sequence[bytes], rounds: int = 15) -> list[float]:
    """Return each model's median latency in milliseconds; see `edgevit.export.speed.median_latencies_ms`."""
    interpreters = []
    for model in models:
        interpreter = Interpreter(model_content=model, num_threads=1)
        interpreter.allocate_tensors()
        source = interpreter.get_input_details()[0]
        values = np.random.default_rng(0).standard_normal(source["shape"], np.float32)
        if source["dtype"] is not np.float32:
            limits = np.iinfo(source["dtype"])
            values = np.clip(64 * values + (limits.min + limits.max) // 2, limits.min, limits.max)
        interpreter.set_tensor(source["index"], values.astype(source["dtype"]))
        interpreters.append(interpreter)
    times = np.zeros((len(models), rounds))
    for turn in range(-WARMUP, rounds):
        for i, interpreter in enumerate(interpreters):
            started = time.thread_time()
            interpreter.invoke()
            if turn >= 0:
                times[i, turn] = time.thread_time() - started
    return [float(value) for value in np.median(times, axis=1) * 1e3]
