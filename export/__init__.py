"""From a PyTorch checkpoint to a checked file for the board; needs torch, never imported on the board.

from edgevit.export import export

result = export("sbcformer_xs", "pens.onnx", weights="pens.safetensors", data="photos/")
print(result.size_mb, result.manifest.parity[-1].top1_agreement)
"""

import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgevit.errors import OptionError
from edgevit.schema import options_from

if TYPE_CHECKING:
    from edgevit.export.recipe import Recipe as Recipe
    from edgevit.export.result import ExportResult as ExportResult

__all__ = ["ExportResult", "Recipe", "export"]

log = logging.getLogger(__name__)

_HOMES = {"ExportResult": "edgevit.export.result", "Recipe": "edgevit.export.recipe"}


def export(
    name: "str | Recipe",
    out: str | os.PathLike[str] | None = None,
    *,
    int8: bool | None = None,
    budget_ms: float | None = None,
    data: str | os.PathLike[str] | None = None,
    report: str | os.PathLike[str] | None = None,
    track: Callable[[Iterable[Any], str, int], Iterable[Any]] = lambda items, label, count: items,
    tell: Callable[[str], None] = log.info,
    **options: Any,
) -> "ExportResult":
    """Export a model of the zoo as one file for the board, with labels, preprocessing and a self-test inside.

    Args:
        name: a model of the zoo, as `edgevit models` lists them; or a whole Recipe, which takes the place of `int8`,
            `data` and `options`.
        out: the file to write; named for the model and put into the current folder unless given. An older file is
            replaced only when everything succeeded.
        int8: 8-bit weights and activations, smallest and fastest, which is the default; False for float32, unless
            `precision` is given.
        budget_ms: most that one picture may take on `target`, estimated, in milliseconds: what is not given of imgsz,
            format and precision is chosen so that it fits, by accuracy where `data` has labelled pictures.
        data: a folder of pictures to calibrate and verify with, searched recursively.
        report: path of an HTML page about the export, and of the same as JSON beside it.
        track: wraps the long loops (items, what is done, how many), for a progress display.
        tell: is told, in lines, what was weighed for `budget_ms`.
        options: any other field of Recipe: weights, labels, imgsz (pixels), max_drop (percentage points), target,
            format, precision and so on. The format is what was found better on the target unless it is given.

    Raises:
        OptionError: an option is unknown, its value is not allowed, or two contradict each other.
        MissingExtraError: a package of the extra `export` or `tflite-export` is not installed.
        GateError: the result does not agree with PyTorch; nothing is written.
        EdgevitError: of another kind, which says what is wrong with the weights, the pictures or the place to write to.
    """
    from edgevit.export.extras import import_module
    from edgevit.export.recipe import Recipe, default_options, default_output

    if isinstance(name, Recipe):
        recipe = name
        told = {"int8": int8, "data": data, "budget_ms": budget_ms}
        if given := [*options, *(name for name, value in told.items() if value is not None)]:
            raise OptionError(f"a Recipe says all there is to say; put {', '.join(given)} into it")
    else:
        if int8 is not None and not isinstance(int8, bool):
            raise OptionError(f"--int8 is {int8!r}, expected true or false")
        if int8 and options.get("precision") not in (None, "int8"):
            raise OptionError(
                f"--precision {options['precision']!r} and --int8 are two different files; export twice, with one each"
            )
        precision: dict[str, Any] = {"precision": "fp32" if int8 is False else "int8"}
        if budget_ms is not None:
            asked = {"model": name, "data": data, **(precision if int8 is not None else {}), **options}
            chooser = import_module("edgevit.export.budget.choose")
            chosen: ExportResult = chooser.export_within(
                *(
                    budget_ms,
                    asked,
                    None if out is None else Path(out),
                    track,
                    None if report is None else Path(report),
                ),
                tell,
            )
            return chosen
        recipe = options_from(Recipe, default_options({"model": name, "data": data, **precision, **options}))
    pipeline = import_module("edgevit.export.pipeline")
    result: ExportResult = pipeline.export(
        recipe,
        default_output(recipe) if out is None else Path(out),
        track,
        None if report is None else Path(report),
    )
    return result


def __getattr__(name: str) -> Any:
    """Import what needs other packages only when it is asked for, so that `import edgevit.export` costs nothing."""
    from edgevit.export.extras import import_module

    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'edgevit.export' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
