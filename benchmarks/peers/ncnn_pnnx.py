"""ncnn, converted by pnnx from the form of the model that edgevit exports."""

from pathlib import Path

import numpy as np

from peers.row import Call, Floats, Job, Row

PARAM, BIN = "model.ncnn.param", "model.ncnn.bin"


def make(job: Job, folder: Path) -> None:
    import pnnx
    import torch

    from edgevit.models.layers import prepare_for_export

    network = job.network()
    prepare_for_export(network)
    # half-precision weights are pnnx's default, and would not be the same weights
    pnnx.export(network, str(folder / "model.pt"), (torch.from_numpy(job.image()),), fp16=False)
    if not (folder / PARAM).exists():
        raise RuntimeError("pnnx wrote no file for ncnn")
    for path in folder.iterdir():
        if path.name not in (PARAM, BIN):
            path.unlink()


def open_file(job: Job, folder: Path, threads: int) -> Call:
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    if net.load_param(str(folder / PARAM)) or net.load_model(str(folder / BIN)):
        raise RuntimeError("ncnn cannot load what pnnx wrote")

    def call(image: Floats) -> Floats:
        # an extractor keeps answers, so each call needs its own
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(image[0]))
        failed, logits = extractor.extract("out0")
        if failed:
            raise RuntimeError("ncnn cannot compute the model: an operator is missing")
        return np.array(logits).reshape(1, -1)

    return call


ROWS = (Row("ncnn fp32", "fp32", "pnnx", ("torch", "pnnx", "ncnn"), make, open_file),)
ABSENT = {"ncnn int8": "ncnn2table and ncnn2int8 are not part of the wheel"}
