"""The model of a run, opened as its options say."""

from pathlib import Path

from edgevit.runtime.board.digest import open_known
from edgevit.runtime.classifier import Classifier
from edgevit.runtime.loading import load
from edgevit.runtime.run.options import RunOptions


def open_model(options: RunOptions) -> Classifier:
    """Open the model, whose answers follow the rules of the options; the caller closes it.

    Where others are told what runs here, its file is known by the bytes that were opened.

    Raises:
        EdgevitError: see `load`.
    """
    return open_known(Path(options.model), lambda: _load(options)) if options.tells_status else _load(options)


def _load(options: RunOptions) -> Classifier:
    model = load(
        options.model,
        options.threads if options.jobs is None else 1,
        labels=options.labels,
        mean=options.mean,
        std=options.std,
        imgsz=options.imgsz,
        outputs=options.outputs,
        output=options.output,
        crop_pct=options.crop_pct,
        squash=options.squash,
        interpolation=options.interpolation,
        bgr=options.bgr,
        levels=options.levels,
    )
    return model.with_rules(options.label_rules, options.least_score)
