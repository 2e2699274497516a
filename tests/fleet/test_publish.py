"""What boards that trust a site take from it after publish, promote and rollback."""

from pathlib import Path

import onnx
import pytest

from edgevit.errors import ModelFileError, OptionError, SiteError, UpdateError
from edgevit.fleet import publish as publish_module
from edgevit.fleet.names import check_channel, check_name, check_percent
from edgevit.fleet.publish import promote, publish, rollback
from edgevit.fleet.site import open_site
from tests.fleet.conftest import MakeModel, Publish, described
from tests.plain_board import PlainBoard

Contents = dict[str, bytes]


def test_a_board_takes_the_model_that_was_published(
    site: Path, board: PlainBoard, give: Publish, bytes_of: Contents
) -> None:
    give("a")
    assert board.look(site, "stable/farm.onnx") == ({"version": 1, "percent": 100, "earlier": []}, bytes_of["a"])


def test_a_share_of_the_boards_is_told_what_the_others_keep(
    site: Path, board: PlainBoard, give: Publish, bytes_of: Contents
) -> None:
    give("a")
    give("bb", percent=10)
    kept = described(bytes_of["a"], 1)
    entry = {"version": 2, "percent": 10, "before": kept, "earlier": [kept]}
    assert board.look(site, "stable/farm.onnx") == (entry, bytes_of["bb"])
    assert (site / "targets" / "stable" / f"{kept['sha256']}.farm.onnx").read_bytes() == bytes_of["a"]


def test_the_first_model_for_a_share_has_nothing_before_it(site: Path, board: PlainBoard, give: Publish) -> None:
    give("a", percent=10)
    assert board.look(site, "stable/farm.onnx")[0] == {"version": 1, "percent": 10, "earlier": []}


def test_what_only_a_share_had_is_not_what_the_others_keep(
    site: Path, board: PlainBoard, give: Publish, bytes_of: Contents
) -> None:
    give("a")
    give("bb", percent=10)
    give("ccc", percent=20)
    entry, _ = board.look(site, "stable/farm.onnx")
    assert entry is not None
    assert (entry["version"], entry["before"]) == (3, described(bytes_of["a"], 1))


def test_a_channel_gets_what_another_has(site: Path, board: PlainBoard, give: Publish, bytes_of: Contents) -> None:
    give("bb", "stable")
    give("a", "canary")
    with open_site(site) as opened:
        promote(opened, "farm.onnx", "canary", "stable", 25)
    kept = described(bytes_of["bb"], 1)
    entry = {"version": 2, "percent": 25, "before": kept, "earlier": [kept]}
    assert board.look(site, "stable/farm.onnx") == (entry, bytes_of["a"])


@pytest.mark.parametrize("channel", ["Stable", "snapshot"])
def test_a_channel_that_cannot_be_gets_nothing_of_another(site: Path, give: Publish, channel: str) -> None:
    give("a", "canary")
    before = _listed(site)
    with open_site(site) as opened, pytest.raises(OptionError, match=f"^to= is '{channel}', expected small letters"):
        promote(opened, "farm.onnx", "canary", channel)
    assert _listed(site) == before


def test_a_share_grows_and_each_step_has_a_version(
    site: Path, board: PlainBoard, give: Publish, bytes_of: Contents
) -> None:
    give("a")
    give("bb", percent=10)
    kept = described(bytes_of["a"], 1)
    with open_site(site) as opened:
        promote(opened, "farm.onnx", "stable", "stable", 50)
    assert board.look(site, "stable/farm.onnx")[0] == {"version": 3, "percent": 50, "before": kept, "earlier": [kept]}
    give("bb")
    assert board.look(site, "stable/farm.onnx")[0] == {"version": 4, "percent": 100, "earlier": [kept]}


def test_the_same_model_for_fewer_boards_is_refused(site: Path, give: Publish) -> None:
    give("a")
    with pytest.raises(OptionError, match=r"stable/farm.onnx is this model already, for 100 % of the boards"):
        give("a", percent=10)
    with open_site(site) as opened, pytest.raises(OptionError, match="is this model already"):
        promote(opened, "farm.onnx", "stable", "stable", 100)


def test_the_owner_goes_back_under_a_higher_version(
    site: Path, board: PlainBoard, give: Publish, bytes_of: Contents
) -> None:
    for name in ("a", "bb", "ccc"):
        give(name)
    board.look(site, "stable/farm.onnx")
    _go_back(site)
    first = described(bytes_of["a"], 1)
    assert board.look(site, "stable/farm.onnx") == (
        {"version": 4, "percent": 100, "earlier": [first]},
        bytes_of["bb"],
    )
    # not to the one that was gone back from
    _go_back(site)
    assert board.look(site, "stable/farm.onnx") == ({"version": 5, "percent": 100, "earlier": []}, bytes_of["a"])
    with pytest.raises(SiteError, match="stable/farm.onnx has no earlier model"):
        _go_back(site)


def test_the_owner_goes_back_to_a_version(site: Path, board: PlainBoard, give: Publish, bytes_of: Contents) -> None:
    for name in ("a", "bb", "ccc"):
        give(name)
    with pytest.raises(SiteError, match=r"no earlier version 3; choose one of: 2, 1"):
        _go_back(site, 3)
    _go_back(site, 1)
    assert board.look(site, "stable/farm.onnx") == ({"version": 4, "percent": 100, "earlier": []}, bytes_of["a"])


def test_going_back_from_a_share_gives_all_boards_what_the_others_kept(
    site: Path, board: PlainBoard, give: Publish, bytes_of: Contents
) -> None:
    give("a")
    give("bb", percent=10)
    _go_back(site)
    assert board.look(site, "stable/farm.onnx")[1] == bytes_of["a"]


def test_after_an_attempt_was_ended_by_the_old_model_there_is_nothing_to_go_back_to(site: Path, give: Publish) -> None:
    give("a")
    give("bb", percent=10)
    give("a")
    with pytest.raises(SiteError, match="stable/farm.onnx has no earlier model"):
        _go_back(site)


def test_going_back_to_a_file_that_is_gone_is_refused(site: Path, give: Publish, bytes_of: Contents) -> None:
    give("a")
    give("bb")
    (site / "targets" / "stable" / f"{described(bytes_of['a'], 1)['sha256']}.farm.onnx").unlink()
    with pytest.raises(SiteError, match=r"\(version 1\) is gone, perhaps pruned"):
        _go_back(site)


@pytest.mark.parametrize("channel", ["stable", "canary"])  # to another channel, or to more boards of the same
def test_a_model_that_was_damaged_on_the_site_is_not_signed_again(
    site: Path, give: Publish, bytes_of: Contents, channel: str
) -> None:
    give("a", "canary", 10)
    file = site / "targets" / "canary" / f"{described(bytes_of['a'], 1)['sha256']}.farm.onnx"
    file.write_bytes(b"X" + bytes_of["a"][1:])
    with open_site(site) as opened, pytest.raises(SiteError, match="it was changed or damaged"):
        promote(opened, "farm.onnx", "canary", channel)
    assert not (site / "targets" / "stable").exists() or not any((site / "targets" / "stable").iterdir())


def test_a_damaged_earlier_model_is_not_gone_back_to(site: Path, give: Publish, bytes_of: Contents) -> None:
    give("a")
    give("bb")
    file = site / "targets" / "stable" / f"{described(bytes_of['a'], 1)['sha256']}.farm.onnx"
    file.write_bytes(b"X" + bytes_of["a"][1:])
    with pytest.raises(SiteError, match=r"is not what was signed as version 1"):
        _go_back(site)


@pytest.mark.parametrize(
    ("name", "channel", "percent", "expected"),
    [
        ("farm.onnx", "stable", 0, "is 0, expected 1 to 100"),
        ("farm.onnx", "stable", 101, "is 101, expected 1 to 100"),
        ("farm.onnx", "Stable", 10, "is 'Stable', expected small letters"),
        ("farm.onnx", "st*", 10, "is 'st\\*'"),
        ("farm.onnx", "timestamp", 10, "targets, snapshot, timestamp are taken"),
        ("../farm.onnx", "stable", 10, "the model's name is '../farm.onnx'"),
        ("farm.txt", "stable", 10, "the model's name is 'farm.txt'"),
        ("farm.tflite", "stable", 10, "and .*a.onnx is a .onnx; keep the suffix"),
    ],
)
def test_names_that_cannot_be_are_refused(
    site: Path, models: dict[str, Path], name: str, channel: str, percent: int, expected: str
) -> None:
    before = _listed(site)
    with open_site(site) as opened, pytest.raises(OptionError, match=expected):
        publish(opened, models["a"], name, channel, percent)
    assert _listed(site) == before


def test_a_file_without_a_suffix_is_no_model(site: Path, models: dict[str, Path], tmp_path: Path) -> None:
    plain = models["a"].rename(tmp_path / "plain")
    with open_site(site) as opened, pytest.raises(OptionError) as caught:
        publish(opened, plain, "farm.onnx", "stable")
    told = f"--as is 'farm.onnx', and {plain} is a file without suffix; keep the suffix"
    assert caught.value.command_line_text == told


def test_a_model_that_is_larger_than_a_board_takes_is_not_signed(
    site: Path, models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish_module, "LARGEST", 1000)
    with open_site(site) as opened, pytest.raises(UpdateError, match=r"bytes, more than the 1,000 that a board takes"):
        publish(opened, models["a"], "farm.onnx", "stable")
    assert not (site / "targets").exists()


@pytest.mark.parametrize("name", ["root", "targets", "snapshot", "timestamp"])
def test_no_channel_is_called_as_a_document_of_the_site(name: str) -> None:
    with pytest.raises(OptionError) as caught:
        check_channel(name)
    assert caught.value.command_line_text == (
        f"--channel is {name!r}, expected small letters, digits, - and _, such as stable; "
        "root, targets, snapshot, timestamp are taken"
    )


def test_names_that_can_be_are_returned() -> None:
    assert check_channel("night-2_b") == "night-2_b"
    assert check_name("Farm.v2-b_c.tflite") == "Farm.v2-b_c.tflite"
    assert [check_percent(percent) for percent in (1, 100)] == [1, 100]


@pytest.mark.parametrize("kind", ["missing", "damaged", "foreign", "no model"])
def test_only_a_whole_model_of_edgevit_is_signed(
    site: Path, models: dict[str, Path], kind: str, tmp_path: Path
) -> None:
    model = tmp_path / "given.onnx"
    if kind == "damaged":
        model.write_bytes(models["a"].read_bytes().replace(b"green", b"grown"))
    elif kind == "foreign":
        graph = onnx.load(models["a"])
        del graph.metadata_props[:]
        onnx.save(graph, model)
    elif kind == "no model":
        model.write_text("hello")
    before = _listed(site)
    with (
        open_site(site) as opened,
        pytest.raises(ModelFileError, match="damaged|did not export|not exist|no ONNX|not an ONNX"),
    ):
        publish(opened, model, "farm.onnx", "stable")
    assert _listed(site) == before


def test_what_is_not_there_is_named(site: Path, give: Publish) -> None:
    with open_site(site) as opened, pytest.raises(SiteError, match="no channel 'canary'; nothing was published yet"):
        promote(opened, "farm.onnx", "canary", "stable")
    give("a", "canary")
    with open_site(site) as opened, pytest.raises(SiteError, match="no channel 'canry'; choose one of: canary"):
        rollback(opened, "farm.onnx", "canry")
    with (
        open_site(site) as opened,
        pytest.raises(SiteError, match="canary has no model 'hens.onnx'; it has: farm.onnx"),
    ):
        rollback(opened, "hens.onnx", "canary")
    with open_site(site) as opened:
        opened.channel("canary").targets.clear()
        with pytest.raises(SiteError, match=r"^canary has no model 'farm\.onnx'; it has: none$"):
            opened.rollout("canary", "farm.onnx")


def test_a_folder_that_is_no_site_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="is no folder; `edgevit fleet init"), open_site(tmp_path / "nowhere"):
        pass
    with pytest.raises(SiteError, match="is no site of models"), open_site(tmp_path):
        pass


def test_nine_earlier_models_are_remembered(site: Path, board: PlainBoard, make_model: MakeModel) -> None:
    for number in range(12):
        with open_site(site) as opened:
            publish(opened, make_model(model=f"tiny-{number}"), "farm.onnx", "stable")
    entry, _ = board.look(site, "stable/farm.onnx")
    assert entry is not None
    assert [edition["version"] for edition in entry["earlier"]] == [11, 10, 9, 8, 7, 6, 5, 4, 3]


def test_two_models_of_a_channel_stand_beside_each_other(
    site: Path, board: PlainBoard, models: dict[str, Path], bytes_of: Contents
) -> None:
    for name, file in (("a", "hens.onnx"), ("bb", "gate.onnx")):
        with open_site(site) as opened:
            publish(opened, models[name], file, "stable")
    assert board.look(site, "stable/hens.onnx")[1] == bytes_of["a"]
    assert board.look(site, "stable/gate.onnx")[1] == bytes_of["bb"]


def _go_back(site: Path, version: int | None = None) -> None:
    with open_site(site) as opened:
        rollback(opened, "farm.onnx", "stable", version)


def _listed(site: Path) -> list[Path]:
    return sorted(path for place in (site, site.with_name("farm-keys")) for path in place.rglob("*"))
