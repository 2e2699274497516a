"""What detectors need on a Raspberry Pi 4, by estimate: edgevit's own beside YOLOX-nano and SSDLite-MobileNetV3.

    python benchmarks/detectors.py [--model NAME@PIXELS]... [--no-tflite] [--classes N]

Each model is exported as `edgevit export` does, with random weights, on which neither operators nor times depend:
float and int8, ONNX and TFLite. Estimates are of `edgevit benchmark --estimate rpi4`: four threads at 1.5 GHz, without
preparing the picture and without picking the boxes. SSDLite is torchvision's, quantized by ONNX Runtime's own tool;
where torchvision is not installed, its line has figures that were printed once where it was, and says so.
"""

import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from drawn import draw_folder
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from random_graphs import OPSET

from edgevit.device_profiles import find_profile
from edgevit.export.estimate.estimate import MHZ, THREADS, estimate
from edgevit.export.pipeline import export
from edgevit.export.recipe import SUFFIXES, Format, Recipe
from edgevit.models.zoo.registry import get_spec
from edgevit.system.program import Program

MODELS = (
    "efficientvit_b0_det@320",
    "efficientvit_b0_det@416",
    "sbcformer_xs_det@320",
    "efficientvit_b1_det@320",
    "yolox_nano@416",
)
PUBLISHED_AP = {"ssdlite320_mobilenet_v3_large": 21.3}
"""AP on COCO's val2017 of what is not in the zoo, as its makers publish it."""
SSDLITE = ("ssdlite320_mobilenet_v3_large", 320)
SSDLITE_ONCE = (3.44, 149.0, 73.0)
"""Millions of parameters, and ms estimated of float and int8 ONNX, printed once of torchvision's graph."""
CALIBRATION = 20


@click.command(cls=Program, help=__doc__)
@click.option("--model", "models", multiple=True, default=MODELS, show_default=True)
@click.option("--classes", default=80, show_default=True, help="How many things the detectors tell apart.")
@click.option("--tflite/--no-tflite", default=True, show_default=True, help="Convert to TFLite, too: minutes a model.")
def main(models: tuple[str, ...], classes: int, tflite: bool) -> None:
    formats: tuple[Format, ...] = ("onnx", "tflite") if tflite else ("onnx",)
    click.echo("Raspberry Pi 4, 4 threads, 1.5 GHz: estimated, never measured; AP: of COCO's val2017, as published")
    heads = [f"{format_} {precision}" for format_ in formats for precision in ("fp32", "int8")]
    click.echo(
        f"{'model':30} {'px':>4} {'M par':>6} {'AP':>5} " + " ".join(f"{head:>12}" for head in heads) + "  best int8"
    )
    with tempfile.TemporaryDirectory() as folder:
        pictures = draw_folder(Path(folder, "pictures"), (480, 640), CALIBRATION)
        for model in models:
            name, _, size = model.partition("@")
            times = {
                (format_, precision): exported_ms(name, int(size), classes, format_, precision, pictures)
                for format_ in formats
                for precision in ("fp32", "int8")
            }
            spec = get_spec(name)
            best = min(ms for (_, precision), ms in times.items() if precision == "int8")
            row(name, int(size), spec.parameters / 1e6, spec.accuracy, [*times.values()], best)
        ssdlite(Path(folder), len(heads))


def row(name: str, size: int, parameters: float, ap: float | None, times: list[float], best: float) -> None:
    """Print one line; a time that is none is left out."""
    cells = " ".join(f"{'' if np.isnan(ms) else f'{ms:.0f}':>12}" for ms in times)
    click.echo(f"{name:30} {size:4d} {parameters:6.2f} {'-' if ap is None else f'{ap:.1f}':>5} {cells}  {best:.0f} ms")


def exported_ms(name: str, size: int, classes: int, format_: Format, precision: str, pictures: Path) -> float:
    """Return the estimate of a model that is exported with random weights."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"model{SUFFIXES[format_]}")
        calibration: dict[str, Any] = {"data": pictures, "calibration_images": 16} if precision == "int8" else {}
        recipe = Recipe(
            name,
            weights="random",
            imgsz=size,
            num_classes=classes,
            format=format_,
            precision=precision,  # type: ignore[arg-type]
            **calibration,
        )
        click.echo(f"exporting {name} {size} {format_} {precision}", err=True)
        export(recipe, path)
        return estimated(path)


def estimated(path: Path) -> float:
    return estimate(path, find_profile("rpi4"), threads=THREADS, mhz=MHZ).ms


def ssdlite(folder: Path, columns: int) -> None:
    """Print the peer's line."""
    name, size = SSDLITE
    try:
        from torchvision.models.detection import ssdlite320_mobilenet_v3_large
    except ModuleNotFoundError:
        parameters, fp32, int8 = SSDLITE_ONCE
        row(name, size, parameters, PUBLISHED_AP[name], [fp32, int8, *[np.nan] * (columns - 2)], int8)
        click.echo("(that line was printed once where torchvision was installed: pip install torchvision)")
        return

    class Raw(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            found = self.model.head(list(self.model.backbone(x).values()))
            return found["bbox_regression"], found["cls_logits"]

    class Noise(CalibrationDataReader):
        def __init__(self) -> None:
            self.pictures = iter(np.random.default_rng(0).standard_normal((2, 1, 3, size, size), np.float32))

        def get_next(self) -> dict[str, np.ndarray] | None:
            picture = next(self.pictures, None)
            return None if picture is None else {"image": picture}

    torch.manual_seed(0)
    model = Raw().eval()
    files = [folder / f"ssdlite-{kind}.onnx" for kind in ("fp32", "ready", "int8")]
    example = (torch.zeros(1, 3, size, size),)
    torch.onnx.export(model, example, files[0], input_names=["image"], opset_version=OPSET, dynamo=True)
    quant_pre_process(files[0], files[1])
    quantize_static(files[1], files[2], Noise(), quant_format=QuantFormat.QDQ, per_channel=True)
    parameters = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    fp32, int8 = estimated(files[1]), estimated(files[2])
    row(name, size, parameters, PUBLISHED_AP[name], [fp32, int8, *[np.nan] * (columns - 2)], int8)


if __name__ == "__main__":
    main()
