"""How far a finished file is from PyTorch, in a line."""

from edgevit.artifact.manifest import Manifest


def describe_parity(manifest: Manifest) -> str:
    """Return what the last step of the export kept of PyTorch's answers."""
    last = manifest.parity[-1]
    if last.boxes is None:
        of = "the pixels of " if manifest.pixels else ""
        return (
            f"{last.top1_agreement:.1%} of {of}{last.images} images {last.source} get PyTorch's class, "
            f"cosine of logits {last.cosine:.4f}, largest difference {last.max_abs:.2g}"
        )
    raw = f"raw numbers differ by up to {last.max_abs:.2g}, cosine {last.cosine:.4f}"
    if not last.boxes.found:
        return f"PyTorch finds no box on {last.images} images {last.source}; {raw}"
    return (
        f"{last.top1_agreement:.1%} of PyTorch's {last.boxes.found} boxes on {last.images} images {last.source} are "
        f"found again, {last.boxes.new} new; sides move by up to {last.boxes.shift_px:.2g} pixels, scores by "
        f"{last.boxes.score_difference:.2g}; {raw}"
    )
