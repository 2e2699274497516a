"""One training run from folders of images to a file of weights: check, initialize, train, finish, measure, write."""

from dataclasses import asdict, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgevit.errors import CheckpointError, OutputError
from edgevit.models import create_model
from edgevit.models.weights.trained import MODEL_KEY, TrainingFacts
from edgevit.models.zoo.registry import check_input_size, get_spec
from edgevit.system.files import make_folders
from edgevit.training.data import Data, Listing, count_unlabelled, list_data, read_data
from edgevit.training.distill import TaughtModel, teach
from edgevit.training.finish import card, finish
from edgevit.training.folders import Samples
from edgevit.training.frozen import train_head
from edgevit.training.initialize import advise_start, load_initial
from edgevit.training.job import Job, Watcher
from edgevit.training.kinds import Quality
from edgevit.training.longer import say_longer
from edgevit.training.loop import train
from edgevit.training.page import read_log, write_page
from edgevit.training.result import write_card
from edgevit.training.schedule import Size, as_pair, as_written
from edgevit.training.state import Conditions, SavedRun, read_saved
from edgevit.training.teacher import Teacher, answered, ask, read_answers

QUICK_VALIDATION = 1000
"""Images, evenly spaced through the validation set, that are classified after each epoch."""


def run_job(job: Job, watcher: Watcher, listing: Listing | None = None) -> Quality | None:
    """Train and write `out/NAME.safetensors` and its facts; return the accuracy, or None if told to stop before.

    Whatever can be refused is refused before the pictures are read.

    Args:
        job: what to do.
        watcher: is told what happens.
        listing: the pictures of `job.data`, if they are listed already.

    Where several processes share the job, each calls this; the first alone reads, measures and writes, and all return
    the same.

    Raises:
        EdgevitError: an option, a file or a folder is not what it should be; see the errors of each step.
    """
    spec, ranks = get_spec(job.model), job.ranks
    if not job.freeze:
        ranks.check_batch(job.recipe.batch)
    for size, _ in job.recipe.sizes:
        check_input_size(spec, as_pair(size))
    if listing is None:
        listing = list_job(job)
    torch.manual_seed(job.recipe.seed)
    model = create_model(job.model, len(listing.train.classes), job.recipe.final_size)
    start, advice = "random weights", advise_start(spec, job.init)
    if ranks.leads:  # the others get its weights
        saved = read_saved(job.state_file) if job.resume else None
        if saved is not None and saved.conditions is not None:
            start = saved.conditions.started_from
        elif job.init is not None:
            start = load_initial(model, spec, job.init, listing.train.classes)
        _claim(job, listing, saved)
    watcher.say(f"starting from {start}{advice}")
    data = ranks.from_first(lambda: read_data(listing, job.kind, job.workers, watcher.say, balance=job.recipe.balance))
    if job.freeze:
        learned = _learn_head(job, model, data, watcher) if ranks.leads else None
    else:
        learned = _learn(job, model, data, listing, job.conditions(start), watcher)
    return ranks.from_first(lambda: None if learned is None else _write(job, learned, start, data, watcher))


def list_job(job: Job) -> Listing:
    """List a job's pictures, once for all of its processes; see list_data."""
    return job.ranks.from_first(
        lambda: list_data(job.kind, job.data, job.val_fraction, job.initial_files, job.unlabelled)
    )


def _write(job: Job, learned: nn.Module, start: str, data: Data, watcher: Watcher) -> Quality:
    """Measure what was learnt and write the run's files."""
    accuracy = finish(job, learned, data, watcher)
    unlabelled = count_unlabelled(data.train)
    learned_from = {"started_from": start, "teacher": job.teacher and job.teacher.facts(), "unlabelled": unlabelled}
    facts = card(job, data, {**learned_from, "recipe": asdict(job.recipe), "freeze": job.freeze}, accuracy)
    write_card(job.weights_file.with_suffix(".json"), facts)
    write_page(job.weights_file.with_suffix(".html"), job.model, data, accuracy, read_log(job.out), facts)
    return accuracy


def _claim(job: Job, listing: Listing, saved: SavedRun | None) -> None:
    """Make the run's folder, and refuse to overwrite another run, or to continue one that this one is not."""
    if saved is not None:
        conditions = job.conditions("")
        same = not saved.changes(replace(job.recipe, sizes=saved.recipe.sizes), conditions)
        if same and job.recipe.epochs > saved.recipe.epochs and job.recipe.final_size == saved.recipe.final_size:
            raise CheckpointError(say_longer(job, saved, len(listing.train.paths)))
        saved.check(job.state_file, job.recipe, conditions=conditions, listed=listing.train.fingerprint())
    else:
        job.check_unused()
    try:
        make_folders(job.out)
        (job.out / "log.jsonl").open("a", encoding="utf-8").close()
    except OSError as error:
        raise OutputError(f"{job.out} cannot be written: {error.strerror}; give another folder with --out") from error


def _learn(
    job: Job, model: nn.Module, data: Data, listing: Listing, conditions: Conditions, watcher: Watcher
) -> nn.Module | None:
    """Train all of the model; return the averaged one, or None if told to stop."""
    quick = data.val.subset(range(0, len(data.val.paths), -(-len(data.val.paths) // QUICK_VALIDATION)))

    def validate(averaged: nn.Module, size: Size) -> dict[str, float | None]:
        return job.measure(averaged, quick, job.preprocess(size), bfloat16=job.recipe.bfloat16).figures

    samples, preprocessing = data.train, job.preprocess(job.recipe.final_size)
    facts = TrainingFacts(samples.classes, preprocessing, {}, data.held_out)
    objective = job.kind.objective(get_spec(job.model), job.recipe, samples, preprocessing)
    if job.teacher is not None:
        assert isinstance(samples, Samples)
        answers = _ask(job, job.teacher, samples, watcher)
        if answers is None:
            return None
        model, samples, objective = teach(model, _head(job), samples, objective, answers, job.recipe)
    outcome = train(
        model,
        samples,
        objective,
        validate,
        job.recipe,
        job.out,
        device=job.device,
        resume=job.resume,
        workers=job.workers,
        listed=listing.train.fingerprint(),
        conditions=conditions,
        facts=facts.to_metadata() | {MODEL_KEY: job.model},
        report=watcher.report,
        should_stop=watcher.should_stop,
        ranks=job.ranks,
    )
    if not outcome.finished:
        return None
    return outcome.averaged.model if isinstance(outcome.averaged, TaughtModel) else outcome.averaged


def _ask(job: Job, teacher: Teacher, samples: Samples, watcher: Watcher) -> NDArray[np.float16] | None:
    """Return the teacher's answers about all pictures, or None if told to stop."""
    complete = job.ranks.from_first(lambda: _ask_all(job, teacher, samples, watcher))
    teacher.classifier.close()  # it is not asked again
    return read_answers(teacher, len(samples.paths), job.out) if complete else None


def _ask_all(job: Job, teacher: Teacher, samples: Samples, watcher: Watcher) -> bool:
    """Write the teacher's answers about all pictures; return False if told to stop."""
    total, kept = len(samples.paths), answered(teacher, samples.paths, job.out)
    watcher.say(
        f"the answers of {teacher.path.name}, {teacher.classes:,} classes: "
        f"{kept:,} of {total:,} images are answered already"
        if kept
        else f"asking {teacher.path.name}, {teacher.classes:,} classes, about {total:,} images"
    )

    def done(count: int) -> bool:
        watcher.report({"step": count, "of": total, "size": as_written(teacher.classifier.preprocess.size)})
        return watcher.should_stop()

    return ask(teacher, samples.paths, job.out, done) is not None


def _head(job: Job) -> str:
    """Return the name of the model's last layer."""
    return get_spec(job.model).family.head.rpartition(".")[0]


def _learn_head(job: Job, model: nn.Module, data: Data, watcher: Watcher) -> nn.Module | None:
    """Train the last layer only; return the model, or None if told to stop."""
    watcher.say(f"computing what the frozen layers see in {len(data.train.paths):,} images")

    def done(step: int, steps: int) -> bool:
        watcher.report({"step": step, "of": steps, "size": as_written(job.recipe.final_size)})
        return watcher.should_stop()

    assert isinstance(data.train, Samples)
    head = model.get_submodule(_head(job))
    preprocessing = job.preprocess(job.recipe.final_size)
    fitted = train_head(
        model,
        head,
        data.train,
        job.recipe,
        preprocessing=preprocessing,
        device=job.device,
        workers=job.workers,
        done=done,
    )
    return model if fitted else None
