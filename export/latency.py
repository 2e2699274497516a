"""Which of several models is faster on this machine: interleaved runs, one thread, processor time."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgevit.runtime.backends.session import open_session

WARMUP = 3


def median_latencies_ms(models: Sequence[bytes], suffix: str, rounds: int = 15) -> list[float]:
    """Return each model's median latency in milliseconds, run as the board runs it, on one thread.

    Args:
        models: contents of files of one format, with static inputs.
        suffix: of such files.
        rounds: how often each is timed.
    """
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        runs = []
        for number, model in enumerate(models):
            path = Path(folder) / f"{number}{suffix}"
            path.write_bytes(model)
            session = stack.enter_context(contextlib.closing(open_session(path, threads=1, outputs=())))
            values = np.random.default_rng(0).standard_normal(session.input_shape, np.float32)
            runs.append(partial(session.run_outputs, values))
        return [float(value) for value in np.median(interleaved_ms(runs, rounds), axis=1)]


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
