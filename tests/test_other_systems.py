"""What macOS and Windows lack is not needed: work at a desk passes in a session without it; links may be missing."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edgevit.runtime.datasets.listing import with_slashes
from edgevit.runtime.sinks.folder import folder_name
from tests.places import ROOT

LINKS = ("device_profiles", "export", "runtime")
SYSTEMS = ("win32", "darwin")


def pytest_without(system: str, *arguments: str) -> None:
    """Run tests in a session that lacks what a system lacks."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-p", "tests.other_systems"]
    environment = os.environ | {"EDGEVIT_TEST_SYSTEM": system}
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


@pytest.mark.parametrize("system", ["win32", pytest.param("darwin", marks=pytest.mark.slow)])
def test_desk_work_needs_nothing_that_only_linux_has(system: str) -> None:
    pytest_without(system, "tests/test_desk.py")


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_photos_become_a_model_without_what_only_linux_has(system: str) -> None:
    pytest_without(system, "tests/test_desk.py", "-m", "slow")


@pytest.mark.slow
def test_commands_on_files_pass_their_own_tests_without_what_windows_lacks() -> None:
    pytest_without("win32", *(f"tests/cli/test_{name}.py" for name in ("export", "run", "validate")))


def test_session_is_without_what_the_system_lacks() -> None:
    code = (
        "import tests.other_systems; from pathlib import Path; import os, types\n"
        "ours = {'__name__': 'edgevit.made', 'os': os}\n"
        "for line in ('import fcntl', 'os.sched_getaffinity', 'open(\"/proc/cpuinfo\")', 'os.symlink(\"a\", \"b\")'):\n"
        "    try:\n"
        "        exec(line, ours)\n"
        "    except (ImportError, AttributeError, OSError) as error:\n"
        "        print(type(error).__name__)\n"
    )
    environment = os.environ | {"EDGEVIT_TEST_SYSTEM": "win32"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.stdout.split() == ["ModuleNotFoundError", "AttributeError", "FileNotFoundError", "OSError"], done.stderr


@pytest.fixture(scope="module")
def linkless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the checkout as a clone on Windows has it: links are text files that hold where they lead."""
    folder = tmp_path_factory.mktemp("clone")
    for room in (*LINKS, "edgevit"):
        skip = shutil.ignore_patterns("__pycache__", *(LINKS if room == "edgevit" else ()))
        shutil.copytree(ROOT / room, folder / room, ignore=skip)
    for link in LINKS:
        (folder / "edgevit" / link).write_bytes(f"../{link}".encode())
    for name in ("setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    return folder


def test_checkout_without_links_runs(linkless: Path, tiny_model: Path) -> None:
    command = [sys.executable, "-m", "edgevit", "selftest", str(tiny_model)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=linkless)
    assert done.returncode == 0, done.stderr
    code = "import edgevit.runtime, edgevit.export; print(edgevit.runtime.__file__, edgevit.export.__file__)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=linkless)
    assert found.stdout.split() == [str(linkless / room / "__init__.py") for room in ("runtime", "export")]


def test_checkout_without_links_builds_the_same_wheel(linkless: Path, tmp_path: Path) -> None:
    names = []
    for checkout in (ROOT, linkless):
        place = tmp_path / checkout.name
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(place)]
        done = subprocess.run([*command, str(checkout)], capture_output=True, text=True)
        if "No matching distribution" in done.stderr or "Could not find a version" in done.stderr:
            pytest.skip("no package registry can be reached, so no wheel can be built")
        assert done.returncode == 0, done.stderr
        (wheel,) = place.glob("*.whl")
        names.append({name for name in zipfile.ZipFile(wheel).namelist() if "/weights/" not in name})
    assert "edgevit/runtime/classifier.py" in names[1]
    assert names[0] == names[1]


def test_paths_are_sorted_and_named_alike_on_windows() -> None:
    assert with_slashes(r"photos\hen\img2.jpg", "\\") == "photos/hen/img2.jpg"
    assert with_slashes("photos/a\\b.jpg", "/") == "photos/a\\b.jpg"


@pytest.mark.parametrize(
    ("label", "folder"), [("n/a", "n_a"), ("12:30", "12_30"), ('"a|b"?', "_a_b__"), ("etc. ", "etc_"), ("hen", "hen")]
)
def test_labels_become_folders_that_windows_takes(label: str, folder: str) -> None:
    assert folder_name(label) == folder


@pytest.mark.parametrize(
    "label", ["con", "PRN", "Aux", "nul", "com1", "LPT9", "com²", "CONIN$", "con.2024.b", "nul .txt"]
)
def test_labels_that_windows_keeps_for_devices_become_other_folders(label: str) -> None:
    assert folder_name(label) == f"_{label}"
    # a name that was suggested is taken
    assert folder_name(f"_{label}") == f"_{label}"


@pytest.mark.parametrize("label", ["cone", "com", "com10", "auxin", "my con", "a.con"])
def test_labels_that_only_look_like_devices_stay(label: str) -> None:
    assert folder_name(label) == label


def test_label_that_becomes_a_device_only_in_the_end_is_found_out() -> None:
    assert folder_name(" con") == "_con"
    assert folder_name("con." + "a" * 200) == folder_name(folder_name("con." + "a" * 200)) == "_con." + "a" * 115
