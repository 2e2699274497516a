"""`edgevit update` on the command line: a board of a site that `edgevit fleet` made, in a user's own manager."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from edgevit.runtime.enroll import enroll as enroll_module
from edgevit.runtime.update.enrollment import read_enrollment
from edgevit.system.program import program_command
from tests.made_update_board import make_board

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a user's settings, beside a systemd that runs nothing."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "systemctl").write_text("#!/bin/sh\necho inactive\nexit 3\n")
    (tools / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    return tmp_path / "config"


@pytest.fixture
def site(tmp_path: Path, tiny_model: Path, run: Run) -> Path:
    folder = tmp_path / "farm"
    assert run("fleet", "init", folder)[0] == 0
    published = run("fleet", "publish", folder, tiny_model, "--as", "farm.onnx", "--channel", "stable")
    assert published[0] == 0, published[2]
    return folder


def enroll(run: Run, site: Path | str, root: Path, into: Path, *options: object) -> tuple[int, str, str]:
    told = ("--root", root, "--target", "stable/farm.onnx", "--into", into, "--user", *options)
    return run("update", "enroll", site, *told)


def test_board_is_enrolled_and_fetches_its_first_model(home: Path, site: Path, run: Run, tmp_path: Path) -> None:
    into = tmp_path / "models"
    code, out, err = enroll(run, site, site / "metadata" / "1.root.json", into, "--service", "yard", "--every", "30m")
    assert (code, out) == (0, "")
    assert err.splitlines() == [
        f"{home}/edgevit/yard/update.json is as it should be",
        f"{home}/systemd/user/yard-update.service is as it should be",
        f"{home}/systemd/user/yard-update.timer is as it should be",
        "next: edgevit update --service yard --user",
        f"next: edgevit service install {into}/farm.onnx SOURCE --name yard --user, if that is not the file that yard "
        "runs",
        "next: systemctl --user daemon-reload && systemctl --user enable --now yard-update.timer",
    ]
    timer = (home / "systemd" / "user" / "yard-update.timer").read_text()
    assert "OnUnitActiveSec=1800\nRandomizedDelaySec=900\n" in timer
    assert "edgevit update --service yard --user\n" in (home / "systemd" / "user" / "yard-update.service").read_text()
    assert (home / "edgevit" / "yard" / "update.json").stat().st_mode & 0o777 == 0o600

    code, out, err = run("update", "--service", "yard", "--user")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.rpartition(": ")[2] for line in lines[:2]] == ["downloading", "testing"]
    assert lines[-1] == "stable/farm.onnx: installed: the service yard is not running"
    assert run("selftest", into / "farm.onnx")[0] == 0
    assert (into / "farm.onnx").stat().st_mode & 0o777 == 0o644
    state = json.loads((into / "state.json").read_text())
    assert (state["target"], state["channel"], state["state"]) == ("stable/farm.onnx", "stable", "installed")
    assert state["installed"] == state["latest"]
    assert state["installed"]["version"] == 1


def test_commands_for_root_name_the_whole_program(
    home: Path, site: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sudo does not know the folder of an environment that is active: `sudo edgevit` is no command there."""
    monkeypatch.setattr(enroll_module, "unit_folder", lambda user: tmp_path / "units")
    monkeypatch.setattr(enroll_module, "enrollment_path", lambda service, user: tmp_path / "etc" / "update.json")
    monkeypatch.setattr(enroll_module, "readable_folders", lambda folders: ())
    into, root = tmp_path / "my models", site / "metadata" / "1.root.json"
    options = ("--root", root, "--target", "stable/farm.onnx", "--into", into)
    code, _, err = run("update", "enroll", "https://example.org", *options)
    assert code == 0
    assert f"next: sudo {program_command()} update\n" in err
    assert f"next: sudo {program_command()} service install '{into}/farm.onnx' SOURCE, if" in err


def test_program_is_named_by_its_script_or_else_by_its_python(tmp_path: Path) -> None:
    python = tmp_path / "my env" / "python"
    assert program_command(str(python)) == f"'{python}' -m edgevit"
    python.parent.mkdir()
    (python.parent / "edgevit").touch()
    assert program_command(str(python)) == f"'{python.parent}/edgevit'"


@pytest.mark.parametrize("words", [("--service", "gate"), ("--user",), ("--retry",), ("--from", "/stick")])
def test_option_before_enroll_is_not_left_unheard(
    home: Path, site: Path, run: Run, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """`edgevit update --service gate enroll` enrolled the service edgevit."""
    root = site / "metadata" / "1.root.json"
    told = ("enroll", site, "--root", root, "--target", "stable/farm.onnx", "--into", tmp_path / "models", "--user")
    code, out, err = run("update", *words, *told)
    assert (code, out) == (2, "")
    assert f"{words[0]} stands before enroll, which does not hear it" in err
    assert not home.exists()


def test_stick_is_asked_in_place_of_the_site_this_once(home: Path, site: Path, run: Run, tmp_path: Path) -> None:
    root = site / "metadata" / "1.root.json"
    assert enroll(run, "https://nowhere.invalid/farm", root, tmp_path / "models")[0] == 0
    stick = tmp_path / "stick"
    shutil.copytree(site, stick)
    assert run("update", "--user", "--from", stick.as_uri())[0] == 0
    assert (tmp_path / "models" / "farm.onnx").exists()
    assert read_enrollment(home / "edgevit" / "edgevit" / "update.json").site == "https://nowhere.invalid/farm"


def test_check_that_fails_is_one_line_and_exit_code_1(home: Path, site: Path, run: Run, tmp_path: Path) -> None:
    enroll(run, site, site / "metadata" / "1.root.json", tmp_path / "models")
    (site / "metadata" / "timestamp.json").unlink()
    code, out, err = run("update", "--user")
    assert code == 1
    assert err == (
        f"edgevit: {site}/metadata/timestamp.json does not exist: there is no such file, "
        "or the upload is not complete\n"
    )
    assert out.startswith("stable/farm.onnx: failed: ")


def test_board_that_was_not_enrolled_is_told_how(home: Path, run: Run) -> None:
    code, _, err = run("update", "--user")
    assert code == 2
    assert err.startswith(
        f"edgevit: this board follows no site yet ({home}/edgevit/edgevit/update.json does not exist)"
    )
    assert "edgevit update enroll SITE --root 1.root.json" in err


def test_enrolling_again_keeps_the_board_and_another_site_needs_force(
    home: Path, site: Path, run: Run, tmp_path: Path
) -> None:
    root, into = site / "metadata" / "1.root.json", tmp_path / "models"
    path = home / "edgevit" / "edgevit" / "update.json"
    enroll(run, site, root, into)
    board = read_enrollment(path).board
    assert len(board) == 32
    assert enroll(run, site, root, into)[0] == 0
    assert read_enrollment(path).board == board
    run("update", "--user")
    assert (into / "update" / "floor.json").exists()
    run("fleet", "init", tmp_path / "other")
    other = tmp_path / "other" / "metadata" / "1.root.json"
    code, _, err = enroll(run, tmp_path / "other", other, into)
    assert code == 2
    assert "this board follows stable/farm.onnx of file://" in err
    assert enroll(run, tmp_path / "other", other, into, "--force")[0] == 0
    # what was seen of the first site says nothing of the other one
    assert not (into / "update" / "floor.json").exists()
    assert read_enrollment(path).board == board


def test_same_site_may_be_moved_without_forgetting_what_was_seen(
    home: Path, site: Path, run: Run, tmp_path: Path
) -> None:
    root, into = site / "metadata" / "1.root.json", tmp_path / "models"
    enroll(run, site, root, into)
    run("update", "--user")
    assert enroll(run, "https://example.org/farm", root, into, "--force")[0] == 0
    assert (into / "update" / "floor.json").exists()


def test_two_services_do_not_share_a_folder(home: Path, site: Path, run: Run, tmp_path: Path) -> None:
    root, into = site / "metadata" / "1.root.json", tmp_path / "models"
    assert enroll(run, site, root, into, "--service", "yard")[0] == 0
    code, _, err = enroll(run, site, root, into, "--service", "gate")
    assert code == 2
    assert f"{into} is kept by updates of the service yard" in err
    assert not (home / "edgevit" / "gate").exists()
    assert enroll(run, site, root, into, "--service", "gate", "--force")[0] == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"site": "ftp://example.org/farm"}, "the site is 'ftp://example.org/farm', expected the address of a folder"),
        ({"site": "https://me:secret@example.org"}, "holds a name or a password"),
        ({"target": "farm.onnx"}, "--target is 'farm.onnx', expected a channel and a model's name"),
        ({"target": "stable/../farm.onnx"}, "expected a channel and a model's name"),
        ({"target": "stable/farm.zip"}, "expected a channel and a model's name"),
        ({"service": "Yard!"}, "--service is 'Yard!', expected small letters, digits and hyphens such as edgevit-yard"),
        ({"root": "nothing.json"}, "--root nothing.json cannot be read: No such file or directory"),
        ({"root": "timestamp.json"}, "it is no 1.root.json of a site"),
        ({"root": "rubbish.json"}, "it is no 1.root.json of a site"),
    ],
)
def test_what_cannot_be_enrolled_is_said_in_one_line(
    home: Path, site: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str], said: str
) -> None:
    monkeypatch.chdir(site / "metadata")
    (site / "metadata" / "rubbish.json").write_text("{")
    told = {"site": "https://example.org", "root": "1.root.json", "target": "stable/farm.onnx", "service": "edgevit"}
    told |= change
    options = ("--root", told["root"], "--target", told["target"], "--service", told["service"])
    code, out, err = run("update", "enroll", told["site"], *options, "--into", tmp_path / "models", "--user")
    assert code in (1, 2)
    assert said in err
    assert (err.count("\n"), out) == (1, "")
    assert not home.exists()


def test_password_in_an_address_is_not_shown(home: Path, site: Path, run: Run, tmp_path: Path) -> None:
    root = site / "metadata" / "1.root.json"
    assert "secret" not in enroll(run, "https://me:secret@example.org", root, tmp_path / "models")[2]


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "edgevit.service", "--user"])
def test_no_service_beyond_the_folder_of_settings_is_asked_about(home: Path, run: Run, name: str) -> None:
    code, out, err = run("update", f"--service={name}", "--user")
    assert (code, out) == (2, "")
    assert f"--service is {name!r}, expected small letters, digits and hyphens such as edgevit-yard, 31 at most" in err


def test_damaged_enrolment_names_the_remedy(home: Path, run: Run) -> None:
    path = home / "edgevit" / "edgevit" / "update.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"site": ')
    code, _, err = run("update", "--user")
    assert code == 2
    assert "is damaged" in err
    assert "--force" in err


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("user", [True, False])
def test_systemd_takes_the_units(tmp_path: Path, user: bool) -> None:
    import dataclasses

    from edgevit.runtime.enroll.timer import update_units

    made = make_board(tmp_path, "https://example.org", "{}").enrollment
    enrollment = dataclasses.replace(made, user=user, into=Path("/srv/a folder"))
    paths = []
    for name, text in update_units(enrollment, 3600).items():
        paths.append(tmp_path / name)
        paths[-1].write_text(text)
    command = ["systemd-analyze", "--no-pager", "verify", *(["--user"] if user else ["--man=no"]), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, env={"XDG_RUNTIME_DIR": "/run"} | os.environ)
    assert done.returncode == 0, done.stderr
    assert "edgevit-update" not in done.stderr
    text = paths[0].read_text()
    assert ('ReadWritePaths="/srv/a folder"' in text) is not user


def test_a_root_that_is_no_text_is_one_line_for_people(home: Path, tiny_model: Path, run: Run, tmp_path: Path) -> None:
    code, _, err = enroll(run, "https://example.org/farm", tiny_model, tmp_path / "models")
    told = f"edgevit: --root {tiny_model} is no text, expected a site's 1.root.json; copy it from your site\n"
    assert (code, err) == (1, told)


def test_root_may_write_nothing_but_the_models_folder(tmp_path: Path) -> None:
    from edgevit.runtime.enroll.timer import update_units

    text = update_units(make_board(tmp_path, "https://example.org", "{}").enrollment, 60)["edgevit-update.service"]
    assert "ProtectSystem=strict" in text
    assert [line for line in text.splitlines() if line.startswith("ReadWritePaths=")] == [
        f"ReadWritePaths={tmp_path}/models"
    ]


def test_folder_in_whose_place_everybody_may_put_another_is_refused(
    home: Path, site: Path, run: Run, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    into, root = shared / "models", site / "metadata" / "1.root.json"
    into.mkdir(parents=True)
    shared.chmod(0o777)
    code, _, err = enroll(run, site, root, into)
    assert (code, list(into.iterdir())) == (2, [])
    assert f"{shared} can be written by everybody on this machine" in err
    # also where a link leads there
    (tmp_path / "link").symlink_to(into)
    assert enroll(run, site, root, tmp_path / "link")[0] == 2
    # and where the link itself could be exchanged
    (closed := tmp_path / "closed").mkdir()
    (shared / "link").symlink_to(closed)
    code, _, err = enroll(run, site, root, shared / "link")
    assert (code, list(closed.iterdir())) == (2, [])
    assert f"{shared} can be written by everybody on this machine" in err
    # as /tmp is: everybody may write there, and move only what is their own
    shared.chmod(0o1777)
    assert enroll(run, site, root, into)[0] == 0


def test_folder_that_everybody_may_write_to_is_refused(home: Path, site: Path, run: Run, tmp_path: Path) -> None:
    into = tmp_path / "models"
    into.mkdir()
    into.chmod(0o777)
    code, out, err = enroll(run, site, site / "metadata" / "1.root.json", into)
    assert (code, out) == (2, "")
    assert err == (
        f"edgevit: {into} can be written by everybody on this machine, who could exchange a model after it was "
        f"checked; run: chmod o-w {into}\n"
    )
    assert not list(into.iterdir())
    into.chmod(0o775)
    assert enroll(run, site, site / "metadata" / "1.root.json", into)[0] == 0
