"""Which of several ONNX models is faster on this machine: interleaved runs, one thread, processor time."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from edgevit.export.latency import interleaved_ms
from edgevit.export.onnx.session import open_graph


def median_latencies_ms(models: Sequence[bytes], rounds: int = 15) -> list[float]:
    """Return each model's median latency in milliseconds, on one thread.

    Args:
        models: with one static float32 input.
        rounds: how often each is timed.
    """
    runs = []
    for model in models:
        session = open_graph(model, threads=1)
        (source,) = session.get_inputs()
        values = np.random.default_rng(0).standard_normal(source.shape, np.float32)
        runs.append(partial(session.run, None, {source.name: values}))
    return [float(value) for value in np.median(interleaved_ms(runs, rounds), axis=1)]
