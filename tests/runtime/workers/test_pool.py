"""Worker processes: each item once, whatever dies."""

import multiprocessing
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edgevit.errors import UnknownNameError, WorkerError
from edgevit.runtime.sources.stop import Stop
from edgevit.runtime.workers import pool
from edgevit.runtime.workers.child import Opening
from edgevit.runtime.workers.pool import Worker, answered
from tests.processes import no_process_left
from tests.waiting import wait_for

Answer = Callable[[int], int]


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    with no_process_left():
        yield


def open_tripling(folder: Path, deadly: tuple[int, ...]) -> Answer:
    """Answer three times the item; note that it was tried; a deadly one ends the process."""

    def triple(item: int) -> int:
        with (folder / "tried").open("a") as file:
            file.write(f"{item}\n")
        if item in deadly:
            os._exit(9)
        return 3 * item

    return triple


def open_waiting(folder: Path) -> Answer:
    """Answer with the number of this process, once the test says so."""

    def wait(item: int) -> int:
        (folder / f"begun-{item}").touch()
        while not (folder / "go").exists():
            time.sleep(0.01)
        return os.getpid()

    return wait


def open_badly(folder: Path) -> Answer:
    raise UnknownNameError("model", "farn", ["farm"])


def open_dying(folder: Path) -> Answer:
    os._exit(3)


def open_failing(folder: Path) -> Answer:
    def fail(item: int) -> int:
        raise ZeroDivisionError(f"item {item}")

    return fail


def tried(folder: Path) -> list[int]:
    return [int(line) for line in (folder / "tried").read_text().split()]


def test_each_item_is_answered_once(tmp_path: Path) -> None:
    opening = Opening(open_tripling, (tmp_path, ()))
    found = dict(answered(opening, range(20), 2, Stop()))
    assert found == {item: 3 * item for item in range(20)}
    assert sorted(tried(tmp_path)) == list(range(20))


def test_item_that_kills_its_worker_is_tried_once_more_when_all_others_are_done(tmp_path: Path) -> None:
    opening = Opening(open_tripling, (tmp_path, (0, 4)))
    found = list(answered(opening, range(9), 2, Stop()))
    assert sorted(found[:-2]) == [(item, 3 * item) for item in (1, 2, 3, 5, 6, 7, 8)]
    assert found[-2:] in ([(0, None), (4, None)], [(4, None), (0, None)])
    # nothing else was tried twice, also what its worker had been given beside it
    assert sorted(tried(tmp_path)) == [0, 0, 1, 2, 3, 4, 4, 5, 6, 7, 8]
    assert set(tried(tmp_path)[-2:]) == {0, 4}


def test_worker_that_is_killed_from_outside_costs_nothing(tmp_path: Path) -> None:
    with closing(answered(Opening(open_waiting, (tmp_path,)), _killing(tmp_path), 1, Stop())) as answers:
        found = dict(answers)
    assert set(found) == {0, 1, 2}
    assert None not in found.values()
    assert len(set(found.values())) == 2, "what it had not begun was given to the worker in its place"


def _killing(folder: Path) -> Iterator[int]:
    """Yield items; kill the worker while it has the first in hand."""
    yield 0
    wait_for((folder / "begun-0").exists)
    (worker,) = multiprocessing.active_children()
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    (folder / "go").touch()
    yield 1
    yield 2


def test_no_item_is_taken_after_the_end_is_asked_for_but_those_in_hand_are_answered(tmp_path: Path) -> None:
    stop, taken = Stop(), []

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            if item == 3:
                stop.ask()
            yield item

    found = dict(answered(Opening(open_tripling, (tmp_path, ())), items(), 2, stop))
    assert found == {0: 0, 1: 3, 2: 6, 3: 9}
    assert taken == [0, 1, 2, 3]


def test_nothing_is_started_for_nothing(tmp_path: Path) -> None:
    assert list(answered(Opening(open_dying, (tmp_path,)), [], 2, Stop())) == []


def test_error_of_opening_arrives_as_it_was(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="no model named 'farn'; did you mean farm?"):
        list(answered(Opening(open_badly, (tmp_path,)), range(5), 2, Stop()))


def test_unexpected_error_says_where_it_came_from(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError, match="item 0") as caught:
        list(answered(Opening(open_failing, (tmp_path,)), range(5), 1, Stop()))
    assert "test_pool.py" in caught.value.__notes__[0]


def test_worker_that_cannot_begin_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=r"died before it had opened the model \(exit code 3\); give fewer"):
        list(answered(Opening(open_dying, (tmp_path,)), range(5), 2, Stop()))


def open_at_last(folder: Path) -> Answer:
    """Die twice before the model is open."""
    deaths = len(list(folder.glob("death-*")))
    if deaths < 2:
        (folder / f"death-{deaths}").touch()
        os._exit(3)
    return open_tripling(folder, ())


def test_worker_that_dies_before_it_is_open_costs_nothing(tmp_path: Path) -> None:
    found = dict(answered(Opening(open_at_last, (tmp_path,)), range(5), 1, Stop()))
    assert found == {0: 0, 1: 3, 2: 6, 3: 9, 4: 12}
    assert sorted(tried(tmp_path)) == [0, 1, 2, 3, 4]


def test_workers_that_die_of_everything_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MOST_DEATHS", 2)
    with pytest.raises(WorkerError, match=r"^3 worker processes died one after the other.*\(exit code 9\)"):
        list(answered(Opening(open_tripling, (tmp_path, tuple(range(99)))), range(99), 1, Stop()))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the mask is read in Linux' /proc")
def test_worker_hears_no_interrupt_from_its_first_instruction_on_and_this_process_does(tmp_path: Path) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    worker = Worker[int](Opening(open_tripling, (tmp_path, ())))
    (process,) = multiprocessing.active_children()
    (blocked,) = re.findall(r"^SigBlk:\s*(\w+)$", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)
    worker.end()
    assert int(blocked, 16) >> (signal.SIGINT - 1) & 1
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
    assert signal.SIGINT not in before


def test_leaving_early_ends_workers_that_are_busy(tmp_path: Path) -> None:
    """They would go on for ever."""
    with pytest.raises(BlockingIOError, match="the list of items"):
        list(answered(Opening(open_waiting, (tmp_path,)), _breaking_off(tmp_path), 2, Stop()))


def _breaking_off(folder: Path) -> Iterator[int]:
    yield 0
    wait_for((folder / "begun-0").exists)
    raise BlockingIOError("the list of items")
