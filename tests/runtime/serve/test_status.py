"""Whether results are being produced, of one source or several."""

from pathlib import Path

import numpy as np
import pytest

from edgevit.device_profiles.state import FIRMWARE_FLAGS
from edgevit.runtime.board.report import BoardReport
from edgevit.runtime.events.event import Event
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import event_record, result_record
from edgevit.runtime.results import Result
from edgevit.runtime.serve.metrics import exposition
from edgevit.runtime.serve.status import RunStatus
from edgevit.runtime.sources.frames import Clock


def write_result(status: RunStatus, source: str, dropped: int = 0) -> None:
    moment = Moment(source, 0, 0, 0)
    result = Result(np.array([1.0], np.float32), ("fox",), source, moment=moment, dropped=dropped)
    status.write(result_record(result, moment))


def lose(status: RunStatus, source: str) -> None:
    status.write(event_record(Event("source_lost", Moment(source, 0, 0, 0), {"reason": "gone"})))


def test_run_of_several_sources_is_lost_only_when_all_are() -> None:
    status = RunStatus(3600.0, sources=2)
    write_result(status, "a")
    write_result(status, "b")
    lose(status, "a")
    assert status.health().state == "running"
    assert "a is lost: gone" in status.health().reason
    lose(status, "b")
    assert status.health().state == "lost"
    write_result(status, "b")
    assert (status.health().state, "a is lost" in status.health().reason) == ("running", True)
    write_result(status, "a")
    assert status.health().reason == "results are being produced"


def test_one_dark_camera_of_several_does_not_make_the_run_ill() -> None:
    status, night = RunStatus(60.0, sources=2), Moment("b", 0, 0, 0)
    write_result(status, "a")
    # while the other goes on, in whatever order their pictures come
    for _ in range(2):
        status.black(night)
        assert (status.health().state, "the pictures of b are black" in status.health().reason) == ("running", True)
        write_result(status, "a")
    lose(status, "a")
    assert status.health().state == "lost"
    status.black(Moment("a", 1, 0, 0))
    assert status.health().state == "dark"
    write_result(status, "b")
    assert "the pictures of a are black" in status.health().reason
    assert status.health().state == "running"


def test_run_of_one_source_is_lost_with_it() -> None:
    status = RunStatus(3600.0)
    write_result(status, "a")
    lose(status, "a")
    assert status.health().state == "lost"


def test_dropped_pictures_of_all_sources_are_counted_together() -> None:
    status = RunStatus(3600.0, sources=2)
    for source, dropped in (("a", 3), ("b", 4), ("a", 5)):
        write_result(status, source, dropped)
    assert status.snapshot().dropped == 9


def test_metrics_tell_what_the_board_says_of_itself(tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client", reason="needs the extra serve")
    report = BoardReport(tmp_path / "m.onnx", "c4e4961e", clock=Clock(lambda: 1_763_645_791.25), root=tmp_path)
    about = {"version": "1", "model": "m.onnx", "source": "pen"}
    found = exposition(RunStatus(3600.0), about, report).decode().splitlines()
    assert 'edgevit_info{model="m.onnx",sha256="c4e4961e",source="pen",version="1"} 1.0' in found
    assert "edgevit_model_loaded_timestamp_seconds 1.76364579125e+09" in found
    assert {"edgevit_frames_per_second 0.0", "edgevit_reload_failed 0.0"} <= set(found)
    # of what the machine does not say there is no number
    assert not [line for line in found if line.startswith(("edgevit_temperature", "edgevit_throttled"))]
    zone, flags = tmp_path / "sys/class/thermal/thermal_zone0/temp", tmp_path / FIRMWARE_FLAGS
    for file, text in ((zone, "61500"), (flags, "50004")):
        file.parent.mkdir(parents=True)
        file.write_text(text)
    report.reloading("the old model stays: damaged")
    found = exposition(RunStatus(3600.0), about, report).decode().splitlines()
    assert {"edgevit_temperature_celsius 61.5", "edgevit_throttled 1.0", "edgevit_reload_failed 1.0"} <= set(found)
