"""PyTorch, eager and compiled."""

import os
from pathlib import Path

from peers.row import Call, Floats, Job, Row, nothing_to_make


def open_eager(job: Job, folder: Path, threads: int) -> Call:
    import torch

    torch.set_num_threads(threads)
    network = job.network()

    def call(image: Floats) -> Floats:
        with torch.inference_mode():
            logits: Floats = network(torch.from_numpy(image)).numpy()
            return logits

    return call


def open_compiled(job: Job, folder: Path, threads: int) -> Call:
    os.environ["TORCHINDUCTOR_FREEZING"] = "1"  # weights are constants
    import torch

    torch.set_num_threads(threads)
    network = torch.compile(job.network())

    def call(image: Floats) -> Floats:
        with torch.no_grad():
            logits: Floats = network(torch.from_numpy(image)).numpy()
            return logits

    return call


ROWS = (
    Row("PyTorch eager", "fp32", "inference mode", ("torch",), nothing_to_make, open_eager),
    Row("torch.compile", "fp32", "inductor, weights frozen", ("torch",), nothing_to_make, open_compiled),
)
