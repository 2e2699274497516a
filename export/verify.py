"""How far each step of an export moves the answers from PyTorch's, and whether that is close enough."""

import contextlib
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto
from torch import Tensor, nn

from edgevit.artifact.manifest import Parity, Precision, Preprocess
from edgevit.errors import GateError
from edgevit.export.data.images import ImageSet
from edgevit.export.recipe import SUFFIXES, Recipe
from edgevit.export.tasks.answers import PIXEL_GATES, AnswerForm, Answers
from edgevit.runtime.backends.session import open_session
from edgevit.runtime.progress import Track

MOST_BYTES = 2**28
"""Most memory that the answers of one model to all images may take."""

NOISE_ALLOWED = 4.0
"""Allowed differences of answers in float32, in multiples of PyTorch's own from float64.

A graph that rounds as well as PyTorch, but in another order, lies as far from the exact answer as PyTorch does, so that
the two are up to twice as far from each other. The largest of few differences is met by chance: twice that again.
"""
REPORT = "these weights ask for more than float32 gives, or edgevit is at fault: please report it with the weights"
REMEDIES = {
    "simplification": "try --no-simplify",
    "tanh GELU": "leave out --gelu tanh",
    "fp16": "export without --half",
    "dynamic": "give --precision int8 with --data photos/ of your own, or export with --half",
}
"""What to do about a step that moves the answers too far; about int8 see `remedy_of`, about the others REPORT."""


def remedy_of(step: str, recipe: Recipe, *, labelled: bool, judged: bool = False) -> str:
    """Return what to do about a step that moves the answers too far, which is never what was done already.

    Args:
        step: by name.
        recipe: what was asked for.
        labelled: whether it is known what is on the pictures that judge.
        judged: whether they have shown that --max-drop is kept.
    """
    if step != "int8":
        return REMEDIES.get(step, REPORT)
    if recipe.data is None:
        instead = ", in place of `--calibration synthesized`" if recipe.synthesized else ""
        if recipe.max_drop is not None:
            return f"give labelled photos of your own by --data photos/{instead}, or export with --half"
        return f"give --data photos/ of your own{instead}, --max-drop 1, or export with --half"
    if recipe.max_drop is None:
        return "give --max-drop 1, or export with --half"
    if not labelled:
        return (
            "label the pictures of --data, so that --max-drop counts right answers in place of equal ones, or export "
            "with --half"
        )
    return "give a smaller --max-drop, or export with --half" if judged else "export with --half"


def check_numbers(logits: NDArray[np.float32], numbers: NDArray[np.float32]) -> None:
    """Raise GateError unless class numbers (images, 1, h, w) are the best classes of logits, but for equals."""
    equal = float((logits.argmax(axis=1) == numbers[:, 0]).mean())
    if equal < PIXEL_GATES["fp32"].agreement:
        raise GateError(f"after argmax {equal:.1%} of the pixels have their best class; the export was not written")


def check(
    form: AnswerForm,
    parity: Parity,
    precision: Precision,
    reference: Answers,
    *,
    trained: bool,
    judged: bool = False,
    noise: Callable[[], float] = lambda: 0.0,
    remedy: str = REPORT,
) -> None:
    """Raise GateError if a step's result is not finite, or agrees with PyTorch less than its precision's gate asks.

    Of untrained models in 8 bits only finite answers are asked: their numbers lie too close together to agree on.

    Args:
        form: what the answers mean.
        parity: of the step.
        precision: in which its result computes.
        reference: PyTorch's answers in float32.
        trained: whether the weights are.
        judged: whether what is known to be on pictures has shown the result to be good enough; how many answers are the
            same is then not asked, as a model that is often unsure changes many of them and is right as often.
        noise: how far these are from PyTorch's in float64; asked for only where the gate's own figure is not met.
        remedy: what a user may do about a result that is refused.
    """
    gate = form.gates[precision]
    if not np.isfinite(parity.max_abs):
        raise GateError(f"after {parity.step} the model answers NaN or infinity; the export was not written")
    if precision in ("int8", "dynamic") and not trained:
        return
    bound = None if gate.relative is None else gate.relative * form.unit(reference)
    if bound is not None and parity.max_abs > bound:
        rounding = noise()
        allowed = max(bound, NOISE_ALLOWED * rounding)
        if parity.max_abs > allowed:
            share = parity.max_abs / (float(np.ptp(reference)) or 1.0)
            about = f" (PyTorch's own rounding in float32 is {rounding:.1g})" if rounding else ""
            found = f"{form.numbers} differ by up to {parity.max_abs:.2g}, allowed is {allowed:.2g}{about}"
            _fail(parity, f"{found}; that is {share:.1%} of their range", remedy)
    if parity.cosine < gate.cosine:
        _fail(parity, f"the {form.numbers}' cosine is {parity.cosine:.4f}, at least {gate.cosine} is asked", remedy)
    if not judged and (lost := form.shortfall(parity, gate)) is not None:
        _fail(parity, lost, remedy)


def _fail(parity: Parity, what: str, remedy: str) -> None:
    raise GateError(
        f"after {parity.step} the model no longer answers as PyTorch does: {what}; the export was not written; {remedy}"
    )


def run_torch(model: nn.Module, inputs: Iterable[NDArray[np.float32]]) -> Answers:
    """Return PyTorch's answers to inputs (B, 3, H, W), in the precision of the model's weights."""
    dtype = next(model.parameters()).dtype
    with torch.inference_mode():
        return np.concatenate([_joined(model(torch.from_numpy(batch).to(dtype))) for batch in inputs])


def _joined(outputs: Tensor | tuple[Tensor, ...]) -> Answers:
    answers: Answers = (outputs if isinstance(outputs, Tensor) else torch.cat(outputs, dim=-1)).numpy()
    return answers


def fitting_answers(model: nn.Module, size: tuple[int, int]) -> int:
    """Return how many images' answers fit into MOST_BYTES, for inputs of (height, width) pixels."""
    return max(1, MOST_BYTES // run_torch(model, [np.zeros((1, 3, *size), np.float32)]).nbytes)


def run_graph(graph: ModelProto, images: ImageSet, preprocessing: Preprocess) -> Answers:
    """Return the answers, one for each image, that the board's runtime gets from an ONNX graph."""
    return run_file(graph.SerializeToString(), SUFFIXES["onnx"], images, preprocessing)


def run_file(
    content: bytes,
    suffix: str,
    images: ImageSet,
    preprocessing: Preprocess,
    batch: int = 1,
    track: Track = lambda items, label, count: items,
) -> Answers:
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
        with contextlib.closing(open_session(path, outputs=())) as session:
            inputs = track(images.inputs(preprocessing, batch), "answers", -(-len(images.images) // batch))
            answers = [np.concatenate(session.run_outputs(one), axis=-1) for one in inputs]
            return np.concatenate(answers)[: len(images.images)]
