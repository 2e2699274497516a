"""Device profiles as files: what is shipped, how one is found, and what is said about a wrong one."""

import dataclasses
import re
from pathlib import Path

import pytest

from edgevit.device_profiles import all_profiles, find_profile, list_profiles, read_profile
from edgevit.device_profiles.library import SHIPPED, likely_profiles, user_folder
from edgevit.device_profiles.profile import (
    Camera,
    Cluster,
    FormatChoice,
    Isa,
    Memory,
    Profile,
    QuantizationChoice,
    System,
    Threads,
)
from edgevit.errors import ProfileError, UnknownNameError
from tests.places import DOCS

BOARDS = {
    "rpi3bplus", "rpi4", "rpi5", "rpizero2w", "cm4", "orangepi5", "rock5b", "odroidn2plus", "jetsonnano",
    "beaglebone-ai64", "generic-armv8.0", "generic-armv8.2-dotprod", "x86-64",
}  # fmt: skip
NO_DOT_PRODUCTS = {"Cortex-A53", "Cortex-A57", "Cortex-A72", "Cortex-A73"}
"""ARMv8.0 cores by their technical reference manuals."""


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the user's own profiles, which holds none yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "config" / "edgevit" / "profiles"
    folder.mkdir(parents=True)
    return folder


def changed_copy(path: Path, old: str = "", new: str = "", name: str = "rpi4") -> Path:
    text = (SHIPPED / f"{name}.toml").read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path


def test_every_promised_board_has_a_profile() -> None:
    assert set(list_profiles()) == BOARDS


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_file_is_named_as_its_profile_and_every_table_of_figures_names_its_source(name: str) -> None:
    profile = read_profile(SHIPPED / f"{name}.toml")
    assert profile.name == name
    sources = [profile.isa.source, profile.systems_source, *(cluster.source for cluster in profile.clusters)]
    sources += [part.source for part in (profile.memory, profile.camera) if part]
    assert all(len(source) > 10 for source in sources)
    assert all(len(part.why) > 20 for part in (profile.threads, profile.quantization, profile.format))


def test_no_name_means_two_boards() -> None:
    profiles = [find_profile(name) for name in sorted(BOARDS)]
    owners: dict[str, set[str]] = {}
    for profile in profiles:
        for name in (profile.name, *profile.aliases):
            owners.setdefault(re.sub(r"[ ._-]", "", name.lower()), set()).add(profile.name)
    assert [name for name, boards in owners.items() if len(boards) > 1] == []


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_dot_products_are_claimed_only_where_every_core_has_them(name: str) -> None:
    profile = find_profile(name)
    old = {cluster.core for cluster in profile.clusters} & NO_DOT_PRODUCTS
    assert ("dotprod" in profile.isa.features) == (not old and profile.isa.level.startswith("ARMv8.2"))


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_recommended_threads_fit_on_the_fast_cores(name: str) -> None:
    profile = find_profile(name)
    if profile.clusters:
        fast = sum(cluster.count for cluster in profile.clusters if not cluster.little)
        assert profile.threads.count is not None
        assert 1 <= profile.threads.count <= fast
    else:
        assert profile.threads.count is None


def test_raspberry_pi_4_has_the_figures_of_its_documentation() -> None:
    profile = find_profile("rpi4")
    (cluster,) = profile.clusters
    assert (cluster.core, cluster.count, cluster.mhz, cluster.l1d_kb, cluster.l2_kb) == (
        "Cortex-A72",
        4,
        1800,
        32,
        1024,
    )
    assert profile.isa.features == ("asimd",)
    assert (profile.quantization.scheme, profile.format.preferred) == ("U8S8", "tflite")
    assert "tflite-runtime" not in profile.systems[1].wheels, "there is none for the Python 3.13 of Trixie"


@pytest.mark.parametrize("spelling", ["rpi4", "RPi4", "pi-4", "Raspberry Pi 4", "rpi_4b"])
def test_common_spellings_find_the_board(spelling: str) -> None:
    assert find_profile(spelling).name == "rpi4"


def test_plus_is_part_of_a_name() -> None:
    assert find_profile("rpi3b+").name == "rpi3bplus"
    with pytest.raises(UnknownNameError):
        find_profile("rpi3b")


def test_unknown_board_gets_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match=r"no device profile named 'rpi44'; did you mean rpi4\? All: "):
        find_profile("rpi44")


def test_own_profile_is_found_by_path_and_by_name_in_the_configuration_directory(own_folder: Path) -> None:
    path = changed_copy(own_folder / "barn.toml", 'name = "rpi4"', 'name = "barn"')
    assert find_profile(str(path)).name == "barn"
    assert find_profile("barn").name == "barn"
    assert "barn" in list_profiles()


def test_own_profile_hides_the_shipped_one_of_its_name(own_folder: Path) -> None:
    changed_copy(own_folder / "rpi4.toml", "mhz = 1800", "mhz = 2000")
    assert find_profile("pi4").clusters[0].mhz == 2000
    assert list_profiles().count("rpi4") == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("count = 4", 'count = "four"', "clusters[0].count is 'four', expected a whole number"),
        ("count = 4", "count = 0", "clusters[0].count is 0, expected a whole number from 1"),
        (
            "mhz = 1800",
            "megahertz = 1800",
            "clusters[0].megahertz is no key of a device profile, expected one of core,",
        ),
        ('title = "Raspberry Pi 4 Model B"\n', "", "title is 'nothing', expected a value"),
        ('"U8S8"', '"U4S4"', "quantization.scheme is 'U4S4', expected one of U8S8, S8S8"),
        ('preferred = "tflite"', 'preferred = "ncnn"', "format.preferred is 'ncnn', expected one of onnx, tflite"),
        ('["asimd"]', '["neon"]', "isa.features[0] is 'neon', expected one of asimd, "),
        ('"0x41:0xd08"', '"A72"', "clusters[0].part is 'A72', expected \"implementer:part\" such as"),
        ("schema = 1", "schema = 2", "schema is 2, expected 1; upgrade edgevit"),
        ("count = 3", "count = 0", "threads.count is 0, expected a whole number from 1"),
        ("schema = 1", "schema = ", "is not TOML: "),
    ],
)
def test_wrong_file_is_refused_in_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = changed_copy(tmp_path / "board.toml", old, new)
    with pytest.raises(ProfileError) as caught:
        read_profile(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert message in text
    assert "\n" not in text


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"none\.toml cannot be read \(No such file or directory\); give the path"):
        find_profile(str(tmp_path / "none.toml"))


def test_a_profile_without_an_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"/dev/zero cannot be read \(it is a pipe or a device, not a file\)"):
        read_profile(Path("/dev/zero"))
    (tmp_path / "huge.toml").write_bytes(b"#" * 200_000_000)
    with pytest.raises(ProfileError, match=r"huge\.toml cannot be read"):
        read_profile(tmp_path / "huge.toml")


@pytest.mark.parametrize(
    "kind", [Profile, Isa, Cluster, Memory, Camera, System, Threads, QuantizationChoice, FormatChoice]
)
def test_every_key_is_described(kind: type) -> None:
    text = (DOCS / "device-profiles.md").read_text()
    for field in dataclasses.fields(kind):
        names = (f"`{field.name}`", f"`[{field.name}]`", f"`[[{field.name}]]`")
        assert any(name in text for name in names), f"docs/device-profiles.md does not describe {field.name}"


def test_profile_is_a_value() -> None:
    profile = find_profile("rpi4")
    assert dataclasses.replace(profile) == profile == find_profile("rpi4b")


@pytest.mark.parametrize("part", ["", "0x41:0xd08"])
def test_part_of_a_cluster_is_implementer_and_part_or_not_told(part: str) -> None:
    assert Cluster("Cortex-A72", 1, "a manual", part).part == part


@pytest.mark.parametrize("part", ["0x41", "0x41:", "0x41:d08", "41:0xd08", ":0xd08", "0x41 0xd08"])
def test_other_parts_are_refused(part: str) -> None:
    with pytest.raises(ValueError, match=rf"^part is '{part}', expected \"implementer:part\" such as \"0x41:0xd08\"$"):
        Cluster("Cortex-A72", 4, "a manual", part)


def test_threads_are_told_from_one_on_or_not_at_all() -> None:
    for count in (None, 1):
        assert Threads("why", count).count == count
    for wrong in (0, -1):
        with pytest.raises(ValueError, match=rf"^count is {wrong}, expected a whole number from 1$"):
            Threads("why", wrong)


def test_fast_cores_are_told_only_where_there_are_slow_ones() -> None:
    big, little = Cluster("A76", 4, "a", "0x41:0xd0b"), Cluster("A55", 4, "a", "0x41:0xd05", little=True)
    unknown = Cluster("A78", 2, "a")
    profile = find_profile("rpi4")
    for clusters, parts in (
        ((), set()),
        ((big,), set()),
        ((big, unknown), set()),
        ((little,), set()),
        ((big, little), {"0x41:0xd0b"}),
        ((little, unknown, big), {"0x41:0xd0b"}),
    ):
        assert dataclasses.replace(profile, clusters=clusters).big_parts == parts


def test_own_profiles_come_first_and_all_names_in_order(own_folder: Path) -> None:
    changed_copy(own_folder / "b.toml", 'name = "rpi4"', 'name = "zebra"')
    changed_copy(own_folder / "a.toml", 'name = "rpi4"', 'name = "barn"')
    (own_folder / "notes.txt").write_text("no profile")
    assert [profile.name for profile in all_profiles()] == ["barn", "zebra", *sorted(BOARDS)]
    assert list_profiles() == sorted([*BOARDS, "barn", "zebra"])


def test_likely_profiles_are_the_users_own_and_those_that_speak_of_the_board(own_folder: Path) -> None:
    board = "Raspberry Pi 400 Rev 1.0"
    assert [profile.name for profile in likely_profiles(board, ["x86-64"])] == ["rpi4", "x86-64"]
    assert likely_profiles("A board", []) == []
    changed_copy(own_folder / "rpi4.toml", "mhz = 1800", "mhz = 2000")
    changed_copy(own_folder / "barn.toml", 'name = "rpi4"', 'name = "barn"')
    own = likely_profiles(board, ["rpi5"])
    assert [(profile.name, profile.clusters[0].mhz) for profile in own] == [
        ("barn", 1800),
        ("rpi4", 2000),
        ("rpi5", 2400),
    ]


def test_own_profiles_lie_in_the_configuration_directory_or_below_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert user_folder() == tmp_path / "config" / "edgevit" / "profiles"
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    monkeypatch.setenv("XDG_CONFIG_HOME", "")
    assert user_folder() == tmp_path / "home" / ".config" / "edgevit" / "profiles"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert user_folder() == tmp_path / "home" / ".config" / "edgevit" / "profiles"


def test_path_is_what_ends_in_toml_or_holds_a_slash_and_home_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    changed_copy(tmp_path / "board.toml", 'name = "rpi4"', 'name = "barn"')
    (tmp_path / "sub").mkdir()
    changed_copy(tmp_path / "sub" / "board", 'name = "rpi4"', 'name = "shed"')
    for text, name in (("board.toml", "barn"), ("~/board.toml", "barn"), ("sub/board", "shed")):
        assert find_profile(text).name == name
    assert find_profile(Path("board.toml")).name == "barn"


@pytest.mark.parametrize(
    ("line", "place", "first"),
    [
        ("schema = 1", "", "schema, name, "),
        ("[isa]", "isa.", "level, features, "),
        ('python = "3.13"', "systems[1].", "name, python, "),
    ],
)
def test_unknown_key_is_named_with_its_place_and_what_there_is(
    tmp_path: Path, line: str, place: str, first: str
) -> None:
    path = changed_copy(tmp_path / "board.toml", line, f"{line}\ncolour = 7")
    message = f"{path}: {place}colour is no key of a device profile, expected one of {first}"
    with pytest.raises(ProfileError, match=f"^{re.escape(message)}"):
        read_profile(path)


def test_what_is_no_toml_or_no_text_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "board.toml"
    for content, reason in ((b"schema = ", "Invalid value"), (b"name = '\xff'", "not UTF-8 text (byte 8 is 0xff)")):
        path.write_bytes(content)
        with pytest.raises(ProfileError) as caught:
            read_profile(path)
        assert str(caught.value).startswith(f"{path} is not TOML: {reason}")
        assert str(caught.value).endswith("; see docs/device-profiles.md")
    path.write_text("schema = 1\n")
    with pytest.raises(ProfileError, match=rf"^{re.escape(str(path))}: name is 'nothing', expected a value"):
        read_profile(path)


def test_shipped_profile_is_looked_at_as_utf_8_whatever_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str | None] = []
    read_text = Path.read_text

    def noting(path: Path, encoding: str | None = None) -> str:
        told.append(encoding)
        return read_text(path, encoding="utf-8")

    monkeypatch.setattr(Path, "read_text", noting)
    assert [profile.name for profile in likely_profiles("Orange Pi 5", [])] == ["orangepi5"]
    assert told == ["utf-8"] * len(BOARDS)
