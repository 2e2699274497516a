"""Interleaved runs: processor time of each, one thread."""

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

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
