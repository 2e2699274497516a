"""What a Raspberry Pi 4 takes by input size is shown alike by the command and the documents."""

import json
import re
from collections.abc import Callable

from edgevit.cli.board_times import own_ms
from edgevit.cli.size_text import describe_sizes, sizes_document
from edgevit.models.zoo.sizes import find_accuracies, find_works, smaller_sizes
from tests.places import DOCS, ROOT

Run = Callable[..., tuple[int, str, str]]
MODELS = ("efficientvit_b0", "sbcformer_xs")


def test_models_shows_time_by_size(run: Run) -> None:
    code, out, _ = run("models", "efficientvit_b0")
    assert code == 0
    assert "Raspberry Pi 4 by input size, estimated for 3 threads at 1.8 GHz, as --budget-ms counts:" in out
    works = {(work.size, work.format, work.precision): work for work in find_works("efficientvit_b0")}
    for side in (224, 192, 160):
        work = works[(side, side), "tflite", "int8"]
        # by docs/benchmark.md: a faster clock helps instructions alone, and work is spread evenly over threads
        ms = (0.0879 * work.instructions * 1500 / 1800 + 9.65 * work.misses) * 4 / 3 / 1e6
        assert f"{side}x{side}" in out
        assert f"{ms:.1f} ms" in out


def test_model_that_was_not_counted_has_no_table(run: Run) -> None:
    assert describe_sizes("efficientvit_l3") == ""
    code, out, _ = run("models", "efficientvit_l3", "--json")
    assert (code, json.loads(out)["sizes"]) == (0, [])


def test_smaller_inputs_take_less_time() -> None:
    for name in MODELS:
        for way in ("tflite int8", "tflite fp32", "onnx int8", "onnx fp32"):
            times = [row["rpi4_ms"][way] for row in sizes_document(name)]
            assert len(times) == 3
            assert times == sorted(times, reverse=True)


def test_accuracies_say_of_how_many_pictures() -> None:
    for name in MODELS:
        for found in find_accuracies(name):
            assert found.images >= 100
            assert 10 < found.top1 <= 100


def test_page_shows_the_same_figures() -> None:
    text = (DOCS / "models.md").read_text().partition("<!-- sizes -->")[2].partition("<!-- end of sizes -->")[0]
    for name in MODELS:
        for row in sizes_document(name):
            size = "x".join(map(str, row["size"]))
            line = next(line for line in text.splitlines() if line.startswith(f"| {name} | {size} |"))
            assert f"| {row['rpi4_ms']['tflite int8']:.1f} ms |" in line
            assert row["accuracy"] is None or f"| {row['accuracy']['top1']:.1f} % |" in line


def test_readme_shows_the_same_figures() -> None:
    rows = [line for line in (ROOT / "README.md").read_text().splitlines() if re.match(r"\| (\*\*)?`\w+`", line)]
    assert len(rows) == 3
    for line in rows:
        name, _, onnx, tflite = (cell.strip("*` ") for cell in line.strip("| ").split("|"))
        assert [onnx, tflite] == [f"{own_ms(name, form):.0f} ms" for form in ("onnx", "tflite")]


def test_sizes_are_sevenths_of_the_models_own() -> None:
    assert smaller_sizes((224, 224)) == ((224, 224), (192, 192), (160, 160))
    assert smaller_sizes((320, 320)) == ((320, 320), (288, 288), (224, 224))
    assert smaller_sizes((32, 64)) == ((32, 64), (32, 32))
