"""How far each step of an export moves the answers from PyTorch's, and whether that is close enough."""

import contextlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from edgevit.artifact.manifest import Parity, Precision, Preprocess
from edgevit.errors import GateError
from edgevit.export.data.images import ImageSet
from edgevit.export.recipe import SUFFIXES
from edgevit.runtime.backends.session import open_session
from edgevit.runtime.progress import Track


@dataclass(frozen=True)
class Gate:
    """The least that an exported model must agree with PyTorch."""

    relative: float | None
    """Largest difference of a logit, as a share of 1 + |logit|; None: not asked for."""
    cosine: float
    top1_agreement: float


GATES: dict[Precision, Gate] = {
    "fp32": Gate(relative=1e-4, cosine=0.99999, top1_agreement=1.0),
    "fp16": Gate(relative=None, cosine=0.999, top1_agreement=0.98),
    "dynamic": Gate(relative=None, cosine=0.98, top1_agreement=0.95),
    "int8": Gate(relative=None, cosine=0.95, top1_agreement=0.9),
}


PIXEL_GATES: dict[Precision, Gate] = {**GATES, "fp32": Gate(relative=1e-4, cosine=0.99999, top1_agreement=0.999)}
"""For segmentation: of some million pixels a few lie between two classes."""


NOISE_ALLOWED = 4.0
"""Allowed differences of logits in float32, in multiples of PyTorch's own from float64.

A graph that rounds as well as PyTorch, but in another order, lies as far from the exact answer as PyTorch does, so that
the two are up to twice as far from each other. The largest of few differences is met by chance: twice that again.
"""
REPORT = "these weights ask for more than float32 gives, or edgevit is at fault: please report it with the weights"
REMEDIES = {
    "simplification": "try --no-simplify",
    "tanh GELU": "leave out --gelu tanh",
    "fp16": "export without --half",
    "int8": "give --data photos/ of your own, --max-drop 1, or export with --half",
    "dynamic": "give --precision int8 with --data photos/ of your own, or export with --half",
}
"""What to do about a step that moves the answers too far; of the others REPORT."""


def compare(step: str, reference: NDArray[np.float32], logits: NDArray[np.float32]) -> Parity:
    """Compare logits (images, classes) or (images, classes, h, w) with PyTorch's.

    Cosine and agreement are means over images, or over all pixels.
    """
    images, reference, logits = len(reference), answers(reference), answers(logits)
    norms = np.linalg.norm(reference, axis=1) * np.linalg.norm(logits, axis=1)
    cosines = np.einsum("nc,nc->n", reference, logits) / np.maximum(norms, np.finfo(np.float32).tiny)
    return Parity(
        step=step,
        max_abs=float(np.abs(reference - logits).max()),
        cosine=float(cosines.mean()),
        top1_agreement=float((reference.argmax(1) == logits.argmax(1)).mean()),
        images=images,
    )


def answers(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (answers, classes): an image's one answer, or those of all its pixels."""
    return np.moveaxis(logits, 1, -1).reshape(-1, logits.shape[1])


def check_numbers(logits: NDArray[np.float32], numbers: NDArray[np.float32]) -> None:
    """Raise GateError unless class numbers (images, 1, h, w) are the best classes of logits, but for equals."""
    equal = float((logits.argmax(axis=1) == numbers[:, 0]).mean())
    if equal < PIXEL_GATES["fp32"].top1_agreement:
        raise GateError(f"after argmax {equal:.1%} of the pixels have their best class; the export was not written")


def check(
    parity: Parity,
    precision: Precision,
    reference: NDArray[np.float32],
    *,
    trained: bool,
    noise: Callable[[], float] = lambda: 0.0,
) -> None:
    """Raise GateError if a step's result is not finite, or agrees with PyTorch less than its precision's gate asks.

    Of untrained models in 8 bits only finite answers are asked: their logits lie too close together to agree on.

    Args:
        parity: of the step.
        precision: in which its result computes.
        reference: PyTorch's logits in float32.
        trained: whether the weights are.
        noise: how far these are from PyTorch's in float64; asked for only where the gate's own figure is not met.
    """
    gate = (GATES if reference.ndim == 2 else PIXEL_GATES)[precision]
    if not np.isfinite(parity.max_abs):
        raise GateError(f"after {parity.step} the model answers NaN or infinity; the export was not written")
    if precision in ("int8", "dynamic") and not trained:
        return
    bound = None if gate.relative is None else gate.relative * (1 + float(np.abs(reference).max()))
    if bound is not None and parity.max_abs > bound:
        rounding = noise()
        allowed = max(bound, NOISE_ALLOWED * rounding)
        if parity.max_abs > allowed:
            share = parity.max_abs / (float(np.ptp(reference)) or 1.0)
            about = f" (PyTorch's own rounding in float32 is {rounding:.1g})" if rounding else ""
            found = f"logits differ by up to {parity.max_abs:.2g}, allowed is {allowed:.2g}{about}"
            _fail(parity, f"{found}; that is {share:.1%} of their range")
    if parity.cosine < gate.cosine:
        _fail(parity, f"the logits' cosine is {parity.cosine:.4f}, at least {gate.cosine} is asked")
    if parity.top1_agreement < gate.top1_agreement:
        of = "" if reference.ndim == 2 else "the pixels of "
        found = f"{parity.top1_agreement:.1%} of {of}{parity.images} images keep their class"
        _fail(parity, f"{found}, at least {gate.top1_agreement:.0%} is asked")


def _fail(parity: Parity, what: str) -> None:
    raise GateError(
        f"after {parity.step} the model no longer answers as PyTorch does: {what}; the export was not written; "
        f"{REMEDIES.get(parity.step, REPORT)}"
    )


def run_graph(graph: ModelProto, images: ImageSet, preprocessing: Preprocess) -> NDArray[np.float32]:
    """Return the answers, one for each image, that the board's runtime gets from an ONNX graph."""
    return run_file(graph.SerializeToString(), SUFFIXES["onnx"], images, preprocessing)


def run_file(
    content: bytes,
    suffix: str,
    images: ImageSet,
    preprocessing: Preprocess,
    batch: int = 1,
    track: Track = lambda items, label, count: items,
) -> NDArray[np.float32]:
    """Return the answers, one for each image, that the board's runtime gets from a file's content.

    Args:
        content: the file's.
        suffix: by which its format is told.
        images: what it is asked about.
        preprocessing: what is to be done before the model.
        batch: how many images are read and given at a time.
        track: wraps the loop over batches, for a progress display.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = (Path(folder) / "step").with_suffix(suffix)
        path.write_bytes(content)
        with contextlib.closing(open_session(path, rank=None)) as session:
            inputs = track(images.inputs(preprocessing, batch), "answers", -(-len(images.images) // batch))
            return np.concatenate([session.run(one) for one in inputs])[: len(images.images)]
