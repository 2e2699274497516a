"""Waiting ends when it is fulfilled, when nobody is left to fulfil it, and in any case."""

import threading

import pytest

from tests import made_connections
from tests.made_connections import Script
from tests.waiting import no_thread_left, wait_for


def test_waiting_ends_when_the_condition_holds() -> None:
    looks = iter((False, False, True))
    wait_for(lambda: next(looks))
    assert next(looks, None) is None


def test_waiting_ends_with_the_thread_that_was_waited_for() -> None:
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="edgevit sender pen3")
    thread.start()

    def never() -> bool:
        release.set()
        return False

    with pytest.raises(AssertionError, match="in vain: edgevit sender pen3 has ended"):
        wait_for(never, within_s=float("inf"))


def test_waiting_goes_on_while_one_of_several_threads_is_left() -> None:
    first, second = (threading.Event() for _ in range(2))
    threads = [threading.Thread(target=release.wait, name="edgevit sender pen3") for release in (first, second)]
    for thread in threads:
        thread.start()
    looks = iter((False, False, True))

    def look() -> bool:
        first.set()
        threads[0].join()
        return next(looks)

    wait_for(look, within_s=float("inf"))
    second.set()
    threads[1].join()


def test_what_a_thread_did_last_still_counts() -> None:
    done: list[int] = []
    thread = threading.Thread(target=lambda: done.append(1), name="edgevit sender pen3")
    thread.start()
    wait_for(lambda: not thread.is_alive() and done, within_s=float("inf"))


def test_thread_that_is_left_running_is_a_failure_of_the_test_that_started_it_alone() -> None:
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="edgevit sender pen3")
    with pytest.raises(AssertionError, match="left running: edgevit sender pen3"), no_thread_left():
        thread.start()
    with no_thread_left():
        pass
    release.set()
    thread.join()


def test_waiting_in_vain_is_a_failure() -> None:
    with pytest.raises(AssertionError, match=r"in vain for 0\.02 s"):
        wait_for(lambda: False, within_s=0.02)


def test_steps_for_a_reader_that_died_are_a_failure_at_once() -> None:
    script = Script()

    def read() -> None:
        script.connect("camera:0", None)
        script.read(1.0)

    reader = threading.Thread(target=read)
    reader.start()
    with pytest.raises(AssertionError, match="the reader has ended; 2 of 3 steps are left"):
        script.do([b"a"], [b"b"])
    reader.join()


def test_steps_that_nobody_takes_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made_connections, "GENEROUS_S", 0.02)
    with pytest.raises(AssertionError, match=r"2 of 2 steps are left after 0\.02 s"):
        Script().do([b"a"])
