"""A detector and its int8 forms on the pictures of a data set that it did not learn from, in one table.

    python benchmarks/detection.py NAME --weights FILE --data DIR [--imgsz 256x320] [--format onnx --format tflite]

Each form is exported as by `edgevit export`, calibrated on DIR's training part, or with --bundled on the pictures that
bundled weights bring, then judged as `edgevit validate` does: AP and AP50 in points, by how much counts are wrong at
the file's threshold, all classes together, and the share of boxes that the first form found too. Below, the same for
each class. For BCCD and the aquarium, unpack their archives and give the folders.
"""

import tempfile
from pathlib import Path

import click

import edgevit
from edgevit.artifact.manifest import read_manifest
from edgevit.cli.options import size as read_size
from edgevit.device_profiles import find_profile
from edgevit.export.estimate.estimate import MHZ, THREADS, estimate
from edgevit.export.pipeline import export
from edgevit.export.recipe import SUFFIXES, Format, Recipe
from edgevit.runtime.evaluation.detection import DetectionQuality, DetectionValidation
from edgevit.system.program import Program

FORMATS: tuple[Format, ...] = ("onnx", "tflite")


@click.command(cls=Program, help=__doc__)
@click.argument("model")
@click.option("--weights", help="As for `edgevit export`.")
@click.option("--bundled", is_flag=True, help="Calibrate as `edgevit export` does without --data.")
@click.option("--data", required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--imgsz", help="Input size, N or HxW.")
@click.option("--format", "formats", multiple=True, type=click.Choice(FORMATS), default=FORMATS, show_default=True)
@click.option("--threshold", multiple=True, help="As for `edgevit validate`.")
def main(
    model: str,
    weights: str | None,
    bundled: bool,
    data: Path,
    imgsz: str | None,
    formats: tuple[Format, ...],
    threshold: tuple[str, ...],
) -> None:
    size = None if imgsz is None else read_size(imgsz)
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for format_ in formats:
            for precision in ("fp32", "int8"):
                path = Path(folder, f"{format_}-{precision}{SUFFIXES[format_]}")
                calibrating = None if bundled else data
                recipe = Recipe(
                    model, weights=weights, data=calibrating, imgsz=size, format=format_, precision=precision
                )
                click.echo(f"exporting {format_} {precision}", err=True)
                export(recipe, path)
                files[f"{format_} {precision}"] = path
        found = edgevit.validate([*files.values()], data, task="detect", threshold=threshold)
        rows = zip(files.items(), found.models, strict=True)
        click.echo(f"{model}, {found.data}: {found.judged.text}")
        head = f"{'MB':>6} {'int8 %':>6} {'Pi 4 ms':>7} {'AP':>6} {'drop':>5} {'AP50':>6} {'drop':>5}"
        click.echo(f"{'file':14} {head} {'wrong by':>8} {'more':>7} {'bias':>6} {'same boxes':>10}")
        for (name, path), quality in rows:
            click.echo(f"{name:14} {of_file(path)} {of_answers(quality, found.models[0])}")
    classes(found, list(files))


def of_file(path: Path) -> str:
    """Return size, share of the arithmetic that is int8, and estimated time."""
    manifest = read_manifest(path)
    assert manifest is not None
    share = 0 if manifest.quantization is None else manifest.quantization.int8_mac_share
    guess = estimate(path, find_profile("rpi4"), threads=THREADS, mhz=MHZ)
    return f"{path.stat().st_size / 1e6:6.2f} {100 * share:6.1f} {guess.ms:7.0f}"


def of_answers(quality: DetectionQuality, first: DetectionQuality) -> str:
    """Return average precisions, counts, and how much worse each is than the first form's."""
    parts = []
    for name in ("ap", "ap50"):
        own, other = (100 * (getattr(one.precision, name) or 0) for one in (quality, first))
        parts.append(f"{own:6.2f} {other - own:5.2f}")
    assert quality.counts is not None
    assert first.counts is not None
    own, other = quality.counts.total, first.counts.total
    more = own.error / other.error - 1 if other.error else 0
    same = 1 if quality.agreement is None else quality.agreement.share
    return f"{' '.join(parts)} {own.error:8.2f} {more:+7.1%} {own.bias:+6.2f} {same:10.1%}"


def classes(found: DetectionValidation, names: list[str]) -> None:
    """Print each class's figures, by form."""
    for i, label in enumerate(found.labels):
        click.echo(f"\n{label}")
        for name, quality in zip(names, found.models, strict=True):
            assert quality.counts is not None
            assert quality.precision is not None
            one = quality.counts.per_class[i]
            ap, ap50 = (100 * (every[i] or 0) for every in (quality.precision.per_class, quality.precision.per_class50))
            click.echo(
                f"  {name:14} AP {ap:6.2f}  AP50 {ap50:6.2f}  {one.true} there, {one.found} counted, "
                f"wrong by {one.error:.2f}, bias {one.bias:+.2f}"
            )


if __name__ == "__main__":
    main()
