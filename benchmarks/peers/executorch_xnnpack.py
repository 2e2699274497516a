"""ExecuTorch with XNNPACK, float and quantized by its own quantizer."""

from pathlib import Path
from typing import Any

from peers.row import Call, Floats, Job, Row

FILE = "model.pte"


def make_float(job: Job, folder: Path) -> None:
    import torch

    _lower(job.network(), (torch.from_numpy(job.image()),), folder)


def make_int8(job: Job, folder: Path) -> None:
    import torch
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    example = (torch.from_numpy(job.image()),)
    exported = torch.export.export(job.network(), example).module()
    quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(exported, quantizer)
    with torch.no_grad():
        for image in job.calibration():
            prepared(torch.from_numpy(image[None]))
    _lower(convert_pt2e(prepared), example, folder)


def _lower(network: Any, example: tuple[Any, ...], folder: Path) -> None:
    import torch
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    exported = torch.export.export(network, example)
    program = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()]).to_executorch()
    (folder / FILE).write_bytes(program.buffer)


def open_file(job: Job, folder: Path, threads: int) -> Call:
    import torch
    from executorch.extension.pybindings import portable_lib
    from executorch.runtime import Runtime

    torch.set_num_threads(threads)
    portable_lib._unsafe_reset_threadpool(threads)
    method = Runtime.get().load_program(folder / FILE).load_method("forward")
    if portable_lib._threadpool_get_thread_count() != threads:
        raise RuntimeError(f"its pool has {portable_lib._threadpool_get_thread_count()} threads, not {threads}")

    def call(image: Floats) -> Floats:
        logits: Floats = method.execute([torch.from_numpy(image)])[0].numpy().copy()
        return logits

    return call


FLOAT = ("torch", "executorch")
ROWS = (
    Row("ExecuTorch fp32", "fp32", "XNNPACK", FLOAT, make_float, open_file),
    Row("ExecuTorch int8", "int8", "XNNPACKQuantizer, per channel", (*FLOAT, "torchao"), make_int8, open_file),
)
