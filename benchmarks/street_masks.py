"""What export leaves of a segmentation model's answers on street photographs: its files beside PyTorch's masks.

    python benchmarks/street_masks.py WEIGHTS PHOTOS [--imgsz 256x512] [--imgsz 512x1024] [--camvid MASKS]

Each form is exported by the command that users run: float, int8, and int8 with a budget of --max-drop points of pixels,
which may keep layers float. Pictures of PHOTOS calibrate, others decide on the budget, and others judge: of val/ or
test/, if there is such a folder beside train/; else all are drawn at random. All pictures are scaled to the input, as
`edgevit run` does, and masks are compared at the pictures' own sizes. What fails export's own check is told.

"equal" is the share of pixels with PyTorch's class, "mIoU" the mean intersection over union with PyTorch's mask, over
all pictures together and the classes that occur. "time" is processor time on one thread, as a multiple of float ONNX's,
in rounds that run each file once. --camvid gives masks of CamVid's eleven classes, named as the pictures: its column is
the mean IoU with those, once the 19 classes of Cityscapes are merged into them.
"""

import contextlib
import random
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

import edgevit
from edgevit.artifact.manifest import read_manifest
from edgevit.cli.options import size as read_size
from edgevit.errors import GateError
from edgevit.export.latency import interleaved_ms
from edgevit.export.pipeline import export
from edgevit.export.recipe import SUFFIXES, Format, Recipe
from edgevit.models.weights.resolve import build_with_weights, resolve_weights
from edgevit.models.zoo.registry import get_spec
from edgevit.runtime.backends.session import open_session
from edgevit.runtime.datasets.folder import read_folder
from edgevit.runtime.datasets.masks import true_classes
from edgevit.runtime.evaluation.segmentation import Confusion
from edgevit.runtime.images.mask_png import read_mask
from edgevit.runtime.images.masks import Mask, bilinear_mask
from edgevit.runtime.images.preprocess import preprocess
from edgevit.runtime.images.read import read_image
from edgevit.runtime.images.resample import RGBImage
from edgevit.runtime.segmentation import Segmentation
from edgevit.system.program import Program

PYTORCH = "PyTorch"
FORMS = ("float", "int8", "budget")
DECIDING = 16
"""Pictures that decide on a budget, and that exports are verified on."""
CAMVID = {
    "sky": "sky",
    "building": "building,wall",
    "pole": "pole",
    "road": "road",
    "pavement": "sidewalk",
    "tree": "vegetation,terrain",
    "sign": "traffic light,traffic sign",
    "fence": "fence",
    "car": "car,truck,bus,train",
    "pedestrian": "person",
    "bicyclist": "rider,motorcycle,bicycle",
}
"""CamVid's classes, in the order of their numbers, to those of Cityscapes that they hold; number 11 is none."""
UNLABELLED = 11

Answer = Callable[[RGBImage], Mask]


@click.command(cls=Program, help=__doc__)
@click.argument("weights")
@click.argument("photos", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model", default="efficientvit_seg_b0_cityscapes", show_default=True)
@click.option("--imgsz", "sizes", multiple=True, default=("256x512", "512x1024"), show_default=True)
@click.option("--format", "formats", multiple=True, type=click.Choice(list(SUFFIXES)), default=list(SUFFIXES))
@click.option("--form", "chosen", multiple=True, type=click.Choice(FORMS), default=FORMS, show_default=True)
@click.option("--judged", default=40, show_default=True, help="Pictures to judge by, at most.")
@click.option("--calibrating", default=32, show_default=True, help="Pictures to calibrate int8 with.")
@click.option("--max-drop", default=1.0, show_default=True, help="Budget in points of pixels that keep their class.")
@click.option("--rounds", default=15, show_default=True, help="Timed runs of each file.")
@click.option("--camvid", type=click.Path(exists=True, file_okay=False, path_type=Path), help="CamVid's own masks.")
def main(
    weights: str,
    photos: Path,
    model: str,
    sizes: tuple[str, ...],
    formats: tuple[Format, ...],
    chosen: tuple[str, ...],
    judged: int,
    calibrating: int,
    max_drop: float,
    rounds: int,
    camvid: Path | None,
) -> None:
    torch.set_num_threads(1)
    forms: dict[str, dict[str, Any]] = {
        "float": {},
        "int8": {"precision": "int8", "calibration_images": calibrating},
        "budget": {"precision": "int8", "calibration_images": calibrating, "max_drop": max_drop},
    }
    for text in sizes:
        with tempfile.TemporaryDirectory() as folder:
            drawn = draw(photos, calibrating, judged)
            common: dict[str, Any] = {
                "weights": weights,
                "imgsz": read_size(text),
                "data": link(drawn, Path(folder, "data")),
            }
            click.echo(f"{model}, {text}: {len(drawn.held)} pictures judge, {calibrating} others calibrate")
            files = {}
            for format_, (form, asked) in product(formats, [(form, forms[form]) for form in chosen]):
                label, path = f"{format_} {form}", Path(folder, f"{form}{SUFFIXES[format_]}")
                recipe = Recipe(model, format=format_, **common, **asked)
                click.echo(f"exporting {label}", err=True)
                try:
                    export(recipe, path)
                except GateError as error:
                    click.echo(f"{label}: {error}")
                    continue
                files[label] = path
            with contextlib.ExitStack() as leaving:
                answers = {PYTORCH: reference(model, weights, next(iter(files.values())))}
                answers |= {form: leaving.enter_context(answering(path)) for form, path in files.items()}
                found = compare(answers, drawn.held, camvid)
            print_table(found, files, times(list(files.values()), rounds))


@dataclass(frozen=True)
class Drawn:
    """Pictures, none of which has two roles."""

    seen: tuple[Path, ...]
    """They calibrate."""
    deciding: tuple[Path, ...]
    held: tuple[Path, ...]
    """They judge."""


def draw(photos: Path, calibrating: int, judged: int) -> Drawn:
    """Return the same pictures each time."""
    folder, rng = read_folder(photos, "plain"), random.Random(0)
    home = list(folder.home.paths if folder.home else ())
    rng.shuffle(home)
    used = calibrating + DECIDING
    others = list(folder.held_out.paths if folder.held_out else home[used:])
    if len(home) < used or not others:
        raise click.ClickException(f"{photos} holds {folder.images} pictures; give more than {used}")
    held = sorted(rng.sample(others, min(judged, len(others))))
    return Drawn(tuple(home[:calibrating]), tuple(home[calibrating:used]), tuple(held))


def link(drawn: Drawn, home: Path) -> Path:
    """Make a folder of links for `edgevit export`, whose part train calibrates, and whose part val decides."""
    for part, paths in (("train", drawn.seen), ("val", drawn.deciding)):
        (home / part).mkdir(parents=True)
        for number, path in enumerate(paths):
            (home / part / f"{number}{path.suffix}").symlink_to(path.resolve())
    return home


def reference(name: str, weights: str, exported: Path) -> Answer:
    """Return what asks PyTorch's model, which prepares a picture as a file that was exported of it does."""
    spec, manifest = get_spec(name), read_manifest(exported)
    assert manifest is not None
    preprocessing = manifest.preprocess
    model = build_with_weights(spec, resolve_weights(spec, weights), size=preprocessing.size).eval()

    def answer(picture: RGBImage) -> Mask:
        inputs = torch.from_numpy(preprocess(picture, preprocessing)[None])
        with torch.inference_mode():
            return bilinear_mask(model(inputs).numpy()[0], picture.shape[:2])

    return answer


@contextlib.contextmanager
def answering(path: Path) -> Iterator[Answer]:
    """Open a file as users do; yield what asks it."""
    with edgevit.load(path, task="segment") as segmenter:

        def answer(picture: RGBImage) -> Mask:
            result = segmenter(picture)
            assert isinstance(result, Segmentation)
            return result.mask

        yield answer


@dataclass
class Found:
    """How the masks of one form are beside PyTorch's, and beside CamVid's."""

    beside_pytorch: Confusion
    beside_camvid: Confusion | None
    equal: dict[str, float] = field(default_factory=dict)
    """Share of each picture's pixels that have PyTorch's class, 0..1."""


def compare(answers: dict[str, Answer], pictures: Sequence[Path], camvid: Path | None) -> dict[str, Found]:
    """Ask every form about every picture, one picture at a time."""
    labels = get_spec("efficientvit_seg_b0_cityscapes").labels
    numbers = {name: i for i, names in enumerate(CAMVID.values()) for name in names.split(",")}
    merging = np.array([numbers[name] for name in labels], np.uint8)
    found = {form: Found(Confusion(len(labels)), Confusion(len(CAMVID)) if camvid else None) for form in answers}
    for path in pictures:
        picture = read_image(path)
        masks = {form: answer(picture) for form, answer in answers.items()}
        exact = masks[PYTORCH]
        for form, mask in masks.items():
            one = found[form]
            one.beside_pytorch.add(mask, exact, exact.astype(np.intp))
            one.equal[path.name] = float(np.mean(mask == exact))
            if camvid is not None and one.beside_camvid is not None:
                drawn = camvid / path.with_suffix(".png").name
                truth = true_classes(drawn, read_mask(drawn), mask.shape, (*CAMVID, "unlabelled"))
                truth[truth == UNLABELLED] = -1
                one.beside_camvid.add(merging[mask], merging[exact], truth)
    return found


def times(files: Sequence[Path], rounds: int) -> list[float]:
    """Return the median processor time of each file in milliseconds, on one thread."""
    with contextlib.ExitStack() as leaving:
        runs: list[Callable[[], object]] = []
        for path in files:
            session = leaving.enter_context(contextlib.closing(open_session(path, 1, rank=4)))
            values = np.random.default_rng(0).standard_normal(session.input_shape, np.float32)
            runs.append(partial(session.run, values))
        return [statistics.median(row) for row in interleaved_ms(runs, rounds)]


def print_table(found: dict[str, Found], files: dict[str, Path], took_ms: Sequence[float]) -> None:
    """Print a line for PyTorch and each form."""
    columns = f"{'equal %':>8} {'mIoU %':>7} {'worst %':>8} {'MB':>6} {'int8 %':>7} {'time':>5}"
    click.echo(f"{'':20} {columns} {'CamVid %':>9}")
    ratios = dict(zip(files, np.array(took_ms) / took_ms[0], strict=True))
    for form, one in found.items():
        camvid = one.beside_camvid.quality(form, labelled=True, compared=False).miou if one.beside_camvid else None
        cells = of_form(one, files[form], ratios[form]) if form in files else " " * len(columns)
        worst = f"  worst: {min(one.equal, key=lambda name: one.equal[name])}" if form in files else ""
        click.echo(f"{form:20} {cells} {'' if camvid is None else f'{100 * camvid:.2f}':>9}{worst}".rstrip())


def of_form(found: Found, path: Path, ratio: float) -> str:
    """Return a file's columns."""
    own, manifest = found.beside_pytorch.quality("", labelled=True, compared=True), read_manifest(path)
    assert manifest is not None
    assert own.agreement is not None
    assert own.miou is not None
    share = manifest.quantization.int8_mac_share if manifest.quantization else 0
    return (
        f"{100 * own.agreement:8.2f} {100 * own.miou:7.2f} {100 * min(found.equal.values()):8.2f} "
        f"{path.stat().st_size / 1e6:6.2f} {100 * share:7.1f} {ratio:5.2f}"
    )


if __name__ == "__main__":
    main()
