"""From a PyTorch checkpoint to a checked file for the board; needs torch, never imported on the board.

from edgevit.export import export

result = export("sbcformer_xs", "pens.onnx", weights="pens.safetensors", data="photos/")
print(result.size_mb, result.manifest.parity[-1].top1_agreement)
"""

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

_HOMES = {"ExportResult": "edgevit.export.result", "Recipe": "edgevit.export.recipe"}


def export(
    name: "str | Recipe",
    out: str | os.PathLike[str] | None = None,
    *,
    int8: bool = True,
    data: str | os.PathLike[str] | None = None,
    report: str | os.PathLike[str] | None = None,
    track: Callable[[Iterable[Any], str, int], Iterable[Any]] = lambda items, label, count: items,
    **options: Any,
) -> "ExportResult":
    """Export a model of the zoo as one file for the board, with labels, preprocessing and a self-test inside.

    Args:
        name: a model of the zoo, as `edgevit models` lists them; or a whole Recipe, which takes the place of `int8`,
            `data` and `options`.
        out: the file to write; named for the model and put into the current folder unless given. An older file is
            replaced only when everything succeeded.
        int8: 8-bit weights and activations, smallest and fastest; float32 otherwise, unless `precision` is given.
        data: a folder of pictures to calibrate and verify with, searched recursively.
        report: path of an HTML page about the export, and of the same as JSON beside it.
        track: wraps the long loops (items, what is done, how many), for a progress display.
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
        if given := [*options, *(["data"] if data is not None else [])]:
            raise OptionError(f"a Recipe says all there is to say; put {', '.join(given)} into it")
    else:
        if not isinstance(int8, bool):
            raise OptionError(f"--int8 is {int8!r}, expected true or false")
        precision = {"precision": "int8" if int8 else "fp32"}
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
