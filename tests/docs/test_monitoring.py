"""The dashboard, the rules and the scrape example of docs/: a real Prometheus answers them from edgevit's own pages.

No Grafana is asked: none has drawn the dashboard here.
"""

import importlib.util
import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgevit.device_profiles.state import FIRMWARE_FLAGS
from edgevit.runtime.board.report import BoardReport
from edgevit.runtime.delivery.sender import Backlog
from edgevit.runtime.delivery.stored import SpoolCounts
from edgevit.runtime.events.event import Event
from edgevit.runtime.moment import Moment
from edgevit.runtime.records import event_record, result_record
from edgevit.runtime.results import Result
from edgevit.runtime.serve.address import Access
from edgevit.runtime.serve.answers import PageState
from edgevit.runtime.serve.server import Server
from edgevit.runtime.serve.status import RunStatus
from edgevit.runtime.serve.view import View
from tests.docs.blocks import fenced_blocks
from tests.places import DOCS, ROOT
from tests.ports import free_port, refusing_port
from tests.waiting import wait_for

PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")
needs_prometheus = pytest.mark.skipif(
    PROMETHEUS is None or PROMTOOL is None, reason="prometheus is not installed: apt-get install prometheus"
)
TOKEN = "hay5tack-0123456789"
DASHBOARD = json.loads((DOCS / "grafana.json").read_text())
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
ALERTS = re.findall(r"- alert: (\w+)", (DOCS / "prometheus" / "rules.yml").read_text())


class PlayedBoard:
    """A board's page as `edgevit run --serve` offers it, of a board that fares as it is told."""

    def __init__(self, root: Path, digest: str, *, ill: bool) -> None:
        status, report = RunStatus(3600.0), BoardReport(root / "farm.onnx", digest, root=root)
        for file, text in (("sys/class/thermal/thermal_zone0/temp", "61500"), (FIRMWARE_FLAGS, "4" if ill else "0")):
            (root / file).parent.mkdir(parents=True)
            (root / file).write_text(text)
        self._waiting = 1000 if ill else 0
        self._growth = 7 if ill else 0
        status.include(self._backlogs)
        about = {"version": "1", "model": "farm.onnx", "source": "camera:0"}
        self._server = Server(Access("127.0.0.1", 0, TOKEN), PageState(View(), status, about, board=report))
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        moment = Moment("camera:0", 1, 0.0, time.time())
        result = Result(np.array([0.75, 0.25], np.float32), ("hen", "fox"), inference_ms=5.0, moment=moment)
        for sink in (status, report):
            sink.write(result_record(result, moment))
            sink.write(event_record(Event("label", moment, {"label": "hen"})))
            if ill:
                sink.write(event_record(Event("source_lost", moment, {"reason": "no picture"})))
        if ill:
            report.reloading("the old model stays: damaged")

    def _backlogs(self) -> tuple[Backlog, ...]:
        self._waiting += self._growth
        return (Backlog("mqtt://broker/farm", False, SpoolCounts(self._waiting, 0, 0, 0)),)

    def close(self) -> None:
        self._server.close()


class Prometheus:
    """The real one, with the files of docs/prometheus but for how often it asks, and whom."""

    def __init__(self, folder: Path, addresses: list[str]) -> None:
        shutil.copytree(DOCS / "prometheus", folder)
        config = folder / "prometheus.yml"
        config.write_text(config.read_text().replace(": 30s", ": 300ms"))
        (folder / "boards.json").write_text(json.dumps([{"targets": addresses, "labels": {"place": "barn"}}]))
        (folder / "token").write_text(TOKEN)
        self.port = free_port()
        assert PROMETHEUS
        own = [f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{self.port}"]
        self._process = subprocess.Popen(
            [PROMETHEUS, f"--config.file={config}", *own], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def get(self, path: str, **query: str) -> Any:
        """Return what its interface answers; None while it is not there yet."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Return the series that a query finds."""
        answer = self.get("query", query=query)
        return [] if answer is None else list(answer["result"])

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One that has asked a board that is well, one that is not, and one that does not answer, several times each."""
    pytest.importorskip("prometheus_client", reason="needs the extra serve")
    folder = tmp_path_factory.mktemp("boards")
    well = PlayedBoard(folder / "well", "c4e4961e", ill=False)
    ill = PlayedBoard(folder / "ill", "0042beef", ill=True)
    with refusing_port() as port:
        made = Prometheus(folder / "prometheus", [well.address, ill.address, f"127.0.0.1:{port}"])
        made.ill = ill.address  # type: ignore[attr-defined]
        try:
            wait_for(lambda: len(made.ask("count_over_time(edgevit_info[1m]) > 3")) == 2)
            yield made
        finally:
            made.close()
            well.close()
            ill.close()


@needs_prometheus
@pytest.mark.parametrize("query", QUERIES)
def test_prometheus_answers_every_query_of_the_dashboard(prometheus: Prometheus, query: str) -> None:
    assert prometheus.ask(query.replace("$board", ".*")), query


@needs_prometheus
def test_dashboard_counts_boards_and_models(prometheus: Prometheus) -> None:
    shown = {panel["title"]: panel["targets"][0]["expr"] for panel in DASHBOARD["panels"]}
    titles = ("Boards", "Silent boards", "Boards without results", "Different models")
    assert [prometheus.ask(shown[title])[0]["value"][1] for title in titles] == ["3", "1", "1", "2"]


@needs_prometheus
def test_dashboard_can_choose_among_the_boards(prometheus: Prometheus) -> None:
    (variable,) = [each for each in DASHBOARD["templating"]["list"] if each["name"] == "board"]
    assert variable["query"] == "label_values(edgevit_info, instance)"
    found = prometheus.get("label/instance/values", **{"match[]": "edgevit_info"})
    assert prometheus.ill in found  # type: ignore[attr-defined]
    assert len(found) == 2
    one = next(query for query in QUERIES if "temperature" in query)
    assert len(prometheus.ask(one.replace("$board", found[0]))) == 1


@needs_prometheus
@pytest.mark.parametrize("alert", ALERTS)
def test_rule_finds_the_board_that_is_ill_and_no_other(prometheus: Prometheus, alert: str) -> None:
    rules = {rule["name"]: rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]}
    assert sorted(rules) == sorted(ALERTS)
    (found,) = prometheus.ask(rules[alert]["query"])
    if alert == "EdgevitModelsDiffer":
        assert (found["metric"], found["value"][1]) == ({"model": "farm.onnx"}, "2")
    elif alert == "EdgevitBoardSilent":
        assert found["metric"]["instance"] != prometheus.ill  # type: ignore[attr-defined]
    else:
        assert found["metric"]["instance"] == prometheus.ill  # type: ignore[attr-defined]


# series of one sample a minute; what is expected after so many minutes
CASES = [
    ("EdgevitBoardSilent", {'up{job="edgevit",instance="a"}': "1 0x9"}, 5, 7),
    ("EdgevitSourceLost", {'edgevit_source_lost{instance="a"}': "0 1x9"}, 5, 7),
    ("EdgevitThrottled", {'edgevit_throttled{instance="a"}': "0 1x19"}, 10, 12),
    ("EdgevitBacklogGrowing", {'edgevit_spool_records{instance="a",destination="d"}': "0+20x99"}, 19, 22),
    ("EdgevitReloadFailed", {'edgevit_reload_failed{instance="a"}': "0 1x9"}, 5, 7),
    (
        "EdgevitModelsDiffer",
        {
            'edgevit_info{model="m",sha256="1",instance="a"}': "1x2000",
            'edgevit_info{model="m",sha256="2",instance="b"}': "1x2000",
            'edgevit_info{model="other",sha256="3",instance="c"}': "1x2000",
        },
        1439,
        1441,
    ),
]
HEALTHY = {
    'up{job="edgevit",instance="a"}': "1x2000",
    'up{job="other",instance="b"}': "0x2000",
    'edgevit_source_lost{instance="a"}': "0x2000",
    'edgevit_throttled{instance="a"}': "0x2000",
    # many wait, but they become fewer; few wait, and become more
    'edgevit_spool_records{instance="a",destination="d"}': "9000-1x2000",
    'edgevit_spool_records{instance="b",destination="d"}': "0+0.04x2000",
    'edgevit_reload_failed{instance="a"}': "0x2000",
    'edgevit_info{model="m",sha256="1",instance="a"}': "1x2000",
    'edgevit_info{model="m",sha256="1",instance="b"}': "1x2000",
}


def firing(folder: Path, series: dict[str, str], alerts: list[str], minutes: int) -> bool:
    """Tell by promtool whether one of these fires then; it knows only tests, so that it is asked for their absence."""
    assert PROMTOOL
    test = {
        "rule_files": [str(DOCS / "prometheus" / "rules.yml")],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": [
                    {"eval_time": f"{minutes}m", "alertname": alert, "exp_alerts": []} for alert in alerts
                ],
            }
        ],
    }
    # JSON is YAML
    (folder / "test.yml").write_text(json.dumps(test))
    done = subprocess.run([PROMTOOL, "test", "rules", folder / "test.yml"], capture_output=True, text=True)
    assert done.returncode == 0 or f"alertname: {alerts[0]}" in done.stdout + done.stderr, done.stdout + done.stderr
    return done.returncode != 0


@needs_prometheus
@pytest.mark.parametrize(("alert", "series", "quiet", "loud"), CASES, ids=[case[0] for case in CASES])
def test_rule_waits_before_it_tells(tmp_path: Path, alert: str, series: dict[str, str], quiet: int, loud: int) -> None:
    assert [firing(tmp_path, series, [alert], minutes) for minutes in (quiet, loud)] == [False, True]


@needs_prometheus
def test_rules_are_silent_where_all_is_well(tmp_path: Path) -> None:
    assert not firing(tmp_path, HEALTHY, ALERTS, 1500)


@needs_prometheus
def test_prometheus_finds_no_fault_with_the_example(tmp_path: Path) -> None:
    assert PROMTOOL
    shutil.copytree(DOCS / "prometheus", tmp_path / "prometheus")
    (tmp_path / "prometheus" / "token").write_text(TOKEN)
    done = subprocess.run(
        [PROMTOOL, "check", "config", "prometheus.yml"], cwd=tmp_path / "prometheus", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_dashboard_is_what_its_script_builds() -> None:
    pytest.importorskip("grafana_foundation_sdk", reason="needs the extra dev")
    spec = importlib.util.spec_from_file_location("grafana_dashboard", ROOT / "tools" / "grafana_dashboard.py")
    assert spec
    assert spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert (DOCS / "grafana.json").read_text() == script.dashboard() + "\n", (
        "run: python tools/grafana_dashboard.py > docs/grafana.json"
    )


def test_dashboard_is_read_again_by_its_own_schema() -> None:
    models = pytest.importorskip("grafana_foundation_sdk.models.dashboard", reason="needs the extra dev")
    read = models.Dashboard.from_json(DASHBOARD)
    assert [panel.title for panel in read.panels] == [panel["title"] for panel in DASHBOARD["panels"]]
    assert len(read.panels) > 10


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_finds_no_fault_with_the_unit_that_passes_a_question_on(tmp_path: Path) -> None:
    (block,) = [block for block in fenced_blocks(DOCS / "fleet.md") if block.language == "ini"]
    assert "/edgevit-update.path" in block.first_line
    unit = tmp_path / "edgevit-update.path"
    unit.write_text(block.text)
    (tmp_path / "edgevit-update.service").write_text("[Service]\nType=oneshot\nExecStart=/bin/true\n")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "edgevit-update" in line]) == (0, [])
