"""Calibration images made from a model's own BatchNorm statistics, where no real image is at hand.

Noise is optimized until the mean and variance at every BatchNorm's input over a batch of images are those that the
layer remembers from training (ZeroQ, arXiv 2001.00281), while each image is recognized as a class of its own and stays
smooth (DeepInversion, arXiv 1912.08795). What no BatchNorm sees, such as attention between LayerNorms, is matched only
so far as the layers around it determine it.

As a program it writes the images that are shipped beside bundled weights:

    python -m edgevit.export.data.synthesize MODEL --weights FILE --count 64 --size 64 -o FILE.npz
"""

import contextlib
import logging
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812, the name that every PyTorch user knows
from numpy.typing import NDArray
from torch import Tensor, nn

from edgevit.artifact.manifest import Preprocess
from edgevit.errors import OptionError
from edgevit.models.layers import TokenNorm
from edgevit.models.weights.resolve import build_with_weights, resolve_weights
from edgevit.models.zoo.registry import SIZE_STEP, get_spec
from edgevit.models.zoo.spec import ModelSpec
from edgevit.runtime.images.preprocess import center_box, scaled_size
from edgevit.runtime.progress import Track
from edgevit.schema import Seed, check_argument
from edgevit.system.log import show_log
from edgevit.system.program import Program
from edgevit.text import rough_time

log = logging.getLogger(__name__)

ENOUGH_IMAGES = 64
"""They set ranges as wide as as many real images do; more of them take minutes for little."""
FEWEST_IMAGES = 16
"""The statistics of fewer are too rough."""
AFFORDABLE_MACS = 10e9
"""Multiply-accumulates of one pass over all images: for more than that, fewer images are made."""
ESTIMATED_STEP = 2
"""After it, or after the one with which SOON_S are over, it is said how long all take..."""
SOON_S = 5.0
SLOW_S = 60.0
"""...to everybody if that is longer, else to those who ask for more."""
MIN_NORMS = 4
"""With fewer BatchNorm layers the statistics say too little about the images."""


@dataclass(frozen=True)
class Synthesis:
    """How the images are optimized; the weights of the terms were chosen on the bundled models."""

    steps: int = 100
    coarse: float = 0.75
    """Share of the steps, the first ones, made at half the input size, which costs a quarter."""
    rate: float = 0.05
    """Adam's, for pixel values in 0..1; falls to zero along a cosine."""
    batch: int = 64
    """Images whose statistics are matched together."""
    class_weight: float = 0.1
    """Weight of the cross-entropy with the class that each image is to be."""
    roughness_weight: float = 0.1
    """Weight of the mean absolute difference of neighbouring pixels."""
    label_smoothing: float = 0.1
    """As in training, lest the scores grow beyond those of real images."""


def affordable_images(wanted: int, spec: ModelSpec, size: tuple[int, int]) -> int:
    """Return how many images of (height, width) to make, at most `wanted`: fewer for a large model."""
    designed = spec.preprocess.size
    macs = spec.macs * (size[0] * size[1]) / (designed[0] * designed[1])
    return min(wanted, max(FEWEST_IMAGES, int(AFFORDABLE_MACS / macs)))


def synthesize_images(
    model: nn.Module,
    count: int,
    preprocessing: Preprocess,
    *,
    seed: int = 0,
    size: int | None = None,
    synthesis: Synthesis = Synthesis(),  # noqa: B008, frozen
    track: Track = lambda items, label, count: items,
) -> NDArray[np.uint8]:
    """Return `count` images (count, size, size, 3) uint8 RGB that excite the model as its training images did.

    The same arguments give the same images on the same machine with the same number of threads.

    Args:
        model: in evaluation mode, its BatchNorms not yet folded; it is left unchanged.
        count: number of images.
        preprocessing: the preprocessing that the images will go through.
        seed: of the initial noise.
        size: side of the images in pixels; that of the model's input unless given. Fewer pixels make smoother images.
        synthesis: see `Synthesis`.
        track: wraps the loops over steps, for a progress display.

    Raises:
        OptionError: the model has fewer than MIN_NORMS BatchNorm layers with statistics, or the seed is none.
    """
    seed = check_argument(Seed, seed, "seed")
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d) and m.running_mean is not None]
    if len(norms) < MIN_NORMS:
        raise OptionError(
            f"`--calibration synthesized`: the model has {len(norms)} BatchNorm layers, and images are made from their "
            "statistics; give real images with --data"
        )
    log.info("images are made to match the inputs of %d BatchNorm layers", len(norms))
    side = size or min(preprocessing.size)
    generator = torch.Generator().manual_seed(seed)
    parts = -(-count // synthesis.batch)
    images = []
    with _frozen(model):
        for part in range(parts):
            number = min(synthesis.batch, count - part * synthesis.batch)
            pixels = _initial_pixels(max(number, 2), side, generator)
            steps = track(range(synthesis.steps), "steps of calibration images", synthesis.steps)
            _optimize(model, norms, pixels, preprocessing, part * synthesis.batch, generator, synthesis, steps)
            images.append(pixels[:number])
    return (torch.cat(images) * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()


def _optimize(
    model: nn.Module,
    norms: list[nn.BatchNorm2d],
    pixels: Tensor,
    preprocessing: Preprocess,
    first: int,
    generator: torch.Generator,
    synthesis: Synthesis,
    steps: Iterable[int],
) -> None:
    """Change the pixels (B, 3, H, W), values in 0..1, in place; `first` is the number of the first image of all."""
    is_told = first > 0
    pixels.requires_grad_(True)
    optimizer = torch.optim.Adam([pixels], lr=synthesis.rate, betas=(0.5, 0.9))
    losses: list[Tensor] = []
    hooks = [
        norm.register_forward_pre_hook(lambda module, inputs: losses.append(statistics_distance(module, inputs[0])))
        for norm in norms
    ]
    try:
        started = time.monotonic()
        for step in steps:
            optimizer.param_groups[0]["lr"] = synthesis.rate * 0.5 * (1 + math.cos(math.pi * step / synthesis.steps))
            losses.clear()
            scale = preprocessing if step >= synthesis.coarse * synthesis.steps else _half(preprocessing)
            logits = model(model_input(_shifted(pixels, generator), scale))
            statistics = torch.stack(losses).mean()
            recognition = _recognition(logits, first, synthesis)
            loss = statistics + synthesis.class_weight * recognition + synthesis.roughness_weight * roughness(pixels)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            with torch.no_grad():
                pixels.clamp_(0, 1)
            passed_s = time.monotonic() - started
            if not is_told and (step >= ESTIMATED_STEP or passed_s >= SOON_S):
                is_told = True
                _tell_estimate(passed_s / (step + 1), synthesis)
            if step % 20 == 0 or step + 1 == synthesis.steps:
                log.info("step %d: statistics %.4f, recognition %.3f", step + 1, statistics.item(), recognition.item())
    finally:
        for hook in hooks:
            hook.remove()
    pixels.requires_grad_(False)


def _tell_estimate(coarse_s: float, synthesis: Synthesis) -> None:
    """Say how long all steps take, judged by a first one, which costs a quarter of a later one."""
    all_s = synthesis.steps * coarse_s * (synthesis.coarse + 4 * (1 - synthesis.coarse))
    level = logging.WARNING if all_s >= SLOW_S else logging.INFO
    log.log(level, "making calibration images takes about %s", rough_time(all_s))


def _recognition(logits: Tensor | tuple[Tensor, ...], first: int, synthesis: Synthesis) -> Tensor:
    """Return how badly logits (B, classes) recognize a class each, in turn.

    0 for maps and for a detector's answers, as any classes may be shown.
    """
    if isinstance(logits, tuple) or logits.ndim != 2:
        return torch.zeros(())
    wanted = torch.arange(first, first + len(logits)) % logits.shape[1]
    return F.cross_entropy(logits, wanted, label_smoothing=synthesis.label_smoothing)


def _half(preprocessing: Preprocess) -> Preprocess:
    """Return the preprocessing for half the input size, rounded up to what the models take."""
    height, width = (-(-side // (2 * SIZE_STEP)) * SIZE_STEP for side in preprocessing.size)
    return replace(preprocessing, size=(height, width))


def statistics_distance(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """Return how far the statistics of what a layer is given are from its own, as a mean over channels.

    x is (B, C, H, W), for a TokenNorm (B, N, C).

    Squared difference of means in units of the remembered deviation, plus squared logarithm of the ratio of deviations.
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    channels = -1 if isinstance(norm, TokenNorm) else 1
    variance, mean = torch.var_mean(x.movedim(channels, 0).flatten(1), dim=1, correction=0)
    expected = norm.running_var + norm.eps
    shift = (mean - norm.running_mean).square() / expected
    spread = 0.5 * torch.log((variance + norm.eps) / expected)
    return (shift + spread.square()).mean()


def roughness(pixels: Tensor) -> Tensor:
    """Return the mean absolute difference of neighbouring pixels of (B, 3, H, W)."""
    return pixels.diff(dim=2).abs().mean() + pixels.diff(dim=3).abs().mean()


def model_input(pixels: Tensor, preprocessing: Preprocess) -> Tensor:
    """Preprocess pixels (B, 3, H, W) in 0..1 as the runtime does, but differentiably: (B, 3, height, width)."""
    size = scaled_size((pixels.shape[2], pixels.shape[3]), preprocessing)
    if size != tuple(pixels.shape[2:]):
        pixels = F.interpolate(pixels, size, mode=preprocessing.interpolation, antialias=True).clamp(0, 1)
    if preprocessing.crop_mode == "letterbox":
        free = [wanted - side for wanted, side in zip(preprocessing.size, size, strict=True)]
        pixels = F.pad(pixels, (0, free[1], 0, free[0]), value=preprocessing.fill / 255)
    else:
        box = center_box(size, preprocessing.size)
        pixels = pixels[:, :, box.top : box.top + box.height, box.left : box.left + box.width]
    values = (pixels - torch.tensor(preprocessing.mean)[:, None, None]) / torch.tensor(preprocessing.std)[:, None, None]
    return values.flip(1) if preprocessing.channels == "BGR" else values


def _initial_pixels(count: int, side: int, generator: torch.Generator) -> Tensor:
    """Return noise (count, 3, side, side) in 0..1, as strong at every scale, as photographs are roughly."""
    octaves = [max(1, side >> octave) for octave in range(6)]
    noise = sum(
        F.interpolate(torch.randn(count, 3, s, s, generator=generator), (side, side), mode="bilinear") for s in octaves
    )
    assert isinstance(noise, Tensor)
    return (0.45 + 0.1 * noise).clamp(0, 1).contiguous()


def _shifted(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Return the images moved by up to an eighth, around the edge, and mirrored half of the time."""
    reach = pixels.shape[-1] // 8
    down, right = torch.randint(-reach, reach + 1, (2,), generator=generator).tolist()
    moved = pixels.roll((down, right), dims=(2, 3))
    return moved.flip(3) if torch.rand((), generator=generator) < 0.5 else moved


@contextlib.contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """Keep the weights out of the gradient for a while."""
    needed = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in needed:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in needed:
            parameter.requires_grad_(True)


@click.command(cls=Program)
@click.argument("model")
@click.option("--weights", metavar="FILE|NAME", help="As for `edgevit export`.")
@click.option("--count", type=click.IntRange(2), default=ENOUGH_IMAGES, show_default=True, help="Number of images.")
@click.option("--size", type=click.IntRange(32), help="Side of the images in pixels.  [default: the model's input]")
@click.option(
    "--steps", type=click.IntRange(1), default=Synthesis.steps, show_default=True, help="Steps of optimization."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="File to write, .npz.")
def main(model: str, weights: str | None, count: int, size: int | None, steps: int, seed: int, output: Path) -> None:
    """Write calibration images for MODEL as `images`, uint8 (COUNT, SIZE, SIZE, 3) RGB."""
    show_log(logging.INFO)
    spec = get_spec(model)
    resolved = resolve_weights(spec, weights)
    images = synthesize_images(
        build_with_weights(spec, resolved).eval(),
        count,
        resolved.preprocess,
        seed=seed,
        size=size,
        synthesis=Synthesis(steps=steps),
    )
    np.savez_compressed(output, images=images)


if __name__ == "__main__":
    main()
