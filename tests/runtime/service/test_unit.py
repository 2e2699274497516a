"""The unit file: what systemd itself says about it, and that it is written whole, and never over another's."""

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edgevit.errors import OptionError
from edgevit.runtime.board.status import status_path
from edgevit.runtime.run.options import RunOptions
from edgevit.runtime.service.job import make_job
from edgevit.runtime.service.place import check_name, check_readable, readable_folders, unit_folder, write_unit
from edgevit.runtime.service.secrets import Credential
from edgevit.runtime.service.unit import Job, quoted, unit_text, watchdog_s
from edgevit.runtime.sources.options import SourceOptions
from edgevit.runtime.sources.sampling import SamplingInterval

Run = Callable[..., tuple[int, str, str]]

CAMERA = Job(
    name="edgevit",
    command=(sys.executable, "-P", "-m", "edgevit", "run", "/srv/m.onnx", "camera:0"),
    about="edgevit: m.onnx on camera:0",
    kinds=("camera",),
    watchdog_s=300,
    memory=500_000_000,
    network=False,
)
PICAM = dataclasses.replace(CAMERA, kinds=("picam",))
NETWORK = dataclasses.replace(CAMERA, kinds=("rtsp",), network=True)
USER = dataclasses.replace(CAMERA, user=True)
SECRET = dataclasses.replace(NETWORK, secrets=(Credential("EDGEVIT_SOURCE", Path("/etc/edgevit/a b/100%")),))
JOBS = {"camera": CAMERA, "picam": PICAM, "network": NETWORK, "user": USER, "secret": SECRET}

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (Debian's package systemd)"
)


def settings(job: Job) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit_text(job).splitlines():
        name, equals, value = line.partition("=")
        if equals:
            found.setdefault(name, []).append(value)
    return found


# ------------------------------------------------------------------ what systemd says


def analyze(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = ["systemd-analyze", "--no-pager", *map(str, arguments)]
    # where a user's manager would have its sockets; nothing is looked for there
    environment = {"XDG_RUNTIME_DIR": "/run"} | os.environ
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)


@needs_systemd
@pytest.mark.parametrize("name", JOBS)
def test_systemd_finds_no_fault(name: str, tmp_path: Path) -> None:
    path = tmp_path / "edgevit.service"
    path.write_text(unit_text(JOBS[name]))
    done = analyze("verify", *(["--user"] if name == "user" else ["--man=no"]), path)
    complaints = [line for line in done.stderr.splitlines() if str(path) in line or "edgevit.service" in line]
    assert (done.returncode, complaints) == (0, [])


@needs_systemd
def test_systemd_takes_every_argument(tmp_path: Path) -> None:
    path = tmp_path / "edgevit.service"
    odd = ("a b", "100%", "$HOME", "${HOME}", 'say "no"', "it's", "back\\slash", ";", "", "tab\there", "Fähre", "#x")
    path.write_text(unit_text(dataclasses.replace(CAMERA, command=(*CAMERA.command, *odd))))
    done = analyze("verify", "--man=no", path)
    assert (done.returncode, [line for line in done.stderr.splitlines() if str(path) in line]) == (0, [])


@needs_systemd
@pytest.mark.parametrize(("name", "most"), [("camera", 1.6), ("picam", 1.6), ("network", 1.8)])
def test_exposure_stays_low(name: str, most: float, tmp_path: Path) -> None:
    """Systemd's own scale goes from 0, nothing exposed, to 10; a unit without hardening has 9.6."""
    path = tmp_path / "edgevit.service"
    path.write_text(unit_text(JOBS[name]))
    done = analyze("security", "--offline=yes", f"--threshold={round(10 * most)}", path)
    if "offline" in done.stderr and "unrecognized" in done.stderr:
        pytest.skip("this systemd cannot judge a unit offline: that came with version 250")
    assert done.returncode == 0, done.stdout


# ------------------------------------------------------------------ what it says


def test_start_is_complete_with_the_first_result_and_silence_is_a_new_start() -> None:
    found = settings(CAMERA)
    assert (found["Type"], found["NotifyAccess"]) == (["notify"], ["main"])
    assert found["WatchdogSec"] == found["TimeoutStartSec"] == ["300"]
    assert (found["Restart"], found["RestartPreventExitStatus"]) == (["always"], ["2"])
    assert found["ExecReload"] == ["kill -HUP $MAINPID"]
    # the run itself ends what it started, after the frame in hand
    assert found["KillMode"] == ["mixed"]


def test_service_tells_its_status_in_a_folder_of_its_own() -> None:
    found = settings(dataclasses.replace(CAMERA, name="edgevit-gate"))
    assert found["RuntimeDirectory"] == ["edgevit/edgevit-gate"]
    assert found["ExecStart"][0].endswith(" camera:0 --status %t/edgevit/edgevit-gate/status.json")
    assert Path("/run/edgevit/edgevit-gate/status.json") == status_path("edgevit-gate")


def test_service_chooses_its_status_file_itself(tiny_model: Path) -> None:
    options = RunOptions(model=tiny_model, sources=["camera:0"], status="mine.json")
    with pytest.raises(OptionError, match="a service has a status file of its own"):
        make_job(options, user=True)


@pytest.mark.parametrize("watchdog", [1.0, 20.0, 300.0, 7260.0])
def test_camera_that_is_away_for_a_day_does_not_use_the_budget_up(watchdog: float) -> None:
    """Five starts that each wait for the watchdog take longer than the time in which five are too many."""
    found = settings(dataclasses.replace(CAMERA, watchdog_s=watchdog))
    starts, budget_s = int(found["StartLimitBurst"][0]), int(found["StartLimitIntervalSec"][0])
    assert starts * (watchdog + int(found["RestartSec"][0])) > budget_s
    # but a run that fails at once does
    assert watchdog < 100 or starts * int(found["RestartSec"][0]) < budget_s


@pytest.mark.parametrize(
    ("source_options", "expected"),
    [
        (SourceOptions(), 300),
        (SourceOptions(pace=SamplingInterval(3600.0)), 2 * 3600 + 10 + 60),
        (SourceOptions(pace=SamplingInterval(100.0), stall_s=60.0), 320),
    ],
)
def test_watchdog_waits_for_two_intervals_and_two_attempts_to_connect(
    source_options: SourceOptions, expected: float
) -> None:
    assert watchdog_s(source_options.result_limit_s) == expected


def test_devices_are_those_of_the_source() -> None:
    assert settings(CAMERA)["DeviceAllow"] == ["char-video4linux rw"]
    assert settings(CAMERA)["SupplementaryGroups"] == ["video"]
    assert "char-dma_heap rw" in settings(PICAM)["DeviceAllow"]
    network = settings(NETWORK)
    assert network["PrivateDevices"] == ["yes"]
    assert not {"DeviceAllow", "SupplementaryGroups"} & set(network)


def test_service_of_several_cameras_opens_the_devices_of_each() -> None:
    both = settings(dataclasses.replace(CAMERA, kinds=("camera", "picam", "rtsp"), network=True))["DeviceAllow"]
    assert len(both) == len(set(both))
    assert {"char-video4linux rw", "char-media rw"} <= set(both)


def test_network_is_closed_to_a_run_that_needs_none() -> None:
    assert settings(CAMERA)["IPAddressDeny"] == ["any"]
    network = settings(NETWORK)
    assert "IPAddressDeny" not in network
    assert network["After"] == ["network-online.target"]


def test_user_unit_has_only_what_a_users_manager_may_do() -> None:
    found = settings(USER)
    assert found["WantedBy"] == ["default.target"]
    assert not {"DynamicUser", "User", "ProtectSystem", "CapabilityBoundingSet", "DevicePolicy"} & set(found)
    assert found["NoNewPrivileges"] == ["yes"]
    assert found["MemoryMax"] == ["500000000"]


@pytest.mark.parametrize(
    ("argument", "written"),
    [
        ("rtsp://10.0.0.7/yard", "rtsp://10.0.0.7/yard"),
        ("a b", '"a b"'),
        ("", '""'),
        (";", '";"'),
        ('50% of $HOME "\\', '"50%% of $$HOME \\"\\\\"'),
        ("line\nend", '"line\\x0aend"'),
        ("Fähre", '"Fähre"'),
    ],
)
def test_argument_is_quoted_as_systemd_reads_it(argument: str, written: str) -> None:
    assert quoted(argument) == written


@pytest.mark.parametrize(
    ("folder", "written"),
    [
        ("/home/me/farm", "/home/me/farm"),
        ("/home/me/a b", '"/home/me/a b"'),
        ("/home/me/50%$HOME", '"/home/me/50%%$HOME"'),
        ("/home/me/Höfe", '"/home/me/Höfe"'),
        ("/home/me/it's", '"/home/me/it\'s"'),
        ('/home/me/"a"', '"/home/me/\\"a\\""'),
        ("/home/me/a\\b", '"/home/me/a\\\\b"'),
    ],
)
def test_folder_that_a_service_sees_is_named_as_systemd_reads_it(folder: str, written: str) -> None:
    """Only in a command line does systemd read $$ as one $: see systemd.service(5)."""
    assert settings(dataclasses.replace(CAMERA, readable=(folder,)))["BindReadOnlyPaths"] == [written]


@needs_systemd
def test_systemd_takes_every_folder(tmp_path: Path) -> None:
    path = tmp_path / "edgevit.service"
    odd = ("/srv/a b", "/srv/100%", "/srv/$HOME", '/srv/say "no"', "/srv/it's", "/srv/back\\slash", "/srv/Fähre")
    path.write_text(unit_text(dataclasses.replace(CAMERA, readable=odd)))
    done = analyze("verify", "--man=no", path)
    assert (done.returncode, [line for line in done.stderr.splitlines() if str(path) in line]) == (0, [])


def test_folder_that_a_unit_cannot_name_is_refused() -> None:
    with pytest.raises(OptionError, match="that a unit file cannot"):
        unit_text(dataclasses.replace(CAMERA, readable=("/home/me/a\nb",)))


@pytest.mark.parametrize(
    ("span_s", "written"), [(300.0, "300"), (1_209_600.0, "1209600"), (1_209_660.5, "1209660.5"), (0.25, "0.25")]
)
def test_times_are_written_without_an_exponent(span_s: float, written: str) -> None:
    """What systemd cannot parse it leaves out, with a line in the journal: no watchdog, or a timer without a period."""
    found = settings(dataclasses.replace(CAMERA, watchdog_s=span_s))
    assert (found["WatchdogSec"], found["TimeoutStartSec"]) == ([written], [written])


def test_argument_that_is_no_text_is_refused() -> None:
    with pytest.raises(OptionError, match="holds bytes that are not UTF-8, which a unit file cannot"):
        quoted("\udcff.onnx")


def test_description_is_one_line() -> None:
    text = unit_text(dataclasses.replace(CAMERA, about="edgevit: a\nExecStart=/bin/sh\n%i"))
    assert "Description=edgevit: a?ExecStart=/bin/sh?%%i\n" in text
    assert text.count("\nExecStart=") == 1


@pytest.mark.parametrize("name", ["", "Edgevit", "a.service", "../x", "a--b", "-a", "a" * 32, "é"])
def test_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match="expected small letters, digits and hyphens such as edgevit-yard"):
        check_name(name)


# ------------------------------------------------------------------ where it lies, and what it can read


def test_unit_lies_where_its_manager_looks() -> None:
    assert unit_folder(False) == Path("/etc/systemd/system")
    assert unit_folder(True, {"XDG_CONFIG_HOME": "/x"}) == Path("/x/systemd/user")


def test_only_folders_that_are_hidden_are_bound() -> None:
    folders = [Path("/home/pi/a/b"), Path("/home/pi/a"), Path("/usr"), Path("/root/models")]
    assert readable_folders(folders) == ("/home/pi/a", "/root/models")


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("/tmp/x", "lies in /tmp, of which a service has its own, empty one; move it, or use user="),
        ("/home/pi", "is a whole home; put the model into a folder of its own"),
        ("/root", "is a whole home"),
        ("/home/pi/a:b", "holds a colon"),
    ],
)
def test_folder_that_a_service_cannot_have_is_refused(folder: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        readable_folders([Path(folder)])


def test_file_that_is_closed_to_others_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"")
    path.chmod(0o640)
    with pytest.raises(OptionError, match=r"cannot be read by the service's own user; run: chmod o\+r "):
        check_readable(path)


def test_unit_of_somebody_else_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "edgevit.service"
    assert write_unit(path, "one\n")
    assert not write_unit(path, "one\n")
    with pytest.raises(OptionError, match="exists and says something else; give force= to replace it"):
        write_unit(path, "two\n")
    assert path.read_text() == "one\n"
    assert write_unit(path, "two\n", force=True)
    assert path.read_text() == "two\n"
    assert os.listdir(path.parent) == ["edgevit.service"]
    assert path.stat().st_mode & 0o777 == 0o644
