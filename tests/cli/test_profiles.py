"""`edgevit profiles`, and what `edgevit run --verbose` says about the board."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def no_own_profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("EDGEVIT_PROFILE", "rpi4")


def test_list_marks_the_board_that_this_is(run: Run) -> None:
    code, out, err = run("profiles")
    assert code == 0
    assert out.splitlines()[0].split() == ["PROFILE", "BOARD", "CORES", "ISA", "THREADS", "INT8", "FORMAT"]
    assert [line.split()[0] for line in out.splitlines() if " * " in line] == ["rpi4"]
    assert "* this machine: EDGEVIT_PROFILE is rpi4" in err


def test_one_profile_is_shown_with_its_sources(run: Run) -> None:
    code, out, _ = run("profiles", "opi5")
    assert code == 0
    assert "4 Cortex-A55 (slow ones), 1800 MHz, 32 KiB L1 data, 128 KiB L2 a core" in out
    assert "source: Rockchip RK3588 datasheet: up to 2.4 GHz" in out
    assert "Debian 12, arm64, Python 3.11: onnxruntime, ai-edge-litert, tflite-runtime" in out


def test_json_has_every_figure(run: Run) -> None:
    listed = json.loads(run("profiles", "--json")[1])
    assert (listed["detected"], listed["why"]) == ("rpi4", "EDGEVIT_PROFILE is rpi4")
    one = json.loads(run("profiles", "rpi4", "--json")[1])
    assert one in listed["profiles"]
    assert one["clusters"][0]["l2_kb"] == 1024


def test_own_file_is_shown_by_path_and_a_wrong_one_is_refused(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("schema = 1\n")
    code, _, err = run("profiles", path)
    assert code == 2
    assert err == f"edgevit: {path}: name is 'nothing', expected a value\n"


def test_unknown_name_gets_the_nearest(run: Run) -> None:
    code, _, err = run("profiles", "rpi44")
    assert code == 2
    assert "no device profile named 'rpi44'; did you mean rpi4?" in err


def test_verbose_run_says_which_profile_and_threads_and_why(
    run: Run,
    tiny_model: Path,
    save_image: Callable[[str, NDArray[np.uint8]], Path],
    red_image: NDArray[np.uint8],
    caplog: pytest.LogCaptureFixture,
) -> None:
    image = save_image("red.png", red_image)
    with caplog.at_level("INFO"):
        code, out, _ = run("run", tiny_model, image, "--verbose", "--threads", 1)
    assert (code, out) == (0, "red 1.00\n")
    assert "profile rpi4: EDGEVIT_PROFILE is rpi4" in caplog.text
    assert "threads 1 on any core: asked for" in caplog.text
