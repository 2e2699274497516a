"""A budget picks what fits the board by estimate, largest input first; what was given stays, and refusals say why."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from edgevit.errors import OptionError
from edgevit.export import export
from edgevit.export.budget import choose, weigh
from edgevit.export.data.choose import folder_images, read_labelled
from edgevit.export.recipe import Recipe
from edgevit.models.zoo.sizes import SizedWork

MS_PER_MILLION_MISSES = 9.65 * 4 / 3
"""On a Raspberry Pi 4 with three threads, by docs/benchmark.md: 12.87 ms."""
RANDOM: dict[str, Any] = {"weights": "random", "num_classes": 4, "target": "rpi4"}
BUNDLED: dict[str, Any] = {"target": "rpi4"}
Run = Callable[..., tuple[int, str, str]]

WORKS = tuple(
    SizedWork((side, side), form, precision, 0.0, 1e6 * misses)
    for side, ways in {
        224: {"onnx fp32": 4.0, "onnx int8": 2.0, "tflite fp32": 2.5, "tflite int8": 1.0},
        192: {"onnx fp32": 3.0, "onnx int8": 1.6, "tflite fp32": 1.8, "tflite int8": 0.8},
        160: {"onnx fp32": 2.0, "onnx int8": 1.2, "tflite fp32": 1.1, "tflite int8": 0.6},
    }.items()
    for way, misses in ways.items()
    for form, precision in [way.split()]
)


class Exporter:
    """Stands for the pipeline: notes what it is to write, and lets the finished file be looked at."""

    def __init__(self, finished_ms: dict[str, float]) -> None:
        self.finished_ms = finished_ms
        self.recipes: list[Recipe] = []

    def export(self, recipe: Recipe, out: Path, track: Any, page: Any = None, accept: Any = lambda path: None) -> Any:
        path = out.with_name(f"{recipe.size_text}-{recipe.format}-{recipe.precision}")
        path.touch()
        accept(path)
        self.recipes.append(recipe)
        path.rename(out)
        return SimpleNamespace(recipe=recipe, path=out)

    def estimate(self, path: Path, profile: Any) -> Any:
        return SimpleNamespace(ms=self.finished_ms.get(path.name, 1.0))


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Exporter:
    made = Exporter({})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(choose, "export", made.export)
    monkeypatch.setattr(choose, "estimate", made.estimate)
    monkeypatch.setattr(weigh, "find_works", lambda name: WORKS)
    return made


def chosen(exporter: Exporter) -> tuple[Any, ...]:
    recipe = exporter.recipes[-1]
    return recipe.imgsz, recipe.format, recipe.precision


@pytest.mark.parametrize(
    ("budget", "given", "expected"),
    [
        (40.0, {}, ((224, 224), "tflite", "fp32")),  # 32.2 ms; ONNX int8 would be faster, but float loses nothing
        (30.0, {}, ((224, 224), "tflite", "int8")),  # 12.9 ms; of ONNX and TFLite the faster
        (11.0, {}, ((192, 192), "tflite", "int8")),  # 10.3 ms
        (8.0, {}, ((160, 160), "tflite", "int8")),  # 7.7 ms
        (30.0, {"format": "onnx"}, ((224, 224), "onnx", "int8")),  # 25.7 ms
        (24.0, {"precision": "fp32"}, ((192, 192), "tflite", "fp32")),  # 23.2 ms
        (24.0, {"precision": "fp16"}, ((192, 192), "tflite", "fp16")),  # as float32
        (30.0, {"imgsz": 192}, ((192, 192), "tflite", "fp32")),
        (40.0, {"io": "uint8"}, ((224, 224), "tflite", "int8")),  # integer ends exist in TFLite's int8 alone
        (40.0, {"layout": "frigate"}, ((224, 224), "tflite", "int8")),
        (60.0, {"simplify": False}, ((224, 224), "onnx", "fp32")),
    ],
)
def test_largest_input_then_float_then_the_faster_format(
    budget: float, given: dict[str, Any], expected: tuple[Any, ...], exporter: Exporter
) -> None:
    export("efficientvit_b0", budget_ms=budget, **BUNDLED, **given)
    assert chosen(exporter) == expected


def test_suffix_of_the_output_gives_the_format(exporter: Exporter) -> None:
    export("efficientvit_b0", "m.onnx", budget_ms=30, **BUNDLED)
    assert chosen(exporter) == ((224, 224), "onnx", "int8")


def test_finished_file_that_takes_longer_is_left_out(exporter: Exporter) -> None:
    exporter.finished_ms["224-tflite-int8"] = 14.5
    lines: list[str] = []
    export("efficientvit_b0", budget_ms=13, tell=lines.append, **BUNDLED)
    assert chosen(exporter) == ((192, 192), "tflite", "int8")
    assert "left out     224, tflite int8: the finished file is estimated at 14.5 ms" in lines
    assert lines[-1] == "chosen       192, tflite int8: the finished file is estimated at 1.0 ms, the budget is 13"


def test_lines_hold_all_that_was_weighed(exporter: Exporter) -> None:
    lines: list[str] = []
    export("efficientvit_b0", budget_ms=11, tell=lines.append, **BUNDLED)
    head, *rows = lines[:13]
    assert head == ("weighed      Raspberry Pi 4 Model B, 3 threads, 1.8 GHz, estimated; the budget is 11 ms")
    weighed = {tuple(row.split()[:3]): row.split()[3:] for row in rows}
    assert len(weighed) == 12
    assert weighed["224", "tflite", "int8"] == [f"{MS_PER_MILLION_MISSES:.1f}", "ms"]
    assert weighed["192", "tflite", "int8"] == [f"{0.8 * MS_PER_MILLION_MISSES:.1f}", "ms", "fits"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"budget_ms": 15}, "is a time on a board; say which: --target rpi4"),
        ({"budget_ms": 15, "target": "generic"}, "is a time on a board; say which: --target rpi4"),
        ({"budget_ms": 0, "target": "rpi4"}, "is 0, expected a number of milliseconds above 0"),
        ({"budget_ms": 15, "target": "rpi5"}, "knows boards with 4 Cortex-A72, such as rpi4, and rpi5 is none"),
        ({"budget_ms": 15, "target": "rpi4", "precision": "dynamic"}, "does not weigh --precision 'dynamic'"),
        ({"budget_ms": 15, "target": "rpi4", "imgsz": 100}, "each side must be a multiple of 32; try --imgsz 96 or"),
        ({"budget_ms": 15, "target": "rpi4", "precision": "fp32", "max_drop": 1.0}, "is a budget for"),
        ({"budget_ms": 15, "target": "rpi4", "format": "onnx", "io": "uint8"}, "'uint8' is for TFLite"),
        ({"budget_ms": 15, "target": "rpi4", "imgzs": 192}, "there is no option"),
        (
            {"budget_ms": 5, "target": "rpi4"},
            "5 cannot be met on a Raspberry Pi 4 Model B: the fastest there is takes 7.7 ms (160, tflite int8)",
        ),
    ],
)
def test_what_cannot_be_is_said_in_a_line(given: dict[str, Any], message: str, exporter: Exporter) -> None:
    with pytest.raises(OptionError) as caught:
        export("efficientvit_b0", **given)
    assert message in caught.value.command_line_text
    assert exporter.recipes == []


def test_no_finished_file_that_fits_leaves_nothing(exporter: Exporter, tmp_path: Path) -> None:
    exporter.finished_ms = {f"{side}-tflite-int8": 50.0 for side in (224, 192, 160)}
    with pytest.raises(OptionError, match="the finished files take longer than was weighed"):
        export("efficientvit_b0", "m.tflite", int8=True, budget_ms=13, **BUNDLED)
    assert not (tmp_path / "m.tflite").exists()


def test_int8_is_left_out_where_nothing_can_calibrate(exporter: Exporter) -> None:
    lines: list[str] = []
    export("efficientvit_b0", budget_ms=24, tell=lines.append, **RANDOM)
    assert chosen(exporter) == ((192, 192), "tflite", "fp32")
    assert lines[0].startswith("left out     int8: there is nothing to calibrate with; --data FOLDER")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twelve pictures each of two classes; a cat's first pixel is black, a dog's white."""
    for label, level in (("cat", 0), ("dog", 255)):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(12):
            cv2.imwrite(str(tmp_path / "photos" / label / f"{number}.png"), np.full((32, 32, 3), level, np.uint8))
    return tmp_path / "photos"


class Judging(Exporter):
    """Stands for exports of a model of two classes, and for the runtime that asks the files."""

    def __init__(self, right: dict[str, bool]) -> None:
        super().__init__({})
        self.right = right
        self.calibrated: set[Path] = set()
        self.judged: set[Path] = set()

    def export(self, recipe: Recipe, out: Path, *others: Any, **named: Any) -> Any:
        super().export(recipe, out, *others, **named)
        assert recipe.data is not None
        folder = read_labelled(recipe.data, "classes", ("cat", "dog"), False)
        images = folder_images(folder, None, ("cat", "dog"), recipe, judging=False)
        if images.calibration is not None:
            self.calibrated |= {Path(str(path)) for path in images.calibration.images}
        out.write_text(f"{recipe.size_text}-{recipe.format}-{recipe.precision}")
        weights, preprocess = SimpleNamespace(held_out=None), SimpleNamespace(levels=None)
        manifest = SimpleNamespace(labels=("cat", "dog"), weights=weights, preprocess=preprocess)
        return SimpleNamespace(path=out, manifest=manifest)

    @contextlib.contextmanager
    def load(self, path: Path, task: str) -> Iterator[Callable[[Path], Any]]:
        right = self.right.get(path.read_text(), False)

        def answer(picture: Path) -> Any:
            self.judged.add(picture)
            is_dog = picture.parent.name == "dog"
            return SimpleNamespace(probs=np.eye(2)[int(is_dog is right)])

        yield answer


def test_most_accurate_of_those_that_fit_is_taken_by_pictures_that_calibrated_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, photos: Path
) -> None:
    """192 in int8 does best here; of equals the faster is taken."""
    made = Judging({"192-tflite-int8": True})
    monkeypatch.chdir(tmp_path)
    for module, name, stand_in in (
        *((choose, "export", made.export), (choose, "estimate", made.estimate), (choose, "load", made.load)),
        (weigh, "find_works", lambda name: WORKS),
    ):
        monkeypatch.setattr(module, name, stand_in)
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    lines: list[str] = []
    # 13 ms: 224, 192 and 160 in int8; 14.2 ms too: 160 in float
    asked: dict[str, Any] = {"labels": "names.txt", "data": photos, "calibration_images": 16}
    export("efficientvit_b0", budget_ms=14.5, tell=lines.append, **asked, **BUNDLED)
    assert chosen(made) == ((192, 192), "tflite", "int8")
    assert len(made.calibrated) == 16
    assert made.judged | made.calibrated == set(photos.rglob("*.png"))
    assert not made.judged & made.calibrated
    assert "accuracy     100.00 % of 8 pictures: 192, tflite int8, 10.3 ms" in lines
    assert sum(line.startswith("accuracy     0.00 % of 8 pictures: ") for line in lines) == 3


def test_what_calibrates_int8_leaves_float_among_the_choices(exporter: Exporter) -> None:
    calibration: dict[str, Any] = {"synthesized": True, "method": "percentile", "calibration_images": 64}
    for budget, expected in ((40, "fp32"), (30, "int8")):
        export("efficientvit_b0", budget_ms=budget, **calibration, **BUNDLED)
        assert chosen(exporter)[2] == expected
    assert exporter.recipes[-1].method == "percentile"
    with pytest.raises(OptionError, match="is about the calibration of int8="):
        export("efficientvit_b0", budget_ms=30, precision="fp32", **calibration, **BUNDLED)


@pytest.mark.slow
def test_detector_is_weighed_and_its_file_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(
        *("export", "efficientvit_b0_det", "--weights", "random", "--num-classes", "2", "--imgsz", "64"),
        *("--format", "onnx", "--target", "rpi4", "--budget-ms", "60"),
    )
    assert (code, out) == (0, "efficientvit_b0_det.onnx\n"), err
    assert "weighing     64x64\n" in err
    assert "chosen       64, onnx fp32: the finished file is estimated at" in err
