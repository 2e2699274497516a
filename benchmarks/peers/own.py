"""edgevit's own choices: what `edgevit export` writes, run by edgevit's sessions."""

from functools import partial
from pathlib import Path
from typing import Any

from peers.row import Call, Job, Row

FORMATS = {"ONNX": ("onnx", ("torch", "onnx", "onnxsim", "onnxruntime")), "TFLite": ("tflite", ("litert_torch",))}


def make(format_: Any, precision: Any, job: Job, folder: Path) -> None:
    from edgevit.export.pipeline import export
    from edgevit.export.recipe import Recipe

    # bundled weights bring calibration pictures, the same that the others got
    data = job.pictures if job.pictures.exists() else None
    export(Recipe(job.model, job.weights, format_, precision, data=data), folder / f"model.{format_}")


def open_file(job: Job, folder: Path, threads: int) -> Call:
    from edgevit.runtime.backends.session import open_session

    (path,) = folder.glob("model.*")
    return open_session(path, threads).run


ROWS = tuple(
    Row(
        f"edgevit {name} {precision}",
        precision,
        f"edgevit export --format {format_}{' --int8' if precision == 'int8' else ''}",
        packages,
        partial(make, format_, precision),
        open_file,
    )
    for name, (format_, packages) in FORMATS.items()
    for precision in ("fp32", "int8")
)
