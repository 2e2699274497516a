"""One model from several runs that started alike: the mean of their weights ("model soup", arXiv 2203.05482).

Runs that were fine-tuned from the same weights lie in one basin of the loss, and their mean is often better than each
of them. BatchNorm statistics are computed anew, since the mean of statistics is not the statistics of the mean. As a
program:

    python -m edgevit.training.average MODEL A.safetensors B.safetensors --data DIR -o DIR
"""

import logging
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
import torch
from torch import Tensor

from edgevit.errors import CheckpointError, DataError, OptionError, OutputError
from edgevit.models import create_model
from edgevit.models.weights.checkpoint import read_state_dict
from edgevit.models.weights.load import canonical_state, load_state
from edgevit.models.weights.trained import TrainingFacts, read_training_facts
from edgevit.models.zoo.registry import get_spec
from edgevit.system.files import make_folders
from edgevit.system.log import show_log
from edgevit.system.program import Program
from edgevit.text import printable
from edgevit.training.data import list_data, read_data
from edgevit.training.finish import card, finish
from edgevit.training.job import Job, Watcher
from edgevit.training.kinds import Quality
from edgevit.training.ranks import find_ranks
from edgevit.training.recipe import Recipe, differences
from edgevit.training.result import write_card
from edgevit.training.schedule import as_pair


def average_states(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of each floating-point tensor, float32, and the first state's other tensors.

    Raises:
        CheckpointError: the states differ in a key or a shape.
    """
    first = states[0]
    for i, state in enumerate(states[1:], start=2):
        odd = sorted(
            key
            for key in first.keys() | state.keys()
            if key not in first or key not in state or first[key].shape != state[key].shape
        )
        if odd:
            raise CheckpointError(
                f"weights 1 and {i} differ in {odd[0]!r}; expected runs of the same model, with the same classes"
            )

    def mean(key: str) -> Tensor:
        total = sum(state[key].double() for state in states)
        return (torch.as_tensor(total) / len(states)).float()

    return {key: mean(key) if value.dtype.is_floating_point else value for key, value in first.items()}


def common_facts(files: Sequence[Path]) -> TrainingFacts | None:
    """Return what the files say of their classes and preprocessing; None where they say nothing.

    Raises:
        CheckpointError: they are not of the same classes, or take their images differently.
    """
    told = [(file, facts) for file in files if file.is_file() and (facts := read_training_facts(file)) is not None]
    if not told:
        return None
    first, common = told[0]
    for file, facts in told[1:]:
        if facts.labels != common.labels:
            raise CheckpointError(
                f"{first} is of {_some(common.labels)}, {file} of {_some(facts.labels)}; expected runs with the same "
                "classes"
            )
        if changed := differences(asdict(common.preprocess), asdict(facts.preprocess)):
            raise CheckpointError(
                f"{first} and {file} take their images differently ({changed}); expected runs of one size and crop"
            )
    return common


def _some(labels: Sequence[str], count: int = 5) -> str:
    return ", ".join(labels[:count]) + (f" and {len(labels) - count} more" if len(labels) > count else "")


def average_runs(job: Job, files: Sequence[Path], labels: Sequence[str], watcher: Watcher) -> Quality:
    """Write the mean of the files' weights as `job.weights_file` and its card; of the recipe only size and batch count.

    Args:
        job: the model, its size and crop, the images, and where to write.
        files: weights of one start.
        labels: the classes that they are of; empty where they do not say.
        watcher: is told what happens.

    Raises:
        CheckpointError: a file is not of this model and these classes, or there are weights already.
        DataError: the images are not what they should be, or are of other classes.
        OutputError: the folder or a file cannot be written.
    """
    spec = get_spec(job.model)
    job.check_unused()
    listing = list_data(job.kind, job.data, job.val_fraction, files)
    if labels and tuple(labels) != tuple(listing.train.classes):
        raise DataError(
            f"the weights are of {_some(labels)}, {job.data} holds {_some(listing.train.classes)}; give the images "
            "that the runs learnt from"
        )
    mean = average_states([canonical_state(spec, read_state_dict(file)) for file in files])
    try:
        make_folders(job.out)
    except OSError as error:
        raise OutputError(f"{job.out} cannot be made: {error.strerror}; give another folder with --out") from error
    data = read_data(listing, job.kind, job.workers, watcher.say, balance=job.recipe.balance)
    model = create_model(job.model, len(data.train.classes), job.recipe.final_size)
    load_state(model, spec, mean, files[0].name)
    accuracy = finish(job, model, data, watcher)
    write_card(
        job.weights_file.with_suffix(".json"), card(job, data, {"mean_of": [str(file) for file in files]}, accuracy)
    )
    return accuracy


@click.command(cls=Program)
@click.argument("model")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--data", type=click.Path(path_type=Path), required=True, help="Folder of train/ and val/, or of classes."
)
@click.option("--imgsz", type=click.IntRange(32), help="Image size in pixels.  [default: that of the runs]")
@click.option("--val-fraction", type=float, default=0.1, show_default=True, help="Held out if there is no val folder.")
@click.option("--bn-batches", type=click.IntRange(1), default=60, show_default=True, help="For BatchNorm statistics.")
@click.option("--seed", type=int, default=0, show_default=True, help="Chooses the images for the statistics.")
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True, help="Folder of the result.")
def main(
    model: str,
    files: tuple[Path, ...],
    data: Path,
    imgsz: int | None,
    val_fraction: float,
    bn_batches: int,
    seed: int,
    out: Path,
) -> None:
    """Write the mean of the weights in FILES, runs of MODEL from one start, and measure it on the validation images."""
    if not find_ranks().leads:
        return  # one process does it, however many torchrun has started
    show_log(logging.INFO)
    command = shlex.join(["python", "-m", "edgevit.training.average", *sys.argv[1:]])
    facts = common_facts(files)
    size = imgsz or get_spec(model).preprocess.size[0] if facts is None else facts.preprocess.size
    if imgsz is not None and as_pair(size) != (imgsz, imgsz):
        raise OptionError(f"--imgsz is {imgsz}, and the runs are for {'x'.join(map(str, as_pair(size)))}; leave it out")
    job = Job(
        *(model, data, out, Recipe(sizes=((size, 1.0),), batch=64, seed=seed)),
        crop_pct=1.0 if facts is None else facts.preprocess.crop_pct,
        val_fraction=val_fraction,
        bn_batches=bn_batches,
        command=command,
    )
    accuracy = average_runs(job, files, facts.labels if facts else (), Watcher(say=logging.info))
    share = next(iter(accuracy.figures.values()))
    text = f"{share:.2%} right on {accuracy.images:,} images that were not trained on; wrote {job.weights_file}"
    click.echo(printable(text))


if __name__ == "__main__":
    main()
