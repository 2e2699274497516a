"""Several processes that share the batches of a run: who does what, and that their sum is one process's work."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from edgevit.errors import OptionError
from edgevit.training.augment import AUGMENTATIONS
from edgevit.training.batches import training_batches
from edgevit.training.folders import Samples
from edgevit.training.loop import _erase
from edgevit.training.ranks import ALONE, Ranks, find_ranks
from tests.places import ROOT
from tests.ports import free_port
from tests.training.shared_steps import learn, write_pictures

STEPS = 6
"""Those of shared_steps.RECIPE."""


def test_a_batch_is_shared_out_evenly_and_in_order() -> None:
    shares = [list(range(12))[Ranks(rank, 3).share(12)] for rank in range(3)]
    assert shares == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert list(range(12))[ALONE.share(12)] == list(range(12))


@pytest.mark.parametrize(("batch", "count", "instead"), [(8, 3, 9), (10, 4, 8), (4, 4, 8), (2, 4, 8), (128, 3, 129)])
def test_a_batch_that_cannot_be_shared_out_evenly_is_refused(batch: int, count: int, instead: int) -> None:
    with pytest.raises(OptionError) as told:
        Ranks(0, count).check_batch(batch)
    assert told.value.command_line_text == (
        f"--batch {batch} cannot be shared out evenly to {count} processes, at least 2 images to each; give --batch "
        f"{instead}, or start another number of processes"
    )
    Ranks(0, count).check_batch(instead)


def test_one_process_adds_up_nothing() -> None:
    ALONE.check_batch(2)
    assert (ALONE.mean(3.5), ALONE.any(True), ALONE.any(False)) == (3.5, True, False)
    assert (ALONE.divisor(0.25), ALONE.divisor(0, least=1), ALONE.divisor(7, least=1)) == (0.25, 1, 7)
    assert ALONE.from_first(lambda: "made") == "made"
    assert ALONE.leads
    assert ALONE.program == ["edgevit"]


def test_torchrun_says_which_process_this_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")  # which other programs say, too
    assert find_ranks() == ALONE
    for name, value in (("TORCHELASTIC_RUN_ID", "x"), ("RANK", "1"), ("LOCAL_WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    assert find_ranks() == Ranks(1, 2)
    assert not find_ranks().leads
    assert find_ranks().program == ["torchrun", "--nproc-per-node", "2", "-m", "edgevit"]
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(OptionError, match="2 of 4 processes are on this machine; start all on one"):
        find_ranks()


def test_shares_of_a_batch_are_read_and_changed_as_in_the_whole(tmp_path: Path) -> None:
    paths = tuple(tmp_path / f"{i}.png" for i in range(7))
    for i, path in enumerate(paths):
        cv2.imwrite(str(path), np.random.default_rng(i).integers(0, 255, (40, 50, 3), np.uint8))
    samples = Samples(paths, tuple(range(7)), tuple("abcdefg"))
    changes = AUGMENTATIONS["strong"]
    whole = list(training_batches(samples, (32, 32), 6, range(4), 1, 2, changes))
    parts = [
        list(training_batches(samples, (32, 32), 6, range(4), 1, 2, changes, Ranks(rank, 2).share(6)))
        for rank in (0, 1)
    ]
    for (pixels, labels), *shares in zip(whole, *parts, strict=True):
        np.testing.assert_array_equal(pixels, np.concatenate([share for share, _ in shares]))
        assert labels == shares[0][1] + shares[1][1]


def test_shares_of_a_batch_are_erased_as_in_the_whole() -> None:
    whole = torch.ones(8, 3, 32, 32)
    parts = [whole[:4].clone(), whole[4:].clone()]
    _erase(whole, 0.5, np.random.default_rng(0), slice(None), 8)
    for rank, part in enumerate(parts):
        _erase(part, 0.5, np.random.default_rng(0), Ranks(rank, 2).share(8), 8)
    assert torch.equal(torch.cat(parts), whole)
    assert 0 < int((whole == 0).flatten(1).any(1).sum()) < 8


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder)
    return folder


@pytest.fixture(scope="module")
def shared(pictures: Path) -> dict[str, dict[str, Any]]:
    """Return what two processes come to; see shared_steps."""
    common = {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    common |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    words = [sys.executable, "-m", "tests.training.shared_steps", str(pictures)]
    processes = [
        subprocess.Popen(words, cwd=ROOT, env={**os.environ, **common, "RANK": str(rank)}) for rank in range(2)
    ]
    assert [process.wait() for process in processes] == [0, 0]
    found: dict[str, dict[str, Any]] = torch.load(pictures / "found.pt", weights_only=True)
    return found


def farthest(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Return the largest difference of two sets of tensors with the same names."""
    assert one.keys() == other.keys()
    return max(float((one[key] - other[key]).abs().max()) for key in one)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["frozen", "balance", "masks", "yolox", "retina", "taught"])
def test_two_processes_compute_what_one_does_where_no_batchnorm_learns(
    name: str, shared: dict[str, dict[str, Any]], pictures: Path, tmp_path: Path
) -> None:
    """BatchNorm uses its statistics, or there is none; classes, masks and boxes are unevenly spread."""
    first = learn(name, pictures, tmp_path / "first", steps=1)
    assert farthest(first["gradients"], shared[f"{name} first"]["gradients"]) < 1e-5
    assert max(float(gradient.abs().max()) for gradient in first["gradients"].values()) > 0.1
    whole = learn(name, pictures, tmp_path / "whole")
    assert len(whole["losses"]) == STEPS
    assert shared[name]["losses"] == pytest.approx(whole["losses"], abs=1e-5)
    assert farthest(whole["weights"], shared[name]["weights"]) < 1e-5
    assert farthest(whole["averaged"], shared[name]["averaged"]) < 1e-5


@pytest.mark.slow
def test_with_batchnorm_two_processes_compute_the_mean_of_their_shares_exactly(
    shared: dict[str, dict[str, Any]], pictures: Path, tmp_path: Path
) -> None:
    found, expected = shared["batchnorm first"]["gradients"], shared["mean of shares"]
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in found)
    one = learn("batchnorm", pictures, tmp_path / "one", steps=1)["gradients"]
    assert farthest(one, found) > 1e-3, "which is not what one process computes"


@pytest.mark.slow
def test_a_stop_that_one_process_is_told_ends_both_and_a_resumed_run_is_the_same(
    shared: dict[str, dict[str, Any]],
) -> None:
    assert shared["stopped"]["step"] == 3
    assert shared["resumed"]["step"] == STEPS
    for part in ("weights", "averaged"):
        assert farthest(shared["resumed"][part], shared["batchnorm"][part]) == 0
    assert not any("module." in key for key in shared["resumed"]["weights"])


@pytest.mark.slow
def test_one_process_goes_on_where_two_have_stopped(
    shared: dict[str, dict[str, Any]], pictures: Path, tmp_path: Path
) -> None:
    shutil.copytree(pictures / "frozen stopped", tmp_path / "run")
    resumed = learn("frozen", pictures, tmp_path / "run", resume=True)
    assert len(resumed["losses"]) == STEPS - 3
    assert farthest(resumed["weights"], shared["frozen"]["weights"]) < 1e-5


@pytest.mark.slow
def test_the_first_process_alone_logs(shared: dict[str, dict[str, Any]], pictures: Path) -> None:
    assert len((pictures / "frozen" / "log.jsonl").read_text().splitlines()) == STEPS
