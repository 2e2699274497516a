"""The self-test before the swap: in a process of its own, and bound."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import edgevit
from edgevit.errors import UpdateError
from edgevit.runtime.update.proof import ProofBounds, prove
from tests.waiting import wait_for


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Have these lines run in place of the self-test."""
    script = folder / "python"
    script.write_text(f"#!{sys.executable}\nimport os, sys, time\n{code}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))


def test_sound_model_passes(tiny_model: Path) -> None:
    prove(tiny_model, ProofBounds())


def test_damaged_model_fails_with_the_selftests_own_words(tiny_model: Path) -> None:
    content = bytearray(tiny_model.read_bytes())
    content[len(content) // 2] ^= 1
    tiny_model.write_bytes(content)
    with pytest.raises(UpdateError, match=f"^its self-test failed: {tiny_model}"):
        prove(tiny_model, ProofBounds())


def test_model_that_takes_too_much_memory_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "bytes(300_000_000)")
    with pytest.raises(UpdateError, match="^its self-test failed: MemoryError"):
        prove(tmp_path / "m.onnx", ProofBounds(memory=100_000_000))
    prove(tmp_path / "m.onnx", ProofBounds(memory=600_000_000))


def test_model_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, f"os.fork()\nopen(f'{tmp_path}/{{os.getpid()}}.pid', 'w')\ntime.sleep(600)")
    with pytest.raises(UpdateError, match="^its self-test took longer than 5 s$"):
        prove(tmp_path / "m.onnx", ProofBounds(time_s=5))
    pids = [int(path.stem) for path in tmp_path.glob("*.pid")]
    assert len(pids) == 2

    def ended() -> bool:
        states = subprocess.run(["ps", "-o", "stat=", *map(str, pids)], capture_output=True, text=True).stdout
        return all(state.startswith("Z") for state in states.split())

    wait_for(ended)


def test_model_that_crashes_is_told_by_its_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "os.kill(os.getpid(), 11)")
    with pytest.raises(UpdateError, match="^its self-test failed: ended by signal 11$"):
        prove(tmp_path / "m.onnx", ProofBounds())


def test_selftest_gives_way_to_the_running_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, f"sys.exit(0 if os.nice(0) == {min(19, os.nice(0) + 10)} else 1)")
    prove(tmp_path / "m.onnx", ProofBounds())


def test_selftest_ends_by_itself_should_nobody_be_left_to_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, "import resource; sys.exit(str(resource.getrlimit(resource.RLIMIT_CPU)))")
    with pytest.raises(UpdateError, match=r"^its self-test failed: \(28, 28\)$"):
        prove(tmp_path / "m.onnx", ProofBounds(time_s=7))


def test_nothing_is_left_of_a_selftest_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, f"open(f'{tmp_path}/{{os.getpid()}}.pid', 'w')\ntime.sleep(600)")
    with pytest.raises(UpdateError, match="^its self-test took longer than 5 s$") as caught:
        prove(tmp_path / "m.onnx", ProofBounds(time_s=5))
    (pid,) = (int(path.stem) for path in tmp_path.glob("*.pid"))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    del caught


@pytest.mark.parametrize("given", [None, "/given"])
def test_selftest_runs_the_package_that_runs_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str | None
) -> None:
    stand_in(tmp_path, monkeypatch, "sys.exit(' '.join([os.environ['PYTHONPATH'], *sys.argv[1:]]))")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    if given is not None:
        monkeypatch.setenv("PYTHONPATH", given)
    place = str(Path(edgevit.__file__).parent.parent) + ("" if given is None else ":/given")
    with pytest.raises(UpdateError) as caught:
        prove(tmp_path / "m.onnx", ProofBounds())
    # of a long line its end is told
    told = f"{place} -P -m edgevit selftest {tmp_path}/m.onnx"[-300:]
    assert str(caught.value) == f"its self-test failed: {told}"


def test_last_line_of_a_selftest_is_told_as_far_as_it_is_text_and_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "b'first\\nedgevit: ' + b'x' * 20 + b'\\xff' + b'y' * 299 + b'\\n'"
    stand_in(tmp_path, monkeypatch, f"sys.stderr.buffer.write({line}); sys.exit(1)")
    with pytest.raises(UpdateError) as caught:
        prove(tmp_path / "m.onnx", ProofBounds())
    assert str(caught.value) == "its self-test failed: \ufffd" + "y" * 299


def test_silent_selftest_is_told_by_its_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(tmp_path, monkeypatch, "sys.exit(3)")
    with pytest.raises(UpdateError, match="^its self-test failed: exit code 3$"):
        prove(tmp_path / "m.onnx", ProofBounds())
