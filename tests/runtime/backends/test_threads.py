"""How many threads, and where: the user's word, the profile's advice, and the cores that the process may use."""

import contextlib
import logging
import os
from pathlib import Path

import pytest

from edgevit.device_profiles import find_profile
from edgevit.device_profiles.evidence import Evidence, core_parts
from edgevit.runtime.backends.onnx import open_backend
from edgevit.runtime.backends.threads import ThreadPlan, asked_threads, choose_plan, plan_threads, started_on
from tests.places import MACHINES

CPUINFO = MACHINES / "orangepi5" / "proc" / "cpuinfo"
EIGHT = Evidence("Orange Pi 5", "aarch64", core_parts(CPUINFO.read_text()), frozenset())
"""Cores 0 to 3 are Cortex-A55, 4 to 7 Cortex-A76."""
FOUR = Evidence("Raspberry Pi 4 Model B", "aarch64", dict.fromkeys(range(4), "0x41:0xd08"), frozenset())


def shape(plan: ThreadPlan) -> tuple[int, tuple[int, ...]]:
    return plan.count, plan.cores


@pytest.mark.parametrize(
    ("asked", "allowed", "expected"),
    [
        (None, range(8), (4, (4, 5, 6, 7))),
        (None, [0, 1, 4, 5], (2, (4, 5))),
        (None, [0, 1, 2], (3, ())),
        (None, [4, 5, 6, 7], (4, ())),
        ((2, "asked for"), range(8), (2, (4, 5, 6, 7))),
        ((8, "asked for"), range(8), (8, ())),
    ],
    ids=["all", "some of each", "slow only", "fast only", "fewer asked", "more asked than fast"],
)
def test_slow_cores_are_left_out_and_no_core_is_added(
    asked: tuple[int, str] | None, allowed: list[int], expected: tuple[int, tuple[int, ...]]
) -> None:
    plan = choose_plan(asked, find_profile("orangepi5"), EIGHT, frozenset(allowed))
    assert shape(plan) == expected
    assert set(plan.cores) <= set(allowed)


@pytest.mark.parametrize(("allowed", "count"), [(range(4), 3), ([0, 1], 2), ([3], 1)])
def test_raspberry_pi_leaves_a_core_free_while_it_can(allowed: list[int], count: int) -> None:
    assert shape(choose_plan(None, find_profile("rpi4"), FOUR, frozenset(allowed))) == (count, ())


@pytest.mark.parametrize("name", ["x86-64", "generic-armv8.0"])
def test_profile_of_unknown_cores_uses_all_that_are_allowed(name: str) -> None:
    plan = choose_plan(None, find_profile(name), Evidence("", "", {}, frozenset()), frozenset(range(6)))
    assert shape(plan) == (6, ())
    assert shape(choose_plan(None, None, Evidence("", "", {}, frozenset()), frozenset({2}))) == (1, ())


def test_argument_goes_before_variables_and_variables_before_the_profile() -> None:
    both = {"EDGEVIT_THREADS": "5", "OMP_NUM_THREADS": "3,2"}
    assert asked_threads(2, both) == (2, "asked for")
    assert asked_threads(None, both) == (5, "EDGEVIT_THREADS is 5")
    assert asked_threads(None, {"OMP_NUM_THREADS": "3,2"}) == (3, "OMP_NUM_THREADS is 3,2")
    assert asked_threads(None, {}) is None


def test_plan_says_which_profile_and_why(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("EDGEVIT_PROFILE", "rpi4")
    monkeypatch.setenv("EDGEVIT_THREADS", "7")
    with caplog.at_level(logging.INFO):
        assert plan_threads().count == 7
    assert "profile rpi4: EDGEVIT_PROFILE is rpi4" in caplog.text
    assert "threads 7 on any core: EDGEVIT_THREADS is 7" in caplog.text


def allowed_of_each_thread() -> dict[str, str]:
    """Return the processors that each thread of this process may use, as the kernel writes them."""
    threads = {}
    for status in Path("/proc/self/task").glob("*/status"):
        with contextlib.suppress(OSError):  # one that another test has left may end meanwhile
            lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
            threads[status.parent.name] = lines["Cpus_allowed_list"].strip()
    return threads


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores to tell one from all")
def test_onnx_runtimes_threads_keep_to_the_cores_and_the_caller_keeps_its_own(tiny_model: Path) -> None:
    before, threads = os.sched_getaffinity(0), allowed_of_each_thread()
    core = max(before)
    with started_on([core]):
        session = open_backend(tiny_model, 2)
    started = {name: cores for name, cores in allowed_of_each_thread().items() if name not in threads}
    assert list(started.values()) == [str(core)], "two threads are the caller and one more"
    assert os.sched_getaffinity(0) == before
    session.close()


def test_no_cores_change_nothing_and_a_failure_gives_the_cores_back() -> None:
    before = os.sched_getaffinity(0)
    with started_on([]):
        assert os.sched_getaffinity(0) == before
    with pytest.raises(KeyError), started_on([min(before)]):
        raise KeyError
    assert os.sched_getaffinity(0) == before
