"""One process of the comparison: prepares a model, converts it for one row, or runs one row when asked.

    python -m peers.worker prepare|make|run JOB [ROW] [THREADS]

Answers are lines of JSON on what was standard output; whatever the libraries print goes to standard error.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from peers.row import Call, Job
from peers.rows import ROWS

PICTURES = 48
"""Most that are calibrated with."""
WARMUP = 5


def prepare(job: Job) -> dict[str, Any]:
    """Write the calibration inputs; return what a person wants to know of the weights."""
    from drawn import draw_folder

    from edgevit.export.data.choose import choose_images
    from edgevit.export.data.images import ImageSet
    from edgevit.export.recipe import Recipe
    from edgevit.models.weights.resolve import resolve_weights
    from edgevit.models.zoo.registry import get_spec

    weights = resolve_weights(get_spec(job.model), job.weights)
    how = weights.preprocess
    if weights.entry is not None and weights.entry.bundled:
        images = choose_images(
            Recipe(job.model, job.weights, precision="int8"), weights, job.network(), how
        ).calibration
        assert images is not None
    else:
        images = ImageSet("drawn", tuple(sorted(draw_folder(job.pictures, how.size, PICTURES).iterdir())))
    inputs = ImageSet(images.source, images.images[:PICTURES]).inputs(how)
    np.save(job.folder / "calibration.npy", np.concatenate(list(inputs)))
    return {"weights": weights.source, "sha256": weights.sha256, "trained": weights.trained, "labels": weights.labels}


def run(job: Job, key: str, threads: int, answers: TextIO) -> None:
    """Open a row, tell its logits for the timed input, then do what each line of standard input asks."""
    call, image = ROWS[key].open(job, job.folder / key, threads), job.image()
    for _ in range(WARMUP):
        logits = call(image)
    _say(answers, {"logits": np.asarray(logits, np.float64).ravel().tolist()})
    for line in sys.stdin:
        asked = json.loads(line)
        _say(
            answers,
            classify(job, call, asked["classify"]) if "classify" in asked else timed(call, image, asked["calls"]),
        )


def timed(call: Call, image: Any, count: int) -> dict[str, Any]:
    """Return the time of each call, and the processor time of all threads in them, in milliseconds."""
    call(image)  # what others put into the caches is not this one's fault
    spent, busy = [], time.process_time()
    for _ in range(count):
        started = time.perf_counter()
        call(image)
        spent.append(1e3 * (time.perf_counter() - started))
    return {"ms": spent, "processor_ms": 1e3 * (time.process_time() - busy)}


def classify(job: Job, call: Call, files: list[str]) -> dict[str, Any]:
    """Return the class of each picture; -1 where no class is the best, since an answer is not a number."""
    from edgevit.models.weights.resolve import resolve_weights
    from edgevit.models.zoo.registry import get_spec
    from edgevit.runtime.images.preprocess import min_decode_size, preprocess
    from edgevit.runtime.images.read import read_image

    how = resolve_weights(get_spec(job.model), job.weights).preprocess
    inputs = (preprocess(read_image(Path(file), min_size=min_decode_size(how)), how)[None] for file in files)
    logits = np.stack([np.ravel(call(image)) for image in inputs])
    return {"classes": np.where(np.isfinite(logits).all(axis=1), logits.argmax(axis=1), -1).tolist()}


def _say(answers: TextIO, what: dict[str, Any]) -> None:
    answers.write(json.dumps(what) + "\n")
    answers.flush()


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    task, job, *rest = sys.argv[1:]
    try:
        match task:
            case "prepare":
                _say(answers, prepare(Job.from_json(job)))
            case "make":
                folder = Job.from_json(job).folder / rest[0]
                folder.mkdir(exist_ok=True)
                ROWS[rest[0]].make(Job.from_json(job), folder)
                _say(answers, {})
            case "run":
                run(Job.from_json(job), rest[0], int(rest[1]), answers)
    except Exception as error:  # the libraries' errors share no base class
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        _say(answers, {"failed": f"{type(error).__name__}: {' '.join(lines[:2])[:200]}"})
        sys.exit(1)


if __name__ == "__main__":
    main()
