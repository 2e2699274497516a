"""What a start is worth: few photos of each class are learnt from several starts, on tasks that no weights have seen.

    python benchmarks/transfer.py DATA... [--starts cifar10,imagenet,FILE,random] [--photos N] [--seeds N] [--mark FILE]

DATA holds a folder of pictures for each class, or train/ and val/ of such. What is judged by is the same for all starts
and seeds: of each class the first pictures of val/, or else of a half that a hash of their paths decides. A seed draws
the photos to train on from the others, and decides all that is drawn in training. The classes get names of their own,
so that no classifier of theirs is taken over. Everything but the size is as `edgevit train` has it by default.

"probe" is the accuracy with all layers frozen but the last (`--freeze`). --mark FILE, an ONNX classifier, is probed in
the same way: what it computes below its last layer, and a linear layer on that. --taught trains once more from each
start, with the mark as the teacher, which is also asked about the photos that were not drawn, without their classes.
Seconds are of one processor core.
"""

import math
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import torch

from edgevit.errors import DataError, EdgevitError, OptionError
from edgevit.models.weights.resolve import RANDOM
from edgevit.runtime.backends.session import open_session
from edgevit.runtime.datasets.folder import PictureFolder, Pictures, read_folder
from edgevit.runtime.datasets.seen import path_hash
from edgevit.runtime.datasets.split import split_folder
from edgevit.runtime.foreign import IMAGENET_MEAN, IMAGENET_STD
from edgevit.system.program import Program
from edgevit.text import printable
from edgevit.training import Accuracy, train
from edgevit.training.accuracy import plain_inputs
from edgevit.training.folders import Samples, drop_unreadable
from edgevit.training.frozen import fit_head
from edgevit.training.teacher import Teacher, open_teacher

HALF = 0.5
"""Share of the pictures of which some are judged by, where there is no part val."""
LAYERS = ("Gemm", "MatMul", "Conv")
"""Operators of a last layer."""


@click.command(cls=Program, help=__doc__)
@click.argument("data", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model", default="efficientvit_b0", show_default=True)
@click.option("--starts", default=f"cifar10,imagenet,{RANDOM}", show_default=True, help="Names and files of weights.")
@click.option("--photos", default=20, show_default=True, help="Photos of a class to train on.")
@click.option("--judged", default=40, show_default=True, help="Photos of a class to judge by, at most.")
@click.option("--seeds", default=3, show_default=True)
@click.option("--imgsz", default=128, show_default=True)
@click.option("--epochs", type=float, help="Passes over the photos; as `edgevit train` has it unless given.")
@click.option("--mark", type=click.Path(exists=True, path_type=Path), help="ONNX classifier whose probe is the mark.")
@click.option("--mark-mean", default=IMAGENET_MEAN, show_default=True, help="Mean of RGB for a mark from elsewhere.")
@click.option("--mark-std", default=IMAGENET_STD, show_default=True, help="Deviation, likewise.")
@click.option("--taught", is_flag=True, help="Train with the mark as the teacher, too.")
def main(
    data: tuple[Path, ...],
    model: str,
    starts: str,
    photos: int,
    judged: int,
    seeds: int,
    imgsz: int,
    epochs: float | None,
    mark: Path | None,
    mark_mean: str,
    mark_std: str,
    taught: bool,
) -> None:
    if taught and mark is None:
        raise click.UsageError("--taught needs a teacher; give --mark FILE")
    mean, std = ([float(part) for part in text.split(",")] for text in (mark_mean, mark_std))
    teacher = {} if mark is None else as_teacher(mark, mean, std)
    for folder in data:
        with tempfile.TemporaryDirectory() as name:
            pictures = read_folder(folder, "classes")
            tasks = [only_readable(draw(pictures, photos, judged, seed)) for seed in range(seeds)]
            notes = (*pictures.notes(), *(fault for task in tasks for fault in task.faults))
            for note in dict.fromkeys(notes):
                click.echo(printable(note), err=True)
            held, classes = len(tasks[0].held.paths), len(tasks[0].held.classes)
            fewest, most = (find(tasks[0].train.counts()) for find in (min, max))
            each = f"{most} photos" if fewest == most else f"{fewest} to {most} photos"
            click.echo(f"{folder.name}: {model}, {classes} classes, {each} each, {imgsz} px, {held} judged")
            click.echo(f"{'start':20} {'top-1 %':>13} {'seconds':>8} {'probe %':>13} {'seconds':>8}")
            homes = [link(task, Path(name, str(seed))) for seed, task in enumerate(tasks)]
            for start in starts.split(","):
                init = None if start == RANDOM else start
                common = {"init": init, "imgsz": imgsz}
                try:
                    full = [learn(model, home, i, epochs=epochs, **common) for i, home in enumerate(homes)]
                    frozen = homes if init else []  # a probe of random weights says nothing
                    probes = [learn(model, home, i, freeze=True, **common) for i, home in enumerate(frozen)]
                    helped = [
                        learn(model, home, i, epochs=epochs, unlabelled=others(home), **common, **teacher)
                        for i, home in enumerate(homes if taught else [])
                    ]
                except EdgevitError as error:
                    click.echo(f"{start:20} cannot be had: {error}")
                    continue
                click.echo(f"{Path(start).name:20} {spread(full)} {spread(probes)}")
                if taught:
                    click.echo(f"{Path(start).name + ', taught':20} {spread(helped)}")
            if mark is not None:
                click.echo(f"{mark.name:20} {spread([])} {spread([probe(mark, task, mean, std) for task in tasks])}")


@dataclass(frozen=True)
class FewPhotos:
    """A task: few photos to train on, and others to judge by."""

    train: Samples
    held: Samples
    others: tuple[Path, ...]
    """Photos that are neither."""
    faults: tuple[str, ...] = ()
    """What was left out, in sentences."""


def draw(data: PictureFolder, photos: int, judged: int, seed: int) -> FewPhotos:
    """Return so many photos of each class, drawn with the seed, and those to judge by, the same for every seed.

    Raises:
        DataError: no class has photos of both.
    """
    split = split_folder(data, HALF)
    rng = random.Random(seed)
    groups = _by_class(split.train), _by_class(split.held_out)
    classes = tuple(name for name in groups[0] if name in groups[1])
    if not classes:
        raise DataError(f"{data.root} has no class with photos to train on and others to judge by; add photos")
    lone = [name for name in {**groups[0], **groups[1]} if name not in classes]
    faults = [f"{name} is left out: there are no photos both to train on and to judge by" for name in lone]
    train = [rng.sample(groups[0][name], min(photos, len(groups[0][name]))) for name in classes]
    held = [groups[1][name][:judged] for name in classes]
    drawn = {path for paths in train for path in paths}
    others = tuple(path for path in split.train.paths if path not in drawn)
    return FewPhotos(_samples(train, classes), _samples(held, classes), others, tuple(faults))


def only_readable(task: FewPhotos) -> FewPhotos:
    """Return a task without the photos that cannot be read, so that all that is compared is given the same ones.

    Raises:
        DataError: none of a class is left to train on, or none to judge by.
    """
    (train, bad), (held, worse) = (drop_unreadable(samples) for samples in (task.train, task.held))
    if 0 in train.counts() or not held.paths:
        raise DataError(f"too few of the photos that were drawn can be read ({(*bad, *worse)[0]}); replace them")
    return replace(task, train=train, held=held, faults=(*task.faults, *(f"left out: {why}" for why in (*bad, *worse))))


def _by_class(pictures: Pictures) -> dict[str, list[Path]]:
    """Return the pictures of each class, in an order that is that of a hash."""
    found = defaultdict(list)
    named = zip(pictures.names, pictures.paths, pictures.classes or (), strict=True)
    for _, path, label in sorted(named, key=lambda one: path_hash(one[0])):
        found[label].append(path)
    return dict(sorted(found.items()))


def _samples(groups: Sequence[list[Path]], classes: tuple[str, ...]) -> Samples:
    pairs = [(path, label) for label, group in enumerate(groups) for path in group]
    return Samples(tuple(path for path, _ in pairs), tuple(label for _, label in pairs), classes)


def link(task: FewPhotos, home: Path) -> Path:
    """Make a folder for `edgevit train` of links to a task's photos; a folder of the others lies beside it."""
    for part, samples in (("train", task.train), ("val", task.held)):
        for number, (path, label) in enumerate(zip(samples.paths, samples.labels, strict=True)):
            folder = home / part / f"my {samples.classes[label]}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}{path.suffix}").symlink_to(path.resolve())
    for number, path in enumerate(task.others):
        beside = home.with_name(f"{home.name}-others")
        beside.mkdir(exist_ok=True)
        (beside / f"{number}{path.suffix}").symlink_to(path.resolve())
    return home


def others(home: Path) -> Path | None:
    """Return the folder beside a task's, if there are others."""
    beside = home.with_name(f"{home.name}-others")
    return beside if beside.is_dir() else None


def learn(model: str, home: Path, seed: int, **options: Any) -> tuple[float, float]:
    """Return the accuracy in percent and the seconds of processor time that a run took."""
    with tempfile.TemporaryDirectory() as out:
        start = time.process_time()
        result = train(model, home, Path(out, "run"), seed=seed, threads=1, workers=1, **options)
        assert isinstance(result.accuracy, Accuracy)
        return 100 * result.accuracy.top1, time.process_time() - start


def probe(mark: Path, task: FewPhotos, mean: Sequence[float], std: Sequence[float]) -> tuple[float, float]:
    """Return the accuracy in percent of a linear layer on a frozen ONNX classifier's features, and the seconds."""
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        exported = open_mark(mark, mean, std)
        headless = cut_head(mark, Path(folder, "headless.onnx"))
        seen, others = (features(headless, exported, samples) for samples in (task.train, task.held))
    weight, bias = fit_head(seen, torch.tensor(task.train.labels), len(task.train.classes))
    right = (others @ weight.T + bias).argmax(1) == torch.tensor(task.held.labels)
    return 100 * float(right.float().mean()), time.process_time() - start


def open_mark(mark: Path, mean: Sequence[float], std: Sequence[float]) -> Teacher:
    """Open a classifier; what edgevit exported knows its normalization."""
    try:
        return open_teacher(mark, threads=1)
    except OptionError:
        return open_teacher(mark, mean, std, threads=1)


def as_teacher(mark: Path, mean: Sequence[float], std: Sequence[float]) -> dict[str, Any]:
    """Return the options of `train` that make a classifier the teacher."""
    opened = open_mark(mark, mean, std)
    opened.classifier.close()
    own = opened.classifier.manifest is not None
    return {"teacher": mark} if own else {"teacher": mark, "teacher_mean": mean, "teacher_std": std}


def cut_head(mark: Path, headless: Path) -> Path:
    """Write an ONNX classifier whose answer is what its last layer is given."""
    model = onnx.load(mark)
    makers = {output: node for node in model.graph.node for output in node.output}
    node = makers[model.graph.output[0].name]
    while node.op_type not in LAYERS:
        node = makers[node.input[0]]
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(node.input[0]))
    onnx.save(onnx.shape_inference.infer_shapes(model), headless)
    return headless


def features(headless: Path, exported: Teacher, samples: Samples) -> torch.Tensor:
    """Return (N, features) for pictures that are prepared as the classifier takes them."""
    session = open_session(headless, threads=1, rank=None)
    batches = [
        session.run(inputs.numpy()).reshape(len(inputs), -1)
        for inputs in plain_inputs(samples, exported.classifier.preprocess, workers=1, batch=16)
    ]
    return torch.from_numpy(np.concatenate(batches))


def spread(runs: Sequence[tuple[float, float]]) -> str:
    """Return the mean of some accuracies with their deviation, and the mean of the seconds; dashes for none."""
    if not runs:
        return f"{'-':>13} {'-':>8}"
    shares, seconds = zip(*runs, strict=True)
    deviation = statistics.stdev(shares) if len(shares) > 1 else math.nan
    return f"{statistics.mean(shares):5.1f} +- {deviation:4.1f} {statistics.mean(seconds):8.0f}"


if __name__ == "__main__":
    main()
