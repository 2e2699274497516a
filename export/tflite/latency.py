"""Which of several TFLite models is faster on this machine: interleaved runs, one thread, processor time."""

from collections.abc import Sequence

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edgevit.export.latency import interleaved_ms


def median_latencies_ms(models: Sequence[bytes]) -> list[float]:
    """Return each model's median latency in milliseconds; see `edgevit.export.onnx.latency.median_latencies_ms`."""
    runs = []
    for model in models:
        interpreter = Interpreter(model_content=model, num_threads=1)
        interpreter.allocate_tensors()
        source = interpreter.get_input_details()[0]
        values = np.random.default_rng(0).standard_normal(source["shape"], np.float32)
        if source["dtype"] is not np.float32:
            limits = np.iinfo(source["dtype"])
            values = np.clip(64 * values + (limits.min + limits.max) // 2, limits.min, limits.max)
        interpreter.set_tensor(source["index"], values.astype(source["dtype"]))
        runs.append(interpreter.invoke)
    return [float(value) for value in np.median(interleaved_ms(runs), axis=1)]
