"""How many threads, and where: the user's word, the profile's advice, and the cores that the process may use."""

import dataclasses
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edgevit.device_profiles import find_profile
from edgevit.device_profiles.evidence import Evidence, core_parts
from edgevit.models.zoo.registry import get_spec
from edgevit.runtime.backends.onnx import open_backend
from edgevit.runtime.backends.session import open_session, thread_count
from edgevit.runtime.backends.tflite_operators import multiply_adds
from edgevit.runtime.backends.threads import (
    VARIABLES,
    ThreadPlan,
    asked_threads,
    choose_plan,
    plan_threads,
    started_on,
)
from tests.places import MACHINES

MakeModel = Callable[..., Path]
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


def small_tflite(folder: Path, width: int) -> Path:
    """Write a convolution, a depthwise one and a product: 2,304 + 1,152 + 8 x `width` multiply-adds."""
    pytest.importorskip("ai_edge_litert", reason="needs the extra tflite-export")
    from tests.made_tflite import Tiny

    tiny = Tiny()
    given, made, thinner, answer = (
        tiny.tensor(shape) for shape in ((1, 8, 8, 3), (1, 4, 4, 8), (1, 4, 4, 8), (1, width))
    )
    tiny.add("CONV_2D", [given, tiny.tensor((8, 3, 3, 2))], made)
    tiny.add("DEPTHWISE_CONV_2D", [made, tiny.tensor((1, 3, 3, 8))], thinner)
    tiny.add("RELU", [thinner], thinner)
    tiny.add("FULLY_CONNECTED", [thinner, tiny.tensor((width, 8))], answer)
    path = folder / f"{width}.tflite"
    path.write_bytes(tiny.model(given, answer))
    return path


def test_multiply_adds_are_those_of_the_layers_with_weights(tmp_path: Path) -> None:
    assert multiply_adds(small_tflite(tmp_path, 10)) == 4 * 4 * 8 * 3 * 3 * 2 + 4 * 4 * 8 * 3 * 3 + 10 * 8


@pytest.mark.parametrize(
    ("width", "asked", "least", "count"),
    [
        (10, None, 1, 1),
        (125_000, None, 1, 4),
        (10, None, None, 4),
        (10, (3, "asked for"), 1, 3),
    ],
    ids=["small", "large", "profile without a limit", "asked for"],
)
def test_small_model_gets_one_thread_where_a_second_does_not_pay(
    width: int, asked: tuple[int, str] | None, least: int | None, count: int, tmp_path: Path
) -> None:
    profile = find_profile("x86-64")
    profile = dataclasses.replace(profile, threads=dataclasses.replace(profile.threads, least_mmacs=least))
    plan = choose_plan(
        asked, profile, Evidence("", "", {}, frozenset()), frozenset(range(4)), small_tflite(tmp_path, width)
    )
    assert plan.count == count


def test_what_cannot_be_counted_gets_all_cores(tmp_path: Path) -> None:
    (tmp_path / "broken.tflite").write_bytes(b"broken")
    for name in ("broken.tflite", "absent.tflite", "model.onnx"):
        plan = choose_plan(
            None, find_profile("x86-64"), Evidence("", "", {}, frozenset()), frozenset(range(4)), tmp_path / name
        )
        assert plan.count == 4, name


def test_on_a_pc_the_smallest_model_has_one_thread_and_those_of_half_a_billion_have_all() -> None:
    least = find_profile("x86-64").threads.least_mmacs
    assert least is not None
    small, *large = (get_spec(name).macs / 1e6 for name in ("efficientvit_b0", "efficientvit_b1", "sbcformer_xs"))
    assert small < least < min(large)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores to tell one from all")
def test_session_has_the_threads_that_are_chosen_for_its_model(
    make_foreign_tflite: MakeModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EDGEVIT_PROFILE", "x86-64")
    model = make_foreign_tflite()
    with caplog.at_level(logging.INFO):
        open_session(model).close()
    assert "threads 1 on any core: foreign.tflite has 0 million multiply-adds" in caplog.text
    assert thread_count(model=model) == 1
    assert thread_count() == len(os.sched_getaffinity(0))


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
