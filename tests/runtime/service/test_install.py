"""`edgevit service`: what it writes and prints, and what no service can do."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "systemd" / "user"


def test_install_writes_the_unit_and_prints_the_next_command(run: Run, tiny_model: Path, configuration: Path) -> None:
    arguments = ("--user", "--name", "edgevit-yard", tiny_model, "http://10.0.0.7/", "--every", "10m", "--json")
    code, out, err = run("service", "install", *arguments)
    assert (code, out) == (0, "")
    path = configuration / "edgevit-yard.service"
    assert f"{path} was written\n" in err
    assert "next: systemctl --user daemon-reload && systemctl --user enable edgevit-yard" in err
    assert "loginctl enable-linger" in err
    text = path.read_text()
    command = f"ExecStart={sys.executable} -P -m edgevit run {tiny_model} http://10.0.0.7/ --every 10m --to json"
    assert command in text
    assert "WatchdogSec=1270\n" in text
    code, printed, _ = run("service", "print", *arguments)
    assert (code, printed) == (0, text)
    assert "is as it should be" in run("service", "install", *arguments)[2]
    code, _, err = run("service", "install", *arguments, "--top-k", "1")
    assert (code, path.read_text()) == (2, text)
    assert "give --force" in err
    assert run("service", "install", "--force", *arguments, "--top-k", "1")[0] == 0
    assert "--top-k 1" in path.read_text()


def test_rules_about_counts_are_in_the_unit_as_systemd_reads_them(
    run: Run, tiny_detector: Path, configuration: Path
) -> None:
    rules = ("--roi", "coop=0,0,0.5,1", "--count", "red>=10@coop", "--count", "blue==0")
    code, text, _ = run("service", "print", "--user", tiny_detector, "http://10.0.0.7/", *rules)
    assert code == 0
    assert "--count red>=10@coop --count blue==0" in text.replace('"', "")


def test_paths_are_whole_in_the_unit(
    run: Run, tiny_model: Path, configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_model.parent)
    Path("names.txt").write_text("a\nb\nc\n")
    _, out, _ = run("service", "print", "--user", tiny_model.name, "camera:0", "--labels", "names.txt")
    assert f"run {tiny_model} camera:0 --labels {tiny_model.parent}/names.txt --status " in out


def test_address_with_a_password_is_taken_out_of_the_unit(run: Run, tiny_model: Path, configuration: Path) -> None:
    code, out, err = run("service", "print", "--user", tiny_model, "rtsp://farm:hay5tack@10.0.0.7/yard")
    assert code == 0
    place = configuration.parents[1] / "edgevit/edgevit/EDGEVIT_SOURCE"
    assert f"EDGEVIT_SOURCE is secret: install writes it to {place}, for root alone" in err
    assert f"LoadCredential=EDGEVIT_SOURCE:{place}\n" in out
    assert " secret:EDGEVIT_SOURCE --status " in out
    assert "Description=edgevit: tiny.onnx on rtsp://farm:***@10.0.0.7/yard\n" in out
    assert "hay5tack" not in out + err
    assert not place.exists()  # `print` writes nothing


def test_secrets_of_the_environment_and_of_files_are_passed_on_by_systemd(
    run: Run, tiny_model: Path, configuration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "100%"
    own.write_text("hay5tack\n")
    folder = configuration.parents[1] / "edgevit/edgevit"
    folder.mkdir(parents=True)
    (folder / "FARM_KEY").write_text("hay5tack\n")
    monkeypatch.setenv("EDGEVIT_MQTT_USER", "board")
    monkeypatch.setenv("EDGEVIT_MQTT_PASSWORD_FILE", str(own))
    monkeypatch.setenv("EDGEVIT_SOURCE_USER", "unused: a camera on USB has no login")
    places = ("--to", "mqtt://broker/farm", "--to", "https://h/#header=X-Key:FARM_KEY")
    # it lies where an earlier install put it
    code, out, err = run("service", "install", "--user", tiny_model, "camera:0", *places)
    assert code == 0, err
    unit = (configuration / "edgevit.service").read_text()
    assert [line.partition("=")[2] for line in unit.splitlines() if line.startswith("LoadCredential")] == [
        f"EDGEVIT_MQTT_USER:{folder}/EDGEVIT_MQTT_USER",
        f"EDGEVIT_MQTT_PASSWORD:{str(own).replace('%', '%%')}",
        f"FARM_KEY:{folder}/FARM_KEY",
    ]
    assert (folder / "EDGEVIT_MQTT_USER").read_text() == "board\n"
    assert "hay5tack" not in out + err + unit


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("MODEL", "photos/"), "a service goes on, but photos/ ends; take a cron job or a systemd timer"),
        (("MODEL", "-"), "a service goes on, but stdin ends; take a camera or stream: a service has no stdin"),
        (("MODEL", "camera:0", "--once"), "--once and --max-frames end; leave them out, or use a systemd timer"),
        (("MODEL",), "Missing argument 'SOURCE...'"),
        (("missing.onnx", "camera:0"), "missing.onnx does not exist"),
        (("MODEL", "camera:0", "--evry", "5s"), "--evry"),
        (("MODEL", "camera:0", "--every", "soon"), "--every is 'soon', expected a time"),
        (
            ("--watchdog", "5s", "MODEL", "camera:0"),
            "--watchdog is 5s, but with these --every and --stall-timeout, and a",
        ),
        (("--name", "A b", "MODEL", "camera:0"), "--name is 'A b', expected small letters"),
        (("--memory", "much", "MODEL", "camera:0"), "--memory is 'much', expected bytes such as 500MB"),
    ],
)
def test_what_no_service_can_do_is_one_line(
    run: Run, tiny_model: Path, configuration: Path, arguments: tuple[str, ...], message: str
) -> None:
    given = [tiny_model if argument == "MODEL" else argument for argument in arguments]
    code, out, err = run("service", "install", "--user", *given)
    assert code in (1, 2)
    assert (out, err.count("\n")) == ("", 1)
    assert message in err
    assert not configuration.exists()


def test_system_service_writes_only_below_its_own_folder(run: Run, tiny_model: Path) -> None:
    spool = ("--to", "mqtt://broker/pens", "--spool", "/srv/spool")
    for place in (("--to", "/srv/a.jsonl"), ("--to", "hard:../hard"), spool):
        code, _, err = run("service", "print", tiny_model, "camera:0", *place)
        assert code == 2
        assert "the service may write only below /var/lib/NAME, not to" in err


def test_page_for_others_without_a_flag_is_one_line(run: Run, tiny_model: Path) -> None:
    code, out, err = run("run", tiny_model, "camera:0", "--serve", "0.0.0.0:8080")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "add --serve-anyone and a token" in err
    assert "add --serve 0.0.0.0:8080" in run("run", tiny_model, "camera:0", "--serve-anyone")[2]
