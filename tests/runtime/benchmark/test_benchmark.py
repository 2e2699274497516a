"""A benchmark's figures are what was measured, and a machine that was not fit to be measured on is told."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgevit.cli.benchmark_text import describe
from edgevit.device_profiles.state import MachineState as State
from edgevit.device_profiles.state import busy_seconds, read_state
from edgevit.errors import DataError, ModelFileError
from edgevit.runtime.benchmark.compare import compare, find_doubts
from edgevit.runtime.benchmark.first import measure_first
from edgevit.runtime.benchmark.machine import describe_machine, find_taints, worst
from edgevit.runtime.benchmark.measure import Plan, benchmark
from edgevit.runtime.benchmark.report import First, Machine, Ratio, Report, Run, Times, read_report
from edgevit.runtime.benchmark.summary import compare_rounds, is_settled, summarize
from tests.places import DOCS

MakeModel = Callable[..., Path]
QUIET = State(
    temperature_c=50.0, clock_mhz=1500.0, governor="ondemand", throttle_flags=0, throttle_count=None, load=0.1
)


def test_percentiles_are_of_all_calls() -> None:
    assert summarize(range(101)) == Times(50, 90, 99)


def test_ratio_is_of_times_in_the_same_round() -> None:
    """The machine is ten times slower in the second round; the ratio is two in both, and 2.2 in the third."""
    first = [[1.0, 1.0, 5.0], [10.0, 10.0, 10.0], [1.0, 1.0, 1.0]]
    other = [[2.0, 2.0, 2.0], [20.0, 90.0, 20.0], [2.2, 2.2, 2.2]]
    assert compare_rounds(other, first) == Ratio(2.0, 2.0, 2.16)


def test_warm_up_ends_when_calls_take_equally_long() -> None:
    assert not is_settled([1.0] * 9)
    assert is_settled([9.0, *[1.0] * 5, *[1.01] * 5])
    assert not is_settled([1.0] * 5 + [0.95] * 5)


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """Return a root folder with the files of a Raspberry Pi at 61.5 degrees and 1.5 GHz."""
    files = {
        "proc/cpuinfo": "processor\t: 0\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n",
        "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
        "proc/loadavg": "0.25 0.10 0.05 1/100 1234\n",
        "proc/stat": "cpu  100 20 30 9000 400 5 6 7 0 0\ncpu0 1 2 3\n",
        "sys/class/thermal/thermal_zone0/temp": "61500\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1500000\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
    }
    for name, text in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "root"


def _install_vcgencmd(board: Path, flags: str) -> None:
    path = board / "usr/bin/vcgencmd"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\n[ "$1" = get_throttled ] && echo throttled={flags}\n')
    path.chmod(0o755)


def test_board_is_read_from_its_files(board: Path) -> None:
    assert read_state(board) == State(61.5, 1500.0, "ondemand", None, None, 0.25)
    assert describe_machine(board).name == "Raspberry Pi 4 Model B Rev 1.4"
    # user, nice, system, irq, softirq, steal: 168 ticks of a hundredth second
    assert busy_seconds(board) == pytest.approx(1.68)
    _install_vcgencmd(board, "0x50005")
    assert read_state(board).throttle_flags == 0x50005
    (board / "sys/devices/platform/soc/soc:firmware").mkdir(parents=True)
    (board / "sys/devices/platform/soc/soc:firmware/get_throttled").write_text("4\n")
    assert read_state(board).throttle_flags == 4


def test_machine_that_says_nothing_is_no_error(tmp_path: Path) -> None:
    assert read_state(tmp_path) == State(None, None, None, None, None, 0.0)
    assert worst([read_state(tmp_path)]) == read_state(tmp_path)
    _install_vcgencmd(tmp_path, "")
    assert read_state(tmp_path).throttle_flags is None


@pytest.mark.parametrize(
    ("during", "after", "others", "expected"),
    [
        ({}, {}, 0.1, ()),
        ({"throttle_flags": 0x4}, {}, 0.0, ("throttled",)),
        ({}, {"throttle_flags": 0x10000}, 0.0, ("under-voltage",)),
        ({}, {"throttle_flags": 0xA000A}, 0.0, ("the clock was capped", "at the soft temperature limit")),
        ({"clock_mhz": 1200.0}, {}, 0.0, ("the clock fell from 1500 to 1200 MHz",)),
        ({"clock_mhz": 1400.0}, {}, 0.0, ()),
        ({}, {"throttle_count": 3}, 0.0, ("throttled",)),
        ({}, {}, 0.84, ("other processes kept 0.8 cores busy",)),
    ],
)
def test_unfit_machine_taints_the_figures(
    during: dict[str, Any], after: dict[str, Any], others: float, expected: tuple[str, ...]
) -> None:
    states = [QUIET, dataclasses.replace(QUIET, **during)]
    assert find_taints(QUIET, states, dataclasses.replace(QUIET, **after), others) == expected


def test_throttling_before_the_benchmark_does_not_taint_it() -> None:
    since = dataclasses.replace(QUIET, throttle_flags=0x50000)
    assert find_taints(since, [since], since, 0.0) == ()


def test_worst_of_several_moments_is_hot_slow_and_flagged() -> None:
    hot = State(80.0, 600.0, "ondemand", 0x8, 2, 3.0)
    assert worst([QUIET, hot, QUIET]) == hot


@pytest.fixture
def picture(red_image: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".png", red_image)[1].tobytes()


@pytest.fixture
def report(tiny_model: Path, make_model: MakeModel, picture: bytes, board: Path) -> Report:
    models = (tiny_model, make_model("other.onnx"))
    return benchmark(Plan(models, (1, 2), {}, picture, "red", rounds=3, calls=2, starts=0, warmup_s=0.1), board)


def test_every_model_is_measured_with_every_number_of_threads(report: Report, tiny_model: Path) -> None:
    assert [(Path(run.model).name, run.threads) for run in report.runs] == [
        ("tiny.onnx", 1), ("tiny.onnx", 2), ("other.onnx", 1), ("other.onnx", 2)
    ]  # fmt: skip
    first, *others = report.runs
    assert first.calls == 6
    assert first.ratio is None
    assert all(run.ratio is not None and run.ratio.p10 <= run.ratio.median <= run.ratio.p90 for run in others)
    assert (first.precision, first.size_mb) == ("fp32", round(tiny_model.stat().st_size / 1e6, 3))
    assert report.before == read_state_of_board()


def read_state_of_board() -> State:
    return State(61.5, 1500.0, "ondemand", None, None, 0.25)


def test_stages_are_parts_of_the_whole(report: Report) -> None:
    for run in report.runs:
        parts = (run.preprocess, run.inference, run.postprocess)
        assert all(0 < part.p50_ms <= part.p90_ms <= part.p99_ms for part in parts)
        assert max(part.p50_ms for part in parts) < run.total.p50_ms
        assert run.fps == pytest.approx(1000 / run.total.p50_ms, rel=0.01)


def test_first_answer_has_a_process_of_its_own(tiny_model: Path, picture: bytes) -> None:
    first = measure_first(tiny_model, 1, {}, picture, 1)
    assert first is not None
    assert first.total_ms == pytest.approx(first.import_ms + first.load_ms + first.answer_ms, abs=0.1)
    # Python with numpy, OpenCV and ONNX Runtime takes more than 20 MB
    assert 20 < first.peak_mb < 1000


def test_failing_process_is_one_line(tmp_path: Path, picture: bytes) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"broken")
    with pytest.raises(
        ModelFileError, match=r"broken\.onnx failed in a process of its own: .*ModelFileError"
    ) as caught:
        measure_first(tmp_path / "broken.onnx", 1, {}, picture, 1)
    assert "\n" not in str(caught.value)
    assert measure_first(tmp_path / "broken.onnx", 1, {}, picture, 0) is None


def test_board_that_throttles_meanwhile_is_told(tiny_model: Path, picture: bytes, board: Path) -> None:
    """The flags rise at the second reading, as on a board that gets hot."""
    readings = iter(["0x0", "0x80008", "0x80000", "0x80000"])

    def now() -> State:
        _install_vcgencmd(board, next(readings))
        return read_state(board)

    report = benchmark(
        Plan((tiny_model,), (1,), {}, picture, "red", rounds=2, calls=1, starts=0, warmup_s=0.1), board, now=now
    )
    assert report.tainted[0] == "at the soft temperature limit"
    assert report.during.throttle_flags == 0x80008


def test_report_survives_writing_and_reading(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(report.to_json())
    assert read_report(path) == report


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "no json",
            r"is no JSON that can be read: Expecting value: line 1 column 1 \(char 0\); write it with `edgevit "
            "benchmark MODEL --json",
        ),
        ("[]", "is no benchmark: report is"),
        ("{}", r"is no benchmark: report\.machine is 'nothing', expected a value"),
    ],
)
def test_other_file_is_no_report(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(DataError, match=reason):
        read_report(path)
    with pytest.raises(DataError, match="cannot be read: No such file or directory; give what"):
        read_report(tmp_path / "none.json")


def _slower(report: Report, factor: float, **changes: Any) -> Report:
    runs = [
        dataclasses.replace(run, total=Times(*(factor * value for value in dataclasses.astuple(run.total))))
        for run in report.runs
    ]
    return dataclasses.replace(report, runs=tuple(runs), **changes)


@pytest.mark.parametrize(("factor", "verdict"), [(1.3, "slower"), (0.7, "faster"), (1.04, "same")])
def test_comparison_says_what_changed(report: Report, factor: float, verdict: str) -> None:
    changes = compare(report, _slower(report, factor))
    assert {change.verdict for change in changes} == {verdict}
    assert changes[0].ratio == pytest.approx(factor)
    assert (changes[1].model, changes[1].threads) == ("tiny.onnx", 2)


def test_comparison_doubts_what_is_not_alike(report: Report) -> None:
    calm = dataclasses.replace(report, tainted=())
    assert list(find_doubts(calm, calm)) == []
    machine = dataclasses.replace(report.machine, name="another")
    other = dataclasses.replace(calm, tainted=("throttled",), machine=machine, picture="blue")
    assert list(find_doubts(calm, other)) == [
        "the second benchmark is tainted: throttled",
        "another machine: Raspberry Pi 4 Model B Rev 1.4 and another",
        "another picture: red and blue",
    ]
    with pytest.raises(DataError, match=r"no model and number of threads in common: tiny\.onnx with 1, .* and $"):
        compare(calm, dataclasses.replace(calm, runs=()))


Call = Callable[..., tuple[int, str, str]]


def test_command_prints_a_table_and_json_that_it_can_compare(
    tiny_model: Path, run: Call, tmp_path: Path, make_model: MakeModel
) -> None:
    options = ("--rounds", 2, "--starts", 0, "--threads", "1,2")
    code, out, _ = run("benchmark", tiny_model, make_model("other.onnx"), *options)
    assert code == 0
    rows = [line.split() for line in out.splitlines() if line[:1] in "1234" and ".onnx" in line]
    assert [row[1:3] for row in rows] == [
        ["tiny.onnx", "1"],
        ["tiny.onnx", "2"],
        ["other.onnx", "1"],
        ["other.onnx", "2"],
    ]
    code, out, _ = run("benchmark", tiny_model, *options, "--json")
    assert json.loads(out)["runs"][1]["threads"] == 2
    path = tmp_path / "report.json"
    path.write_text(out)
    code, out, _ = run("benchmark", "--compare", path, path)
    assert code == 0
    assert [line.split()[-2:] for line in out.splitlines() if "tiny.onnx" in line] == [["1.000", "same"]] * 2


def test_text_tells_the_machine_and_its_taint(report: Report) -> None:
    flagged = dataclasses.replace(report.before, throttle_flags=0x50000)
    hot = dataclasses.replace(flagged, temperature_c=82.1, clock_mhz=1000.0, throttle_flags=0x50004)
    text = describe(dataclasses.replace(report, before=flagged, during=hot, after=flagged, tainted=("throttled",)))
    lines = text.splitlines()
    assert lines[0].startswith("Raspberry Pi 4 Model B Rev 1.4, ")
    assert "temperature: 61.5 C before, 82.1 C at worst, 61.5 C after" in lines
    assert "clock: 1500 MHz before, 1000 MHz at worst, 1500 MHz after" in lines
    assert "throttle flags: 0x50000 before, 0x50004 at worst, 0x50000 after" in lines
    assert "governor: ondemand" in lines
    assert lines[-1] == "TAINTED: throttled; cool, power or free the machine and measure again"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "missing MODEL; give one or several exported files, or --compare BEFORE AFTER"),
        (("MODEL", "--threads", "0"), "--threads is 0, expected a whole number from 1 to 1024"),
        (("MODEL", "--threads", "1,many"), "--threads is 'many', expected a whole number from 1 to 1024"),
        (("MODEL", "--threads", "1,9999"), "--threads is 9999, expected a whole number from 1 to 1024"),
        (("MODEL", "--compare", "a.json", "b.json"), "leave out MODEL"),
    ],
)
def test_wrong_use_is_told(tiny_model: Path, run: Call, arguments: tuple[str, ...], reason: str) -> None:
    code, _, err = run("benchmark", *(str(tiny_model) if word == "MODEL" else word for word in arguments))
    assert code == 2
    assert reason in err


def test_picture_that_cannot_be_read_is_told(tiny_model: Path, run: Call) -> None:
    code, _, err = run("benchmark", tiny_model, "--image", "none.jpg")
    assert code == 1
    assert err == "edgevit: none.jpg does not exist\n"


@pytest.mark.parametrize("kind", [Report, Machine, State, Run, Times, Ratio, First])
def test_every_field_is_described(kind: type) -> None:
    text = (DOCS / "benchmark.md").read_text()
    assert [field.name for field in dataclasses.fields(kind) if f"`{field.name}`" not in text] == []
