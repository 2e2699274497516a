"""The comparison with other runtimes says what was measured, and calls no row an alternative that answers worse."""

import contextlib
import dataclasses
import importlib
import math
import os
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edgevit.errors import DataError
from tests.places import ROOT

BENCHMARKS = ROOT / "benchmarks"
DEFAULT = "edgevit TFLite int8"


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)


def part(name: str) -> ModuleType:
    return importlib.import_module(f"peers.{name}")


def row(label: str, ms: float, precision: str = "int8", top1: float | None = None, deviation: float = 0.0) -> Any:
    """Return a row that takes `ms` with one thread and half of it with two."""
    result = part("result")
    times = tuple(result.Time(count, ms / count, ms / count - 0.1, ms / count + 0.2, count, None) for count in (1, 2))
    return result.Measured(label, precision, "somehow", 1.0, times, deviation, top1, top1)


def comparison(*models: Any, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "date": "2026-11-20T18:00:00+00:00",
        "machine": "a machine",
        "cores": 2,
        "packages": {"torch": "2.13.0"},
        "rounds": 30,
        "calls": 5,
        "images": 100,
        "tainted": (),
        "default": DEFAULT,
        "models": models,
    }
    return part("result").Comparison(**values | changes)


def model(name: str, *rows: Any, absent: dict[str, str] | None = None) -> Any:
    trained = any(row.top1 is not None for row in rows)
    return part("result").Model(name, "some weights", trained, rows, absent or {})


def trained(own_ms: float = 4.0, other_ms: float = 3.9) -> Any:
    """Return a model for which a row is fast and wrong, another fast and right."""
    return model(
        "sbcformer_xs",
        row("PyTorch eager", 20.0, "fp32", top1=0.85),
        row(DEFAULT, own_ms, top1=0.845),
        row("fast and wrong", 1.0, top1=0.83),
        row("fast and right", other_ms, top1=0.841),
        absent={"ncnn int8": "no tools"},
    )


def test_row_that_loses_over_a_point_is_marked() -> None:
    found = comparison(trained())
    remarks = {row.label: part("table").remark(found, found.models[0], row) for row in found.models[0].rows}
    assert remarks.pop("fast and wrong") == "loses over 1 point"
    assert set(remarks.values()) == {""}


def test_random_weights_are_judged_by_trained_ones_of_the_family() -> None:
    big = model("sbcformer_b", row(DEFAULT, 8.0), row("fast and wrong", 2.0))
    alone = model("efficientvit_b1", row(DEFAULT, 8.0))
    found = comparison(trained(), big, alone)
    judged = [part("result").keeps_accuracy(found, big, row) for row in big.rows]
    assert judged == [True, False]
    assert part("result").keeps_accuracy(found, alone, alone.rows[0]) is None


def test_float_row_with_other_answers_is_no_alternative() -> None:
    wrong = row("fast float", 1.0, "fp32", top1=0.85, deviation=0.2)
    found = comparison(model("sbcformer_xs", *trained().rows, wrong))
    assert part("table").remark(found, found.models[0], wrong) == "logits off by 20.0%"
    assert "fast float" not in part("table").verdict(found, found.models[0])


@pytest.mark.parametrize(("own_ms", "judged"), [(4.0, "within 5 %"), (4.2, "**slower**"), (1.5, "1.00 times, within")])
def test_default_is_compared_with_the_fastest_that_keeps_accuracy(own_ms: float, judged: str) -> None:
    """3.9 ms is the fastest sound row of others: 4.0 is 2.6 % more, 4.2 is 7.7 % more; 1.0 ms is wrong."""
    found = comparison(trained(own_ms))
    assert judged in part("table").verdict(found, found.models[0])


def test_where_accuracy_was_not_measured_the_verdict_says_so_and_no_slow_float_row_wins() -> None:
    """Nothing tells which int8 rows of random weights keep accuracy without a trained relative; 3.9 ms is fastest."""
    rows = (row("PyTorch eager", 24.64, "fp32"), row(DEFAULT, 3.94), row("other int8", 3.9), row("float", 9.0, "fp32"))
    found = comparison(model("efficientvit_b1", *rows))
    assert part("table").verdict(found, found.models[0]) == (
        "edgevit's default, edgevit TFLite int8; "
        "1 thread: 3.94 ms, fastest: other int8, 3.90 ms (1.01 times, within 5 %); "
        "2 threads: 1.97 ms, fastest: other int8, 1.95 ms (1.01 times, within 5 %). "
        "Accuracy was not measured: whether the int8 rows keep it is not known."
    )


def test_table_says_what_is_absent_and_why_and_that_a_machine_was_loaded() -> None:
    text = part("table").describe(comparison(trained(), tainted=("other processes kept 0.9 cores busy",)))
    assert "- ncnn int8: no tools" in text
    assert "**Tainted, not to be trusted:** other processes kept 0.9 cores busy." in text


def test_comparison_is_read_back_as_written(tmp_path: Path) -> None:
    found = comparison(trained(), model("efficientvit_b1", row(DEFAULT, 3.0)))
    path = tmp_path / "found.json"
    path.write_text(found.to_json())
    assert part("result").Comparison.read(path) == found


def test_runs_of_several_models_are_joined_and_no_others() -> None:
    joined, first = part("result").joined, comparison(trained())
    second = comparison(model("efficientvit_b1", row(DEFAULT, 3.0)), date="2026-11-21T18:00:00+00:00")
    assert joined([first, second]) == dataclasses.replace(second, models=(*first.models, *second.models))
    with pytest.raises(DataError, match="differ in more than models and date"):
        joined([first, dataclasses.replace(second, cores=4)])
    with pytest.raises(DataError, match="a model is in two"):
        joined([first, first])


def test_bars_are_as_long_as_the_times() -> None:
    found = comparison(trained())
    drawn = ET.fromstring(part("plot").draw(found))
    space = "{http://www.w3.org/2000/svg}"
    bars = [bar for bar in drawn.iter(f"{space}rect") if bar.get("height") != "12"]
    widths = [float(bar.attrib["width"]) for bar in bars]
    assert len(bars) == 4
    assert widths[-1] / widths[0] == pytest.approx(20.0, rel=0.01)  # 20 ms and 1 ms, slowest last
    assert [bar.get("fill") for bar in bars][:2] == [part("plot").UNSOUND, part("plot").OTHER]
    assert len(list(drawn.iter(f"{space}path"))) == 4


def test_ratio_is_of_times_in_the_same_round() -> None:
    """The machine is ten times slower in the second round."""
    measure = part("measure")
    default = measure.Runner(None, 1, None, [], rounds=[[1.0, 1.0], [10.0, 10.0], [1.0, 1.0]])
    other = measure.Runner(None, 1, None, [], rounds=[[2.0, 2.0], [20.0, 20.0], [2.0, 2.0]], processor_ms=24.0)
    time = measure.summarize(other, default)
    assert (time.ratio, time.median_ms, time.cores_busy) == (2.0, 2.0, 0.5)


def test_deviation_is_a_share_of_the_largest_logit() -> None:
    deviation = part("measure").deviation
    assert deviation([1.0, -4.0], [1.5, -5.0]) == pytest.approx(0.2)
    assert deviation([1.0, math.nan], [1.0, 2.0]) == 1e9


def test_missing_package_is_a_reason() -> None:
    measure, of = part("measure"), part("row")
    asked = of.Row("Thing", "fp32", "", ("no_such_package",), of.nothing_to_make, of.nothing_to_make)
    absent: dict[str, str] = {}
    assert not measure.convert(of.Job("sbcformer_xs", None, Path()), asked, None, absent)
    assert absent == {"Thing": "not installed: no_such_package"}


def test_conversions_of_other_weights_are_not_used_again(tmp_path: Path) -> None:
    forget = part("process").forget_other_weights
    forget(tmp_path, "a" * 64)
    (tmp_path / "row.done").touch()
    forget(tmp_path, "a" * 64)
    assert (tmp_path / "row.done").exists()
    forget(tmp_path, "b" * 64)
    assert not (tmp_path / "row.done").exists()


def test_rows_have_names_of_their_own() -> None:
    rows = part("rows")
    labels = [row.label for adapter in rows.ADAPTERS for row in adapter.ROWS]
    assert len(set(labels)) == len(rows.ROWS) == len(labels)
    assert not set(labels) & set(rows.IMPOSSIBLE)
    assert DEFAULT in labels


def test_a_row_that_dies_while_it_is_timed_is_a_reason_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "peers").mkdir()
    (tmp_path / "peers" / "worker.py").write_text(
        "import json, os, sys\n"
        "print(json.dumps({'logits': [1.0]}), flush=True)\n"
        "for number, line in enumerate(sys.stdin, start=1):\n"
        "    if sys.argv[-1] == 'dies' and number == 2:\n"
        "        os.abort()\n"
        "    sum(range(1_000_000))\n"
        "    print(json.dumps({'ms': [1.0], 'processor_ms': 1.0}), flush=True)\n"
    )
    measure, process, of = part("measure"), part("process"), part("row")
    monkeypatch.setattr(process, "BENCHMARKS", tmp_path)
    plan = measure.Plan((), (1,), 3, 1, "", None, 0, lambda text: None)
    absent: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        runners = []
        for name in ("lives", "dies"):
            worker = stack.enter_context(process.Process("run", of.Job("tiny", None, tmp_path), name))
            row = of.Row(name, "fp32", "", (), of.nothing_to_make, of.nothing_to_make)
            runners.append(measure.Runner(row, 1, worker, worker.answer()["logits"]))
        measure._take_turns(runners, plan, absent)
        assert runners[1].process.processor_s() > 0
    assert absent == {"dies": "does not run: died by SIGABRT"}
    assert [len(runner.rounds) for runner in runners] == [3, 1]


@pytest.fixture
def job(tmp_path: Path, tiny_model: Path) -> Any:
    """Return a job whose stock ONNX file is the tiny model, asked about a picture of one colour."""
    folder = tmp_path / "job"
    (folder / "onnx-runtime-fp32").mkdir(parents=True)
    shutil.copy(tiny_model, folder / "onnx-runtime-fp32" / "model.onnx")
    colour = np.array([1.0, -1.0, 0.5], np.float32)[None, :, None, None]
    np.save(folder / "calibration.npy", np.broadcast_to(colour, (2, 3, 24, 32)))
    return part("row").Job("sbcformer_xs", None, folder)


def test_row_answers_from_a_process_that_rests_between_its_turns(job: Any) -> None:
    with part("process").Process("run", job, "onnx-runtime-fp32", 1, threads=1) as process:
        assert process.answer()["logits"] == pytest.approx([4.0, -4.0, 2.0])
        told = process.ask(calls=3)
        assert len(told["ms"]) == 3
        assert min(told["ms"]) > 0
        assert process.processor_s() > 0
        _, status = os.waitpid(process._process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)


def test_failure_is_told_in_the_library_s_words(job: Any) -> None:
    (job.folder / "onnx-runtime-fp32" / "model.onnx").write_bytes(b"no model")
    process = part("process")
    with process.Process("run", job, "onnx-runtime-fp32", 1) as failing, pytest.raises(process.PeerError, match="ONNX"):
        failing.answer()


def test_death_is_told_with_its_signal(job: Any) -> None:
    process = part("process")
    with process.Process("run", job, "onnx-runtime-fp32", 1) as dying:
        dying.answer()
        dying._process.kill()
        with pytest.raises(process.PeerError, match="died by SIGKILL"):
            dying.ask(calls=1)


def test_every_field_of_the_document_is_described() -> None:
    text = (BENCHMARKS.parent / "docs" / "benchmark.md").read_text()
    result = part("result")
    for kind in (result.Comparison, result.Model, result.Measured, result.Time):
        assert [field.name for field in dataclasses.fields(kind) if f"`{field.name}`" not in text] == []
