"""The commands of `edgevit fleet` about a site: what they print, and one clear line for each mistake."""

import re
import stat
import sys
import types
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edgevit.fleet import site as site_module
from tests.plain_board import PlainBoard

MakeModel = Callable[..., Path]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def farm(run: Run, tmp_path: Path) -> str:
    """Return the folder of a new site."""
    folder = str(tmp_path / "farm")
    assert run("fleet", "init", folder)[0] == 0
    return folder


def test_init_says_what_to_back_up_and_what_comes_next(run: Run, tmp_path: Path) -> None:
    farm, keys = tmp_path / "farm", tmp_path / "farm-keys"
    code, out, err = run("fleet", "init", str(farm), "--root-keys", "3", "--threshold", "2", "--days", "14")
    assert (code, out) == (0, f"{farm}: a site without models; it must be renewed within 14 days\n")
    assert f"BACK UP {keys} and keep it secret, never on the web server" in err
    assert "2 of the 3 files root.*.pem are needed to replace keys: keep them in different places" in err
    assert f"next: edgevit fleet publish {farm} MODEL --as farm.onnx --channel stable" in err
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    assert len(list(keys.glob("root.*.pem"))) == 3


def test_commands_that_are_printed_can_be_typed_where_names_have_spaces(run: Run, tmp_path: Path) -> None:
    farm = tmp_path / "my farm"
    assert f"`edgevit fleet init '{farm}'`" in run("fleet", "renew", farm)[2]
    assert f"next: edgevit fleet publish '{farm}' MODEL --as" in run("fleet", "init", farm)[2]


def test_keys_may_lie_elsewhere(run: Run, tmp_path: Path, tiny_model: Path) -> None:
    farm, keys = str(tmp_path / "farm"), str(tmp_path / "safe")
    assert run("fleet", "init", farm, "--keys", keys)[0] == 0
    assert not (tmp_path / "farm-keys").exists()
    words = ("fleet", "publish", farm, str(tiny_model), "--as", "farm.onnx", "--channel", "stable")
    code, _, err = run(*words)
    assert (code, err.count("\n")) == (1, 1)
    assert "1.root.json is missing" in err
    assert run(*words, "--keys", keys)[0] == 0


def test_from_a_model_to_all_boards_and_back(run: Run, farm: str, make_model: MakeModel, tmp_path: Path) -> None:
    first, second = make_model("first.onnx"), make_model("second.onnx", model="newer")
    board = PlainBoard(tmp_path / "board", Path(farm) / "metadata" / "1.root.json")

    def told(*words: str) -> str:
        code, out, _ = run("fleet", *words)
        assert code == 0
        return out.partition(", sha256")[0] + ("," + out.rpartition(",")[2] if "%" in out else "").rstrip()

    def taken() -> bytes | None:
        return board.look(Path(farm), "stable/farm.onnx")[1]

    name = ("--as", "farm.onnx")
    assert told("publish", farm, str(first), *name, "--channel", "stable") == "stable/farm.onnx: version 1"
    assert told("publish", farm, str(second), *name, "--channel", "canary") == "canary/farm.onnx: version 1"
    assert taken() == first.read_bytes()
    promote = ("promote", farm, "farm.onnx", "--to", "stable")
    assert told(*promote, "--from", "canary", "--percent", "10") == (
        "stable/farm.onnx: version 2, for 10 % of the boards"
    )
    assert told(*promote, "--percent", "50") == "stable/farm.onnx: version 3, for 50 % of the boards"
    assert told(*promote) == "stable/farm.onnx: version 4"
    assert taken() == second.read_bytes()
    assert told("rollback", farm, "farm.onnx", "--channel", "stable") == "stable/farm.onnx: version 5"
    assert taken() == first.read_bytes()


def test_a_new_channel_is_told_of_once(run: Run, farm: str, make_model: MakeModel) -> None:
    for number, is_new in ((1, True), (2, False)):
        model = str(make_model(model=f"tiny-{number}"))
        err = run("fleet", "publish", farm, model, "--as", "farm.onnx", "--channel", "stable")[2]
        assert ("stable is a new channel; its key is new, too: back up the keys again" in err) is is_new
        assert f"next: upload {farm}, targets/ first and metadata/timestamp.json last" in err


def test_renew_says_until_when_and_what_it_left(run: Run, farm: str, tiny_model: Path) -> None:
    for channel in ("stable", "canary"):
        run("fleet", "publish", farm, str(tiny_model), "--as", "farm.onnx", "--channel", channel)
    days = [f"{datetime.now(UTC) + timedelta(days=20):%Y-%m-%d}"]
    code, out, err = run("fleet", "renew", farm, "--days", "20")
    # another day may begin meanwhile
    days.append(f"{datetime.now(UTC) + timedelta(days=20):%Y-%m-%d}")
    assert code == 0
    assert out in [f"{farm}: accepted until {day}; renewed: canary, stable\n" for day in days]
    assert "its key is not here" not in err
    (key,) = Path(f"{farm}-keys").glob("channel-canary.*")
    key.unlink()
    day = out.split("until ")[1].split(";")[0]
    code, out, err = run("fleet", "renew", farm, "--days", "20")
    assert code == 0
    assert re.fullmatch(rf"{farm}: accepted until [-\d]+; renewed: stable\n", out)
    assert f"canary expires on {day}; its key is not here: renew it where it is" in err


def test_renew_fails_if_what_it_leaves_expires_within_a_week(run: Run, farm: str, tiny_model: Path) -> None:
    run("fleet", "publish", farm, str(tiny_model), "--as", "farm.onnx", "--channel", "stable")
    assert run("fleet", "renew", farm, "--days", "6")[0] == 0
    (key,) = Path(f"{farm}-keys").glob("channel-stable.*")
    key.unlink()
    run("fleet", "publish", farm, str(tiny_model), "--as", "farm.onnx", "--channel", "mine")
    code, out, err = run("fleet", "renew", farm)
    # another code than that of a site that could not be renewed, and must not be uploaded
    assert (code, out.endswith("renewed: mine\n")) == (3, True)
    assert "edgevit: renewed but for stable, which boards refuse within a week; upload all the same" in err
    assert run("fleet", "renew", f"{farm}-keys")[0] == 1


def test_rotate_says_what_is_new_and_what_to_back_up(run: Run, farm: str, tiny_model: Path) -> None:
    run("fleet", "publish", farm, str(tiny_model), "--as", "farm.onnx", "--channel", "stable")
    assert run("fleet", "rotate", farm, "--channel", "stable")[1] == f"{farm}: the key of stable is new\n"
    code, out, err = run("fleet", "rotate", farm)
    assert (code, out) == (0, f"{farm}: all keys are new\n")
    assert f"BACK UP {farm}-keys again; keys that are no longer used lie in {farm}-keys/replaced" in err


def test_nothing_is_signed_or_checked_by_a_clock_that_is_years_behind(
    run: Run, farm: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A PC whose battery is empty would sign until a day in the past, and all boards would call the site expired."""
    before = {path: path.read_bytes() for path in Path(farm).rglob("*.json")}
    monkeypatch.setattr(site_module, "time", types.SimpleNamespace(time=lambda: 1_578_182_400.0))
    publish = ("publish", farm, str(tiny_model), "--as", "a.onnx", "--channel", "stable")
    for words in (("renew", farm), ("rotate", farm), publish, ("init", str(tmp_path / "new")), ("check", farm)):
        code, out, err = run("fleet", *words)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert "this machine's clock says 2020-01-05, and edgevit is of 2026-11-30; set it first" in err
    assert {path: path.read_bytes() for path in Path(farm).rglob("*.json")} == before
    assert not (tmp_path / "new").exists()


def test_prune_names_what_it_removed(run: Run, farm: str, make_model: MakeModel) -> None:
    for number in range(3):
        model = str(make_model(model=f"tiny-{number}"))
        run("fleet", "publish", farm, model, "--as", "farm.onnx", "--channel", "stable")
    code, out, err = run("fleet", "prune", farm, "--keep", "1")
    assert code == 0
    assert [line.rpartition(".")[2] for line in out.splitlines()].count("onnx") == 1
    assert err == f"{len(out.splitlines())} files removed, 0.0 MB\n"


def test_check_prints_a_line_for_each_thing(run: Run, farm: str, tiny_model: Path) -> None:
    run("fleet", "publish", farm, str(tiny_model), "--as", "farm.onnx", "--channel", "stable")
    root = f"{farm}-keys/1.root.json"
    code, out, _ = run("fleet", "check", farm, "--root", root)
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "ok      the signatures are those of one owner, and the versions fit together"
    assert f"ok      stable/farm.onnx version 1: {tiny_model.stat().st_size} bytes, as they were signed" in lines
    for file in Path(farm).glob("targets/stable/*"):
        file.unlink()
    code, out, err = run("fleet", "check", farm, "--root", root)
    assert code == 3
    assert [line for line in out.splitlines() if line.startswith("failed  stable/farm.onnx version 1: ")]
    assert err.endswith(f"edgevit: boards could not use {farm}: 1 of the lines above failed\n")


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (("init", "FARM"), 1, "is a site of models already"),
        (("init", "NEW", "--keys", "NEW/keys"), 1, "private keys would be uploaded with it"),
        (("init", "NEW", "--threshold", "2"), 2, "--threshold is 2, expected 1 to 1, as many as --root-keys"),
        (("publish", "FARM", "none.onnx", "--as", "a.onnx", "--channel", "stable"), 1, "none.onnx does not exist"),
        (("publish", "NEW", "MODEL", "--as", "a.onnx", "--channel", "stable"), 1, "is no folder; `edgevit fleet init"),
        (("publish", "FARM", "MODEL", "--as", "a/b.onnx", "--channel", "stable"), 2, "the model's name is 'a/b.onnx'"),
        (("publish", "FARM", "MODEL", "--as", "a.onnx", "--channel", "A B"), 2, "--channel is 'A B', expected small"),
        (("promote", "FARM", "a.onnx", "--from", "b", "--to", "root"), 2, "--to is 'root'"),
        (("promote", "FARM", "a.onnx", "--from", "b", "--to", "c"), 1, "has no channel 'b'; nothing was published yet"),
        (("rollback", "FARM", "a.onnx", "--channel", "c"), 1, "has no channel 'c'"),
        (("rotate", "FARM", "--channel", "c"), 1, "has no channel 'c'"),
        (("check", "ftp://host"), 2, "the site is 'ftp://host', expected the address of a folder"),
        (("check", "FARM", "--root", "MODEL"), 1, "is damaged"),
        (("check", "FARM", "--root", "none.json"), 1, "none.json cannot be read: No such file"),
    ],
)
def test_a_mistake_is_one_clear_line(
    run: Run, farm: str, tiny_model: Path, tmp_path: Path, words: tuple[str, ...], code: int, expected: str
) -> None:
    places = {"FARM": farm, "NEW": str(tmp_path / "new"), "MODEL": str(tiny_model), "NEW/keys": f"{tmp_path}/new/keys"}
    found, out, err = run("fleet", *(places.get(word, word) for word in words))
    assert (found, out, err.count("\n")) == (code, "", 1)
    assert expected in err
    assert not (tmp_path / "new").exists()


def test_a_disk_that_takes_nothing_is_one_clear_line(run: Run, farm: str, tiny_model: Path, tmp_path: Path) -> None:
    code, out, err = run("fleet", "init", str(tmp_path / "new"), "--keys", str(tiny_model / "keys"))
    assert (code, out) == (1, "")
    assert (
        err == f"edgevit: {tiny_model / 'keys'} cannot be written: {tiny_model} is no folder; mend that, and repeat\n"
    )
    (Path(farm) / "targets").write_text("in the way")
    code, out, err = run("fleet", "publish", farm, str(tiny_model), "--as", "farm.onnx", "--channel", "stable")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert f"cannot be written: {farm}/targets is no folder" in err


def test_without_the_package_it_says_what_to_install(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("edgevit.fleet.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    code, _, err = run("fleet", "init", str(tmp_path / "farm"))
    assert code == 1
    assert err.endswith("and signing models needs it; run: pip install 'edgevit[fleet]'\n")
